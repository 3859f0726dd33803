"""Make a text that matches a regular expression, for the instances that `guardflow.testing.echo` makes.

It walks the parse tree of `re`; what a tree says about ends and looks (anchors, lookaround) is not solved but
checked afterwards, on a few tries. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, cast

from guardflow.errors import UsageError

_parse = __import__("re._parser", fromlist=["parse"]).parse  # the public sre_parse is deprecated since 3.11
_TRIES = 50
_PRINTABLE = [chr(c) for c in range(32, 127)]
_CATEGORY = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_SPACE": " ",
    "CATEGORY_WORD": "abcdefghijklmnopqrstuvwxyz0123456789_",
    "CATEGORY_NOT_DIGIT": "abcdefghijklmnopqrstuvwxyz",
    "CATEGORY_NOT_SPACE": "abcdefghijklmnopqrstuvwxyz",
    "CATEGORY_NOT_WORD": " -.",
}


def matching(pattern: str, random: Random, *, low: int = 0, high: int | None = None) -> str:
    """A text in which the pattern is found, of ``low`` to ``high`` characters.

    Raises:
        UsageError: no try gave one.
    """
    try:
        tree = _parse(pattern)
    except re.error as error:
        raise UsageError(f"the pattern {pattern!r} is no regular expression: {error}") from None
    found = re.compile(pattern)
    for spread in range(_TRIES):
        text = _Walk(random, spread).sequence(tree)
        if low <= len(text) and (high is None or len(text) <= high) and found.search(text):
            return text
    raise UsageError(
        f"found no text for the pattern {pattern!r}", hint="reply with `Reply.json(...)` instead"
    )


class _Walk:
    """One try; ``spread`` is how far above its minimum a repetition may go."""

    def __init__(self, random: Random, spread: int) -> None:
        self.random = random
        self.spread = spread
        self.groups: dict[int, str] = {}

    def sequence(self, tree: Iterable[tuple[Any, Any]]) -> str:
        return "".join(self.node(str(op), argument) for op, argument in tree)

    def node(self, op: str, argument: Any) -> str:
        match op:
            case "LITERAL":
                return chr(argument)
            case "NOT_LITERAL":
                return self.random.choice([c for c in _PRINTABLE if ord(c) != argument])
            case "ANY":
                return self.random.choice("abcdefghijklmnopqrstuvwxyz")
            case "IN":
                return self.random.choice(_members(argument))
            case "BRANCH":
                return self.sequence(self.random.choice(cast("Sequence[Any]", argument[1])))
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, inner = int(argument[0]), int(argument[1]), argument[2]
                times = self.random.randint(least, min(most, least + self.spread))
                return "".join(self.sequence(inner) for _ in range(times))
            case "SUBPATTERN":
                text = self.sequence(argument[3])
                if argument[0] is not None:
                    self.groups[argument[0]] = text
                return text
            case "ATOMIC_GROUP":
                return self.sequence(argument)
            case "GROUPREF":
                return self.groups.get(argument, "")
            case _:
                return ""  # anchors and lookaround: the check at the end decides


def _members(parts: Iterable[tuple[Any, Any]]) -> Sequence[str]:
    """The characters of a class such as ``[^a-z_]``, printable ones where it is open."""
    members: list[str] = []
    negated = False
    for op, argument in parts:
        match str(op):
            case "NEGATE":
                negated = True
            case "LITERAL":
                members.append(chr(argument))
            case "RANGE":
                members += map(chr, range(argument[0], min(argument[1], argument[0] + 200) + 1))
            case _:
                members += _CATEGORY.get(str(argument), "a")
    return [c for c in _PRINTABLE if c not in members] or ["\u00e9"] if negated else members
