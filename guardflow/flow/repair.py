"""Reading a model's answer: strictly first, then with free local repairs, before anything is paid again.

Called by the climb for every completion; pure. A repaired answer is marked, because a vote spoils it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from guardflow.kinds import Kind
from guardflow.values import Finding

from .codec import findings_of

T = TypeVar("T")

_FENCE = re.compile(r"```[a-zA-Z0-9_-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_MOST_CANDIDATES = 8
"""How many fenced blocks, and how many starts of an object, are tried in one answer, so that a hostile one costs no more than a long one."""


class Parsed(NamedTuple):
    """A value, or the kind and findings of what was wrong. ``note`` is ``repaired: ...`` after a repair."""

    value: object
    kind: Kind | None
    findings: tuple[Finding, ...]
    note: str


def read_answer(text: str, parse: Callable[[str], T]) -> Parsed:
    """Parse strictly, then a fenced block, then the first balanced object or array that parses.

    Args:
        text: the raw answer.
        parse: validates JSON text; raises pydantic's ValidationError.
    """
    try:
        return Parsed(parse(text), None, (), "")
    except ValidationError as error:
        first = error
    if not _is_malformed(first):
        return Parsed(None, Kind.SCHEMA, findings_of(first), "")
    best: ValidationError | None = None
    for note, candidate in _candidates(text):
        try:
            return Parsed(parse(candidate), None, (), f"repaired: {note}")
        except ValidationError as error:
            if best is None and not _is_malformed(error):
                best = error
    if best is not None:
        return Parsed(None, Kind.SCHEMA, findings_of(best), "")
    finding = Finding(
        "the answer is not JSON",
        evidence=text[:200],
        expected="one JSON value and nothing else",
        guard="schema",
    )
    return Parsed(None, Kind.MALFORMED, (finding,), "")


def _is_malformed(error: ValidationError) -> bool:
    return any(
        item["type"] == "json_invalid" for item in error.errors(include_url=False, include_input=False)
    )


def _candidates(text: str) -> Iterator[tuple[str, str]]:
    for match in islice(_FENCE.finditer(text), _MOST_CANDIDATES):
        yield "fenced", match.group(1)
    decoder = json.JSONDecoder()
    position, tried = 0, 0
    while tried < _MOST_CANDIDATES:
        starts = [i for i in (text.find("{", position), text.find("[", position)) if i >= 0]
        if not starts:
            return
        start = min(starts)
        tried += 1
        try:
            _, end = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            position = start + 1
            continue
        yield "first object", text[start:end]
        position = end
