"""Votes as type checkers see them: panels, rules, matchers; and what they must refuse."""

from __future__ import annotations

from guardflow import Model, Vote, ahead_by, align, exact, follow, majority, meaning, within

FAST, STRONG = Model("fast"), Model("strong")

one = Vote(FAST)
several = Vote([FAST, STRONG], rule=majority(3))
weighed = Vote({FAST: 1, STRONG: 1.5}, rule=ahead_by(2), max=7, split=STRONG)

FIELDS = {
    "verdict": exact,
    "score": within(abs=0.05),
    "summary": meaning(FAST),
    "claims": align(key="url"),
    "notes": follow,
}
by_field = Vote(FAST, fields=FIELDS, whole=("amount", "unit"))
in_groups = Vote(FAST, whole=[("amount", "unit"), ["city", "street"]])
version: str = by_field.version
weight: float = weighed.seat(3).weight

by_name = Vote("fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
by_number = Vote(FAST, rule=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
within(0.05)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
a_function = Vote(FAST, fields={"verdict": str.lower})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
a_name = meaning("fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
