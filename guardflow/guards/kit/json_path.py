"""A small part of JSONPath (RFC 9535) over answers: names, indices, slices, every item, and any depth.

`guardflow.guards.kit.json_rules` reads values with it. There are no filters and no expressions: nothing of a
path is ever evaluated.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from guardflow.errors import StageError
from guardflow.guards.paths import Leaf, children
from guardflow.values import Path


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a name, an index, a slice, or None for every item; ``deep`` looks at any depth."""

    part: str | int | tuple[int | None, int | None] | None
    deep: bool = False


_STEP = re.compile(
    r"(?P<deep>\.\.)?(?:(?(deep)|\.)(?:(?P<name>[^\W\d]\w*)|(?P<any>\*))"
    r"|\[(?:(?P<index>-?\d{1,9})|(?P<all>\*)|(?P<slice>(?P<first>-?\d{0,9}):(?P<last>-?\d{0,9}))"
    r"|'(?P<single>[^'\\]*)'|(?P<double>\"(?:[^\"\\]|\\.)*\"))\])"
)


@functools.lru_cache(maxsize=512)
def parse_path(path: str) -> tuple[Step, ...]:
    """Read ``$.items[*].price``, ``$["a b"]``, ``$.rows[-1]``, ``$.rows[0:3]`` or ``$..id``.

    Raises:
        StageError: the path cannot be read, or uses what is left out of JSONPath here.
    """
    if not path.startswith("$"):
        raise _unreadable(path, "begin it with $, as '$.items[*].price'")
    steps: list[Step] = []
    end = 1
    while end < len(path):
        found = _STEP.match(path, end)
        if found is None:
            filters = path.startswith("[?", end) or path.startswith("[(", end)
            hint = "filters are left out: write a guard" if filters else f"mend it from {path[end:]!r} on"
            raise _unreadable(path, hint)
        steps.append(Step(_part(found), deep=found["deep"] is not None))
        end = found.end()
    return tuple(steps)


def _part(found: re.Match[str]) -> str | int | tuple[int | None, int | None] | None:
    if found["slice"] is not None:
        return (
            int(found["first"]) if found["first"] else None,
            int(found["last"]) if found["last"] else None,
        )
    if found["index"] is not None:
        return int(found["index"])
    if found["double"] is not None:
        try:
            return str(json.loads(found["double"]))
        except ValueError:
            raise _unreadable(found.string, f"{found['double']} is not a JSON string") from None
    return found["name"] if found["name"] is not None else found["single"]


def _unreadable(path: str, hint: str) -> StageError:
    return StageError(f"{path!r} is not a JSON path", hint=hint)


def names_one(path: str) -> bool:
    """Whether a path can name one node only.

    >>> names_one("$.order.total"), names_one("$.items[*].price")
    (True, False)
    """
    return all(isinstance(step.part, (str, int)) and not step.deep for step in parse_path(path))


def nodes(value: object, path: str) -> Iterator[Leaf]:
    """The nodes of a value that a path names, in order; with ``$..`` a node may be named by several ways.

    Raises:
        StageError: the path cannot be read, or names a field that a pydantic model or dataclass never has: a
            misspelt path must not turn a rule into one that passes everything.

    >>> [node.value for node in nodes({"items": [{"price": 2}, {"price": 3}]}, "$.items[*].price")]
    [2, 3]
    """
    found = [Leaf((), value)]
    for step in parse_path(path):
        if step.deep:
            found = [deep for node in found for deep in _below(node)]
        found = [inner for node in found for inner in _step(node, step, path)]
    yield from found


def _below(node: Leaf) -> Iterator[Leaf]:
    yield node
    for key, item in children(node.value) or ():
        yield from _below(Leaf((*node.at, key), item))


def _step(node: Leaf, step: Step, path: str) -> Iterator[Leaf]:
    inside = children(node.value)
    if inside is None:
        return
    part, at = step.part, node.at
    if part is None:
        yield from (Leaf((*at, key), item) for key, item in inside)
    elif isinstance(part, str):
        matched = False
        for key, item in inside:
            if str(key) == part and not _is_list(node.value):
                matched = True
                yield Leaf((*at, key), item)
        if not matched and not step.deep and _never_has(node.value, part):
            raise StageError(
                f"JSON path {path!r}: a {type(node.value).__name__} has no {part!r}",
                hint="name the fields of the value as they are in Python",
            )
    elif _is_list(node.value):
        items = list(inside)
        yield from (Leaf((*at, key), item) for key, item in _picked(items, part))


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _picked(
    items: list[tuple[str | int, object]], part: int | tuple[int | None, int | None]
) -> list[tuple[str | int, object]]:
    if isinstance(part, tuple):
        return items[slice(*part)]
    return [items[part]] if -len(items) <= part < len(items) else []


def _never_has(value: object, name: str) -> bool:
    if isinstance(value, BaseModel):
        return name not in type(value).model_fields and type(value).model_config.get("extra") != "allow"
    return not isinstance(value, (Mapping, list, tuple, set, frozenset))


def missing_from(value: object, path: str) -> Iterator[Path]:
    """Where the last step of a path finds nothing, though the steps before it do.

    >>> list(missing_from({"items": [{"id": 1}, {}]}, "$.items[*].id"))
    [('items', 1, 'id')]
    """
    steps = parse_path(path)
    if not steps or not isinstance(part := steps[-1].part, (str, int)):
        return
    above = [Leaf((), value)]
    for step in steps[:-1]:
        if step.deep:
            above = [deep for node in above for deep in _below(node)]
        above = [inner for node in above for inner in _step(node, step, path)]
    for node in above:
        if not any(True for _ in _step(node, steps[-1], path)):
            yield (*node.at, part)
