"""The two examples of votes, as they are shipped: fields decided apart, tickets that climb until a person answers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from guardflow import Kind, Runtime
from guardflow.settings import Settings, load_settings
from guardflow.testing import Scripted
from pipelines.examples import invoices as example
from pipelines.examples import triage as tickets
from pipelines.examples.invoices import Batch, Document, Invoice, Line, Register, invoices
from pipelines.examples.triage import Assignment, Route, Ticket, triage

pytestmark = pytest.mark.anyio

PAPER = Document(text="Invoice K-7 of 3 May 2026. Rope 12.50, hooks 7.50. Total 20.00 EUR.")
RIGHT = Invoice(
    number="K-7",
    issued=date(2026, 5, 3),
    currency="EUR",
    total=20.0,
    lines=[Line(item="rope", amount=12.5), Line(item="hooks", amount=7.5)],
)
TICKET = Ticket(subject="Strange", text="My invoice is twice as high, and I cannot log in.")
BILLING = Route(queue="billing", because="twice as high")
TECHNICAL = Route(queue="technical", because="cannot log in")
INVENTED = Route(queue="security", because="somebody got in")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path, home=tmp_path / "state")


def but(**changes: object) -> Invoice:
    return RIGHT.model_copy(update=changes)


async def read(settings: Settings, fast: Scripted, strong: Scripted) -> Register:
    async with Runtime(settings=settings, models={example.FAST: fast, example.STRONG: strong}) as rt:
        return (await rt.run(invoices, Batch(documents=[PAPER]), run_id="r")).unwrap()


async def test_each_field_of_an_invoice_goes_to_its_own_majority(settings: Settings) -> None:
    """No ballot but the last one of the strong model is right in all fields."""
    fast = Scripted(but(issued=date(2026, 3, 5)), but(currency="USD"), RIGHT)
    strong = Scripted(but(number="K"), RIGHT)
    assert (await read(settings, fast, strong)).invoices == [RIGHT]
    assert fast.count + strong.count <= 7


async def test_ballots_that_fail_their_guards_decide_nothing(settings: Settings) -> None:
    wrong = but(total=25.0)
    strong = Scripted(RIGHT)
    register = await read(settings, Scripted(wrong), strong)
    assert register.invoices == [RIGHT]
    assert strong.count >= 2


async def test_an_invoice_that_nobody_can_read_is_listed_and_not_guessed(settings: Settings) -> None:
    register = await read(settings, Scripted(Kind.REFUSED), Scripted(but(number="Q-1")))
    assert register.invoices == []
    assert [unread.document for unread in register.unread] == [0]
    assert "this number is not in the document" in register.unread[0].why


async def test_two_samples_that_agree_route_a_ticket(settings: Settings) -> None:
    fast, strong = Scripted(BILLING), Scripted(TECHNICAL)
    async with Runtime(settings=settings, models={tickets.FAST: fast, tickets.STRONG: strong}) as rt:
        result = await rt.run(triage, TICKET)
    assert result.unwrap() == Assignment(queue="billing", because="twice as high", hours=48)
    assert (fast.count, strong.count) == (2, 0)
    assert sorted(request.sample for request in fast.requests) == [0, 1]


async def test_samples_that_disagree_are_decided_by_the_stronger_model(settings: Settings) -> None:
    fast, strong = Scripted(BILLING, TECHNICAL), Scripted(TECHNICAL)
    async with Runtime(settings=settings, models={tickets.FAST: fast, tickets.STRONG: strong}) as rt:
        result = await rt.run(triage, TICKET)
    assert result.unwrap().queue == "technical"
    assert [a.start.rung for a in result.attempts][-1] == "switch:strong"


async def test_a_ticket_that_no_model_can_route_waits_for_a_person(settings: Settings) -> None:
    fast, strong = Scripted(BILLING, TECHNICAL), Scripted(INVENTED)
    async with Runtime(settings=settings, models={tickets.FAST: fast, tickets.STRONG: strong}) as rt:
        waiting = await rt.run(triage, TICKET, run_id="t")
        assert waiting.status == "waiting"
        paid = fast.count + strong.count
        still = await rt.answer("t", "route", value=INVENTED.model_dump())
        assert still.status == "waiting"  # a person's answer is guarded too
        done = await rt.answer("t", "route", value=BILLING.model_dump())
    assert done.output == Assignment(queue="billing", because="twice as high", hours=48)
    assert fast.count + strong.count == paid


async def test_an_answer_of_a_person_that_fits_no_queue_is_refused(settings: Settings) -> None:
    fast, strong = Scripted(BILLING, TECHNICAL), Scripted(INVENTED)
    async with Runtime(settings=settings, models={tickets.FAST: fast, tickets.STRONG: strong}) as rt:
        await rt.run(triage, TICKET, run_id="t")
        again = await rt.answer("t", "route", value={"queue": "legal", "because": "twice as high"})
    assert again.status == "waiting"
    assert "queue" in again.message
