"""What makes two JSON values the same, and how alike two are that are not. Pure text and numbers, no model."""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import cast

from rapidfuzz.distance import Indel

from guardflow.hashing import JSON

from .matchers import Within
from .nodes import Items, Leaf, Node, Record, follows

_NUMBERS = (int, float)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
"""Made once: a poll writes every value of every ballot. NaN is written too: models answer with it."""


def normal(value: JSON) -> JSON:
    """The value with its accidents removed: Unicode form, white space, whole numbers written as floats."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFC", value).split())
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {key: normal(item) for key, item in cast("Mapping[str, JSON]", value).items()}
    if isinstance(value, Sequence):
        return [normal(item) for item in value]
    return value


def written(value: JSON) -> str:
    """The value as canonical JSON: equal for equal values. Its order is what breaks ties between others."""
    return _ENCODER.encode(value)


def storable(value: JSON) -> JSON:
    """The value with null for NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: storable(item) for key, item in cast("Mapping[str, JSON]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [storable(item) for item in value]
    return value


def token(value: JSON) -> str:
    """Equal for values that are the same."""
    return _ENCODER.encode(normal(value))


def said(node: Node, value: JSON) -> str:
    """Equal for values that are the same at this node.

    A decimal is text in JSON, and 4.2 is 4.20; a set is a list, in an order that differs between processes.
    """
    if isinstance(node, Leaf) and node.sort == "number" and isinstance(value, str):
        return _decimal(value) or token(value)
    if isinstance(node, Leaf) and node.sort == "set" and isinstance(value, list):
        return token(sorted(map(token, value)))
    return token(value)


def _decimal(text: str) -> str | None:
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:
        return None
    if not isinstance(exponent, int):  # NaN and infinities
        return None
    kept = "".join(map(str, digits)).rstrip("0")
    return f"{'-' * sign}{kept}e{exponent + len(digits) - len(kept)}" if kept else "0"


def number(value: JSON) -> float | None:
    """The number that a JSON value is; None where it is none. Decimals are text in JSON."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float | str):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None
    return None


def likeness(node: Node, a: JSON, b: JSON) -> float:
    """How alike two values are, from 0 to 1: the share of their fields that agree; texts by their letters."""
    if isinstance(node, Leaf):
        return _leaf_likeness(node, a, b)
    if isinstance(node, Record) and isinstance(a, Mapping) and isinstance(b, Mapping):
        parts = [
            likeness(member.node, a.get(member.key), b.get(member.key))
            for member in node.members
            if not follows(member.node)
        ]
        return math.fsum(parts) / len(parts)
    if isinstance(node, Items) and isinstance(a, list) and isinstance(b, list):
        return _shared([token(item) for item in a], [token(item) for item in b])
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return _shared([token([*pair]) for pair in a.items()], [token([*pair]) for pair in b.items()])
    return float(token(a) == token(b))


def _leaf_likeness(node: Leaf, a: JSON, b: JSON) -> float:
    if node.sort == "text" and isinstance(a, str) and isinstance(b, str):
        return letters(a, b)
    if isinstance(node.matcher, Within):
        x, y = number(a), number(b)
        if x is not None and y is not None:
            return float(node.matcher.close(x, y))
    if type(a) in _NUMBERS and type(b) in _NUMBERS:  # the common case; True is no number, and NaN is like NaN
        return float(a == b or (a != a and b != b))  # noqa: PLR0124  # how NaN is told
    return float(said(node, a) == said(node, b))


def letters(a: str, b: str) -> float:
    """How many letters two texts share, in order: 0 to 1. Long texts are compared by their beginnings."""
    return Indel.normalized_similarity(a[:2_000], b[:2_000])


def _shared(a: Sequence[str], b: Sequence[str]) -> float:
    """What two bags have in common, of what they have together."""
    left, right = Counter(a), Counter(b)
    together = (left | right).total()
    return (left & right).total() / together if together else 1.0
