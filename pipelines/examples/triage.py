"""Send a ticket to the right queue: two samples must agree, else a stronger model decides, else a person.

Shows self-consistency, escalation by kind of failure, and a run that waits for an answer: `guardflow runs answer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Vote,
    follow,
    guard,
    park,
    pipeline,
    stage,
    switch,
    unanimous,
    wait,
)

FAST, STRONG = Model("fast"), Model("strong")

Queue = Literal["billing", "technical", "security"]
HOURS: dict[Queue, int] = {"billing": 48, "technical": 24, "security": 1}


class Ticket(BaseModel):
    subject: str
    text: str


class Route(BaseModel):
    queue: Queue
    because: str = Field(description="the words of the ticket that decide it, letter by letter")


class Assignment(BaseModel):
    """Where a ticket went, and within how many hours somebody has to look at it."""

    queue: Queue
    because: str
    hours: int


@guard(inline=True)
def quotes_the_ticket(route: Route, ctx: GuardContext[Ticket]) -> Iterator[Finding]:
    if not route.because or route.because not in ctx.input.text:
        yield Finding("these are not words of the ticket", at=("because",), evidence=route.because)


route = LLMStage(
    "route",
    Ticket,
    Route,
    prompt="examples/route",
    model=Vote(FAST, rule=unanimous(2), max=3, fields={"because": follow}),
    guards=[quotes_the_ticket.reject()],
    ladder=Ladder(
        wait(3),
        switch(STRONG, on=Kind.ANSWERABLE | Kind.TRANSIENT, waits=2),
        otherwise=park(),
    ),
)


@stage
def assign(route: Route) -> Assignment:
    return Assignment(queue=route.queue, because=route.because, hours=HOURS[route.queue])


@pipeline("triage")
async def triage(ticket: Ticket) -> Assignment:
    """Route the ticket, and assign it. A ticket that no model can route waits for a person."""
    return await assign(await route(ticket))
