"""How long things may be: characters, words or items between two bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sized

from guardflow.errors import StageError
from guardflow.guards.core import Guard
from guardflow.guards.paths import select
from guardflow.values import Finding

Bounds = tuple[int | None, int | None]
"""The least and the most, both allowed; None is no bound."""

_WORD = re.compile(r"\w+(?:['’.,-]\w+)*")


def length(
    at: str,
    /,
    *,
    chars: Bounds | None = None,
    words: Bounds | None = None,
    items: Bounds | None = None,
    name: str = "length",
) -> Guard[object, object]:
    """A guard: texts and lists have the length they should have.

    Args:
        at: which nodes, as a pattern; None there is no text and is left alone.
        chars: bounds of a text in characters.
        words: bounds of a text in words, as separated by spaces and punctuation.
        items: bounds of a list, a set or a mapping.
        name: what findings call the guard.

    Raises:
        StageError: there is no bound, or bounds that nothing can meet.

    >>> guard = length("summary", words=(2, 4))
    >>> [f.message for f in guard({"summary": "one two three four five"})]
    ['has 5 words, at most 4 are allowed']
    """
    given = {"characters": chars, "words": words, "items": items}
    bounds = {unit: bound for unit, bound in given.items() if bound is not None}
    if not bounds or any(b == (None, None) for b in bounds.values()):
        raise StageError(f"guard {name!r} on {at!r} has no bounds", hint="give one, as words=(None, 120)")
    for unit, (least, most) in bounds.items():
        if (least or 0) < 0 or (most is not None and most < (least or 0)):
            raise StageError(
                f"guard {name!r}: no text can have {least} to {most} {unit}", hint="swap the bounds"
            )

    def check(answer: object) -> Iterator[Finding]:
        for where, node in select(answer, at):
            if node is None:
                continue
            for unit, (least, most) in bounds.items():
                count = _count(node, unit, at)
                if least is not None and count < least:
                    yield Finding(f"has {count} {unit}, at least {least} are needed", at=where)
                if most is not None and count > most:
                    yield Finding(f"has {count} {unit}, at most {most} are allowed", at=where)

    return Guard(check, name=name, inline=True)


def _count(node: object, unit: str, at: str) -> int:
    if unit == "items":
        if isinstance(node, Sized) and not isinstance(node, (str, bytes)):
            return len(node)
    elif isinstance(node, str):
        return len(node) if unit == "characters" else sum(1 for _ in _WORD.finditer(node))
    raise StageError(
        f"{at!r} is a {type(node).__name__}, which has no {unit}",
        hint="count items of lists, and characters or words of texts",
    )
