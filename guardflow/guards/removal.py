"""Remove nodes from a value by their paths, without touching the original: what ``.drop()`` does.

The runner calls it and validates what comes out; it never decides what has to go.
"""

from __future__ import annotations

import copy
import dataclasses
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import (
    Annotated,
    Generic,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, RootModel

from guardflow.values import Path

ValueT = TypeVar("ValueT")


class Removed(NamedTuple, Generic[ValueT]):
    """A value without some nodes, and the nodes that it cannot be without, with the reason."""

    value: ValueT
    kept: list[tuple[Path, str]]


_Tree: TypeAlias = "dict[str | int, _Tree | None]"
"""Paths to remove, as a tree; None marks a node that goes."""


class NoSuchPath(LookupError):
    """A path that the value does not have."""

    def __init__(self, at: Path) -> None:
        super().__init__(at)
        self.at = at


def remove(value: ValueT, paths: Iterable[Path]) -> Removed[ValueT]:
    """Rebuild a value without the nodes at ``paths``, all of which refer to the value as it is now.

    An item leaves its list, tuple or mapping; a field that may be None becomes None, another one its default.
    What is on the way to a node is copied, everything else is shared, nothing is changed.

    Returns:
        The value (not validated), and what had to stay: the whole value, and fields that are required.

    Raises:
        NoSuchPath: the value has no such node.

    >>> remove({"a": [1, 2, 3, 4]}, [("a", 0), ("a", 2)]).value
    {'a': [2, 4]}
    """
    tree: _Tree = {}
    kept: list[tuple[Path, str]] = []
    for path in paths:
        if not path:
            kept.append(((), "the whole value cannot be dropped"))
            continue
        node = tree
        for part in path[:-1]:
            below = node.setdefault(part, {})
            if below is None:  # an ancestor goes already
                break
            node = below
        else:
            node[path[-1]] = None
    if not tree:
        return Removed(value, kept)
    return Removed(cast("ValueT", _prune(value, tree, (), kept)), kept)


def _prune(value: object, tree: _Tree, at: Path, kept: list[tuple[Path, str]]) -> object:
    if isinstance(value, RootModel):
        inner = tree
        if set(tree) == {"root"} and tree["root"] is not None:
            inner = tree["root"]
        root = _prune(cast("RootModel[object]", value).root, inner, at, kept)
        return cast("RootModel[object]", value).model_copy(update={"root": root})
    if isinstance(value, BaseModel):
        return _prune_model(value, tree, at, kept)
    if isinstance(value, Mapping):
        return _prune_mapping(cast("Mapping[object, object]", value), tree, at, kept)
    if isinstance(value, (list, tuple)):
        return _prune_sequence(cast("Sequence[object]", value), tree, at, kept)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _prune_dataclass(value, tree, at, kept)
    raise NoSuchPath((*at, next(iter(tree))))


def _prune_sequence(items: Sequence[object], tree: _Tree, at: Path, kept: list[tuple[Path, str]]) -> object:
    for part in tree:
        if not isinstance(part, int) or not 0 <= part < len(items):
            raise NoSuchPath((*at, part))
    left: list[object] = []
    for i, item in enumerate(items):
        if i not in tree:
            left.append(item)
        elif (below := tree[i]) is not None:
            left.append(_prune(item, below, (*at, i), kept))
    return tuple(left) if isinstance(items, tuple) else left


def _prune_mapping(
    items: Mapping[object, object], tree: _Tree, at: Path, kept: list[tuple[Path, str]]
) -> dict[object, object]:
    by_part = {key if isinstance(key, int) else str(key): key for key in items}
    left = dict(items)
    for part, below in tree.items():
        if part not in by_part:
            raise NoSuchPath((*at, part))
        key = by_part[part]
        if below is None:
            del left[key]
        else:
            left[key] = _prune(items[key], below, (*at, part), kept)
    return left


def _prune_model(model: BaseModel, tree: _Tree, at: Path, kept: list[tuple[Path, str]]) -> BaseModel:
    fields = type(model).model_fields
    by_alias = {f.alias: name for name, f in fields.items() if f.alias is not None}
    extra = model.model_extra or {}
    update: dict[str, object] = {}
    gone: list[str] = []
    for part, below in tree.items():
        name = part if part in fields or part in extra else by_alias.get(str(part))
        if not isinstance(name, str):
            raise NoSuchPath((*at, part))
        here = (*at, part)
        if below is not None:
            held = getattr(model, name) if name in fields else extra[name]
            update[name] = _prune(held, below, here, kept)
        elif name not in fields:
            gone.append(name)
        elif allows_none(fields[name].annotation):
            update[name] = None
        elif not fields[name].is_required():
            update[name] = fields[name].get_default(
                call_default_factory=True, validated_data=dict(model.__dict__)
            )
        else:
            kept.append((here, f"field {name!r} is required"))
    copied = model.model_copy(update=update)
    for name in gone:
        cast("dict[str, object]", copied.model_extra).pop(name)
    return copied


def _prune_dataclass(value: object, tree: _Tree, at: Path, kept: list[tuple[Path, str]]) -> object:
    fields = {f.name: f for f in dataclasses.fields(cast("type", type(value)))}
    hints = get_type_hints(type(value), include_extras=True)
    copied = copy.copy(value)
    for part, below in tree.items():
        if not isinstance(part, str) or part not in fields:
            raise NoSuchPath((*at, part))
        field, here = fields[part], (*at, part)
        new: object
        if below is not None:
            new = _prune(getattr(value, part), below, here, kept)
        elif allows_none(hints[part]):
            new = None
        elif field.default is not dataclasses.MISSING:
            new = field.default
        elif field.default_factory is not dataclasses.MISSING:
            new = field.default_factory()
        else:
            kept.append((here, f"field {part!r} is required"))
            continue
        object.__setattr__(copied, part, new)  # frozen ones too: it is our own copy
    return copied


def allows_none(annotation: object) -> bool:
    """Whether None is a value of this type, as far as its unions say.

    >>> allows_none(int | None), allows_none(int)
    (True, False)
    """
    if annotation is None or annotation is type(None):
        return True
    origin = get_origin(annotation)
    if origin is Annotated:
        return allows_none(get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        return any(allows_none(a) for a in get_args(annotation))
    alias = getattr(annotation, "__value__", None)  # `type X = ...` of Python 3.12
    return allows_none(alias) if alias is not None else False
