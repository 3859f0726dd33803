"""What makes two JSON values the same, and how alike two are that are not. Pure text and numbers, no model."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from rapidfuzz.distance import Indel

from guardflow.hashing import JSON, canonical_json

from .matchers import Within
from .nodes import Items, Leaf, Node, Record, follows


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


def token(value: JSON) -> bytes:
    """Equal for values that are the same; its order is the order that breaks ties."""
    return canonical_json(normal(value))


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
    if token(a) == token(b):
        return 1.0
    if isinstance(node, Leaf):
        return _leaf_likeness(node, a, b)
    if isinstance(node, Record) and isinstance(a, Mapping) and isinstance(b, Mapping):
        voting = [member for member in node.members if not follows(member.node)]
        parts = [likeness(member.node, a.get(member.key), b.get(member.key)) for member in voting]
        return math.fsum(parts) / len(parts) if parts else 0.0
    if isinstance(node, Items) and isinstance(a, list) and isinstance(b, list):
        return _shared([token(item) for item in a], [token(item) for item in b])
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return _shared([token([*pair]) for pair in a.items()], [token([*pair]) for pair in b.items()])
    return 0.0


def _leaf_likeness(node: Leaf, a: JSON, b: JSON) -> float:
    if isinstance(node.matcher, Within):
        x, y = number(a), number(b)
        return 1.0 if x is not None and y is not None and node.matcher.close(x, y) else 0.0
    if node.sort == "text" and isinstance(a, str) and isinstance(b, str):
        return letters(a, b)
    return 0.0


def letters(a: str, b: str) -> float:
    """How many letters two texts share, in order: 0 to 1. Long texts are compared by their beginnings."""
    return Indel.normalized_similarity(a[:2_000], b[:2_000])


def _shared(a: Sequence[bytes], b: Sequence[bytes]) -> float:
    """What two bags have in common, of what they have together."""
    left, right = Counter(a), Counter(b)
    together = (left | right).total()
    return (left & right).total() / together if together else 1.0
