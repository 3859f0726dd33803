"""Read invoices: models fill in the same form, and every field of it is decided by vote.

Shows a vote over fields and list items, guards on its result, and a batch of which some may end unread.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal

from pydantic import BaseModel

from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Vote,
    abstain,
    ahead_by,
    align,
    fan_out,
    grow,
    guard,
    pipeline,
    wait,
)

FAST, STRONG = Model("fast"), Model("strong")


class Document(BaseModel):
    text: str


class Line(BaseModel):
    item: str
    amount: float


class Invoice(BaseModel):
    number: str
    issued: date
    currency: Literal["EUR", "GBP", "USD"]
    total: float
    lines: list[Line]


class Unread(BaseModel):
    """A document that gave no invoice, and why."""

    document: int
    why: str


class Batch(BaseModel):
    documents: list[Document]


class Register(BaseModel):
    invoices: list[Invoice]
    unread: list[Unread]


@guard(inline=True)
def number_is_on_it(invoice: Invoice, ctx: GuardContext[Document]) -> Iterator[Finding]:
    if invoice.number not in ctx.input.text:
        yield Finding("this number is not in the document", at=("number",), evidence=invoice.number)


@guard(inline=True)
def lines_add_up(invoice: Invoice) -> Iterator[Finding]:
    together = round(sum(line.amount for line in invoice.lines), 2)
    if invoice.lines and together != round(invoice.total, 2):
        yield Finding(f"the lines add up to {together}, not to the total", at=("total",))


read = LLMStage(
    "read",
    Document,
    Invoice,
    prompt="examples/invoice",
    model=Vote(
        {FAST: 1.0, STRONG: 1.5},
        rule=ahead_by(2),
        max=7,
        fields={"lines": align(key="item")},
        whole=("currency", "total"),
        split=STRONG,
    ),
    guards=[number_is_on_it.reject(), lines_add_up.reject()],
    ladder=Ladder(wait(3), grow(2.0, on=Kind.TRUNCATED), otherwise=abstain()),
)


@pipeline("invoices")
async def invoices(batch: Batch) -> Register:
    """Read every document; those that the models cannot agree on are listed, not guessed."""
    outcomes = await fan_out(read, batch.documents, limit=4, errors="collect")
    return Register(
        invoices=[outcome.unwrap() for outcome in outcomes if outcome.ok],
        unread=[Unread(document=i, why=o.message) for i, o in enumerate(outcomes) if not o.ok],
    )
