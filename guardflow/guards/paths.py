"""Where things are in a value: walk its leaves, or select nodes by a pattern.

The kit uses it. Values are what stages return: pydantic models, dataclasses, mappings, lists and tuples,
nested. A path is made of field names, keys and indices, as in `Finding.at`.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import NamedTuple, TypeAlias, cast

from pydantic import BaseModel, RootModel

from guardflow.errors import StageError
from guardflow.values import Path


class Leaf(NamedTuple):
    """Something that holds nothing else, and where it is."""

    at: Path
    value: object


def walk(value: object, at: Path = ()) -> Iterator[Leaf]:
    """The leaves of a value in order, depth first. Items of a set are found at the set's own path.

    >>> [leaf.at for leaf in walk({"a": ["x", {"b": "y"}]})]
    [('a', 0), ('a', 1, 'b')]
    """
    if isinstance(value, (str, int, float, bytes)) or value is None:
        yield Leaf(at, value)
    elif isinstance(value, (set, frozenset)):
        for item in cast("frozenset[object]", value):
            for leaf in walk(item, ()):
                yield Leaf(at, leaf.value)
    else:
        inside = children(value)
        if inside is None:
            yield Leaf(at, value)
        else:
            for key, item in inside:
                yield from walk(item, (*at, key))


def children(value: object) -> Iterable[tuple[str | int, object]] | None:
    """What a value directly holds, by path part; None if it is a leaf."""
    if isinstance(value, RootModel):
        return children(cast("RootModel[object]", value).root)
    if isinstance(value, BaseModel):
        return _model_items(value)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return ((key if isinstance(key, int) else str(key), item) for key, item in mapping.items())
    if isinstance(value, (list, tuple)):
        return enumerate(cast("Sequence[object]", value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
    return None


def _model_items(model: BaseModel) -> Iterator[tuple[str, object]]:
    held = model.__dict__  # fields, and cached properties, which are not part of the value
    for name in type(model).model_fields:
        if name in held:
            yield name, held[name]
    if model.model_extra:
        yield from model.model_extra.items()


# --- patterns -------------------------------------------------------------------------------------------------

_PART = re.compile(r"(?:^|\.)(?P<name>[^.\[\]*]+)|(?:^|\.)(?P<any>\*)|\[(?:(?P<index>\d+)|\*)\]")


class _Any:
    """Every item."""


Pattern: TypeAlias = tuple[str | int | type[_Any], ...]


@functools.lru_cache(maxsize=512)
def parse_pattern(pattern: str) -> Pattern:
    """Read ``"claims[*].quote"``: field names and keys, ``[3]`` for an index, ``[*]`` or ``.*`` for every item.

    Raises:
        StageError: the pattern cannot be read.
    """
    parts: list[str | int | type[_Any]] = []
    end = 0
    while end < len(pattern):
        found = _PART.match(pattern, end)
        if found is None:
            break
        name, index = found["name"], found["index"]
        parts.append(name if name is not None else int(index) if index is not None else _Any)
        end = found.end()
    if end < len(pattern) or not parts or pattern[0] == ".":
        raise StageError(
            f"{pattern!r} is not a path pattern",
            hint="write it like 'summary', 'claims[*].quote' or 'by_url.*.text'",
        )
    return tuple(parts)


def select(value: object, pattern: str) -> Iterator[Leaf]:
    """The nodes of a value that a pattern names. None and a missing mapping key or index name nothing.

    Raises:
        StageError: the pattern cannot be read, or names a field that the value can never have; a misspelt
            pattern must not turn a guard into one that passes everything.

    >>> list(select({"claims": [{"quote": "a"}, {"quote": "b"}]}, "claims[*].quote"))
    [Leaf(at=('claims', 0, 'quote'), value='a'), Leaf(at=('claims', 1, 'quote'), value='b')]
    """
    return _select(value, parse_pattern(pattern), (), pattern)


def _select(value: object, parts: Pattern, at: Path, pattern: str) -> Iterator[Leaf]:
    if not parts:
        yield Leaf(at, value)
        return
    if value is None:
        return
    part, rest = parts[0], parts[1:]
    kind = type(value).__name__
    inside = children(value)
    if inside is None:
        if isinstance(value, (set, frozenset)) and part is _Any:
            for item in cast("frozenset[object]", value):
                yield from (Leaf(at, leaf.value) for leaf in _select(item, rest, (), pattern))
            return
        raise _no_such(kind, part, pattern)
    matched = False
    for key, item in inside:
        if part is _Any or key == part or (isinstance(key, int) and str(key) == part):
            matched = True
            yield from _select(item, rest, (*at, key), pattern)
    may_be_empty = part is _Any or isinstance(value, Mapping) or isinstance(part, int)
    if not matched and not may_be_empty:
        raise _no_such(kind, part, pattern)


def _no_such(kind: str, part: object, pattern: str) -> StageError:
    return StageError(
        f"pattern {pattern!r}: a {kind} has no {part if part is not _Any else 'items'!r}",
        hint="name the fields of the value as they are in Python, or give a function instead of a pattern",
    )


def leaves(value: object, pattern: str | None) -> Iterator[Leaf]:
    """The leaves below the nodes that a pattern names; all leaves for None."""
    if pattern is None:
        yield from walk(value)
        return
    for node in select(value, pattern):
        yield from walk(node.value, node.at)


def texts(value: object, pattern: str | None = None) -> Iterator[tuple[Path, str]]:
    """The texts below the nodes that a pattern names; all texts for None.

    What is neither a number nor None counts as text (bytes, URLs, file names), so that no guard misses it.

    >>> list(texts({"a": b"x", "n": 1}))
    [(('a',), 'x')]
    """
    for at, leaf in leaves(value, pattern):
        text = _text(leaf)
        if text is not None:
            yield at, text


def _text(leaf: object) -> str | None:
    if isinstance(leaf, str):
        return leaf.value if isinstance(leaf, Enum) else leaf
    if leaf is None or isinstance(leaf, (int, float, Decimal)):
        return None
    if isinstance(leaf, (bytes, bytearray)):
        return leaf.decode("utf-8", "replace")
    return _text(cast("object", leaf.value)) if isinstance(leaf, Enum) else str(leaf)
