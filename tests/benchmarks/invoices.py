"""The task of the faulty server: five typed fields of an invoice, known right answers, and seeded wrong ones.

Every contestant reads the same invoices. No guardflow in here: one of them runs in an environment without it.
"""

from __future__ import annotations

import datetime as dt
import random
from typing import Literal

from pydantic import BaseModel, Field

SYSTEM = (
    "You read an invoice. Answer in JSON, and quote word by word the sentence that says what is to be paid."
)
SEED = 20261122
WEIGHTS = (0.5, 0.25, 0.25)
"""How wrong amounts spread over the three other amounts of the invoice: as in `votes`, one of them is favoured."""
PRACTICE = 1_000_000
"""Invoices from this number on are for warming up: every answer about them is right."""
Fault = Literal["right", "cut", "prose", "seen", "unseen", "refused", "limited", "late"]
SHARES: dict[Fault, float] = {
    "right": 0.5,
    "cut": 0.1,  # JSON that ends too soon, and no JSON at all: 20 % malformed
    "prose": 0.1,
    "seen": 0.05,  # wrong, and quotes what the invoice does not say: a check can see it
    "unseen": 0.05,  # wrong, and quotes the sentence with that amount: only other answers can tell
    "refused": 0.1,
    "limited": 0.05,
    "late": 0.05,
}


class Invoice(BaseModel):
    number: int
    text: str


class Bill(BaseModel):
    """What is to be paid, to whom, and until when."""

    vendor: str
    amount: float = Field(ge=0)
    currency: Literal["EUR", "USD", "GBP"]
    due: dt.date
    quote: str


def invoice(number: int) -> Invoice:
    """The invoice with this number; made anew, and the same each time."""
    bill, others = _written(number)
    sentences = [quote for _, quote in others]
    random.Random(f"{SEED} order {number}").shuffle(sentences)
    sentences.insert(number % 4, bill.quote)
    head = f"Invoice no. {number} of {bill.vendor}."
    tail = f"All amounts are in {bill.currency}. Please pay until {bill.due:%d %B %Y}."
    return Invoice(number=number, text=" ".join([head, *sentences, tail]))


def truth(number: int) -> Bill:
    """The right answer."""
    return _written(number)[0]


def messages(given: Invoice) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": given.text}]


def drawn(number: int, nth: int) -> tuple[Fault, str]:
    """What the server makes of the ``nth`` request about an invoice, and the content of that answer if it has one.

    It depends on nothing else, so every contestant is in the same trouble; a request that shows the model its
    last answer is drawn like any other.
    """
    draw = random.Random(f"{SEED} draw {number} {nth}")
    (fault,) = draw.choices(list(SHARES), list(SHARES.values()))
    if number >= PRACTICE:
        fault = "right"
    bill, others = _written(number)
    ((amount, quote),) = draw.choices(others, WEIGHTS)
    match fault:
        case "cut":
            return fault, bill.model_dump_json()[: draw.randint(5, 40)]
        case "prose":
            return fault, "I would gladly help. The invoice seems to ask for a payment within a few weeks."
        case "seen":
            made_up = f"Kindly remit {amount:.2f} at once."
            return fault, bill.model_copy(update={"amount": amount, "quote": made_up}).model_dump_json()
        case "unseen":
            return fault, bill.model_copy(update={"amount": amount, "quote": quote}).model_dump_json()
        case _:
            return fault, bill.model_dump_json()


def complaint(bill: Bill, text: str) -> str | None:
    """The check that all contestants have but those that have none: the quote must be in the invoice."""
    return None if bill.quote in text else "the quote is not in the invoice, word by word"


def _written(number: int) -> tuple[Bill, list[tuple[float, str]]]:
    """The right answer, and the three other amounts with their sentences."""
    draw = random.Random(f"{SEED} invoice {number}")
    net, fee, last = (draw.randint(10_000, 99_999) / 100 for _ in range(3))
    total = round(net + fee, 2)
    bill = Bill(
        vendor=f"{draw.choice(('Orlo', 'Benn', 'Tarvik', 'Quill'))} & {draw.choice(('Sons', 'Daughters', 'Co'))}",
        amount=total,
        currency=draw.choice(("EUR", "USD", "GBP")),
        due=dt.date(2026, 1, 1) + dt.timedelta(days=draw.randrange(360)),
        quote=f"The total to be paid is {total:.2f}.",
    )
    others = [
        (net, f"The goods come to {net:.2f} before freight."),
        (fee, f"Freight and handling are {fee:.2f}."),
        (last, f"Your last invoice, paid in full, was {last:.2f}."),
    ]
    return bill, others
