"""From an output type to what votes apart in it, and the checks that every field rule fits its field.

`Vote.bind` calls it, once a stage. It reads types; it never sees a value.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from enum import Enum
from typing import Annotated, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, RootModel

from guardflow.errors import LadderError

from .matchers import Align, Exact, Follow, Matcher, Meaning, Within, align, exact
from .nodes import Entries, Items, Leaf, Member, Node, Record, Sort, follows

Names = tuple[str, ...]
"""A place in a type: field names, and ``*`` for the items of a list or dict."""

ROOT = "$"


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What votes apart: one part of the value, or several that vote together.

    Args:
        paths: where, in JSON keys; several under ``whole=``.
        nodes: what is there, in the same order.
    """

    paths: tuple[tuple[str, ...], ...]
    nodes: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """A type as a vote sees it. ``units`` are in the order of its fields."""

    root: Node
    units: tuple[Unit, ...]


def shape_of(output: object, fields: Mapping[str, Matcher], whole: Sequence[Sequence[str]]) -> Shape:
    """The shape of a type, with the rules that were given for its fields.

    Raises:
        LadderError: a rule for a field that is not there, or that cannot apply to it.
    """
    rules: dict[Names, tuple[str, Matcher]] = {}
    for name, matcher in fields.items():
        first, _ = rules.setdefault(_names(name), (name, matcher))
        if first != name:
            raise LadderError(
                f"the vote has two rules for one field, {first!r} and {name!r}", hint="keep one of them"
            )
    reader = _Reader(output, rules)
    root = reader.read(output, (), frozenset())
    reader.check_used()
    groups = [tuple(_names(name) for name in names) for names in whole]
    units = _units(root, groups, _type_name(output))
    if not units:
        raise LadderError(
            f"no field of {_type_name(output)!r} votes: all of them follow",
            hint="compare at least one field by exact, within(), meaning() or align()",
        )
    return Shape(root, units)


def _names(name: str) -> Names:
    if name == ROOT:
        return ()
    return tuple(part for part in re.sub(r"\[\*\]", ".*", name).removeprefix("$.").split(".") if part)


class _Reader:
    """Walks a type once; ``rules`` that were applied are taken away."""

    def __init__(self, output: object, rules: Mapping[Names, tuple[str, Matcher]]) -> None:
        self.output = _type_name(output)
        self.rules = dict(rules)
        self.left = dict(rules)
        self.seen: dict[Names, tuple[str, ...]] = {}

    def read(self, kind: object, at: Names, inside: frozenset[object]) -> Node:
        """The node of a type at a place; a type inside of itself is compared as one."""
        kind = _bare(kind)
        matcher = self._rule(at)
        arms = _arms(kind)
        one = _bare(arms[0]) if len(arms) == 1 else None
        whole = isinstance(matcher, Exact | Follow)
        if one is not None and not whole and one not in inside:
            node = self._apart(one, at, inside, matcher, optional=kind is not one)
            if node is not None:
                return node
        return self._leaf(arms, at, matcher)

    def _apart(
        self, kind: object, at: Names, inside: frozenset[object], matcher: Matcher | None, *, optional: bool
    ) -> Node | None:
        """The node of a type that has parts which vote apart; None for any other."""
        members = None if optional else _members(kind)
        if members is not None:
            self._refuse(matcher, at, "a record", "exact or follow, or rules for its fields")
            self.seen[at] = tuple(name for name, _, _ in members)
            deeper = inside | {kind}
            return Record(
                tuple(Member(name, key, self.read(of, (*at, name), deeper)) for name, key, of in members),
                _computed(kind),
            )
        item = _item(kind)
        if item is not None:
            return self._items(item, at, inside | {kind}, matcher)
        value = _entry(kind)
        if value is not None:
            return self._entries(value, at, inside | {kind}, matcher)
        return None

    def _items(self, item: object, at: Names, inside: frozenset[object], matcher: Matcher | None) -> Node:
        self._refuse(matcher, at, "a list", f"align(), exact or follow, or a rule for {_shown((*at, '*'))!r}")
        rule = matcher if isinstance(matcher, Align) else align()
        node = self.read(item, (*at, "*"), inside)
        if follows(node):
            raise LadderError(
                f"no field of the items of {_shown(at)!r} votes", hint="let the list follow as a whole"
            )
        keys: list[Member] = []
        members = node.members if isinstance(node, Record) else ()
        for key in rule.key:
            found = next((member for member in members if member.name == key), None)
            if found is None:
                have = ", ".join(repr(member.name) for member in members) or "none"
                raise LadderError(
                    f"the items of {_shown(at)!r} are aligned by {key!r}, which they do not have",
                    hint=f"name one of their fields ({have})",
                )
            if not isinstance(found.node, Leaf) or not isinstance(found.node.matcher, Exact | Within):
                raise LadderError(
                    f"the items of {_shown(at)!r} are aligned by {key!r}, which is not compared by its value",
                    hint="align by a field that is compared by exact or within()",
                )
            keys.append(found)
        return Items(node, rule, tuple(keys))

    def _entries(self, value: object, at: Names, inside: frozenset[object], matcher: Matcher | None) -> Node:
        self._refuse(matcher, at, "a dict", f"align(), exact or follow, or a rule for {_shown((*at, '*'))!r}")
        rule = matcher if isinstance(matcher, Align) else align()
        if rule.key:
            raise LadderError(
                f"{_shown(at)!r} is a dict, and is aligned by its own keys", hint="use align() without key="
            )
        node = self.read(value, (*at, "*"), inside)
        if follows(node):
            raise LadderError(
                f"nothing in the entries of {_shown(at)!r} votes", hint="let the dict follow as a whole"
            )
        return Entries(node, rule)

    def _leaf(self, arms: Sequence[object], at: Names, matcher: Matcher | None) -> Leaf:
        sorts: set[Sort] = {_sort(get_origin(_bare(arm)) or _bare(arm)) for arm in arms}
        sort = sorts.pop() if len(sorts) == 1 else "other"
        if isinstance(matcher, Within) and sort != "number":
            raise LadderError(
                f"field {_shown(at)!r} of {self.output!r} is compared by within(), and is no number",
                hint="use exact, or meaning() for text",
            )
        if isinstance(matcher, Meaning) and sort != "text":
            raise LadderError(
                f"field {_shown(at)!r} of {self.output!r} is compared by meaning(), and is no free text",
                hint="use exact, or within() for numbers",
            )
        if isinstance(matcher, Align):
            raise LadderError(
                f"field {_shown(at)!r} of {self.output!r} is compared by align(), and is no list or dict",
                hint="use exact, or a rule for a list inside of it",
            )
        return Leaf(matcher or exact, sort)

    def _rule(self, at: Names) -> Matcher | None:
        self.left.pop(at, None)
        found = self.rules.get(at)
        return found[1] if found else None

    def _refuse(self, matcher: Matcher | None, at: Names, what: str, hint: str) -> None:
        aligned = isinstance(matcher, Align) and what != "a record"
        if matcher is not None and not aligned:
            raise LadderError(f"field {_shown(at)!r} of {self.output!r} is {what}, and is compared by {matcher!r}", hint=f"use {hint}")  # fmt: skip

    def check_used(self) -> None:
        for names, (name, _) in self.left.items():
            parent = names[:-1]
            have = self.seen.get(parent)
            if have is not None:
                raise LadderError(
                    f"{self.output!r} has no field {name!r}, which the vote has a rule for",
                    hint=f"name one of {', '.join(map(repr, have)) or 'none'}",
                )
            raise LadderError(
                f"the vote has a rule for {name!r}, and {_shown(parent)!r} of {self.output!r} votes as one or is not there",
                hint="rule over what votes apart: fields, fields of records in them, and list[*] for items",
            )


# --- units ----------------------------------------------------------------------------------------------------


def _units(root: Node, groups: Sequence[Sequence[Names]], output: str) -> tuple[Unit, ...]:
    found = dict(_flat(root, (), ()))
    records = {names[:depth] for names in found for depth in range(len(names))}
    taken: dict[Names, int] = {}
    for index, group in enumerate(groups):
        for names in group:
            if names not in found and names not in records:
                raise LadderError(
                    f"whole= names {_shown(names)!r}, which {output!r} does not have as a field that votes",
                    hint=f"name one of {', '.join(repr(_shown(have)) for have in found)}",
                )
            for leaf in found:
                if leaf[: len(names)] == names:
                    if leaf in taken:
                        raise LadderError(
                            f"whole= names {_shown(leaf)!r} twice", hint="let a field vote in one group only"
                        )
                    if follows(found[leaf][1]):
                        raise LadderError(
                            f"{_shown(leaf)!r} follows, and is to vote under whole=",
                            hint="choose one of the two",
                        )
                    taken[leaf] = index
    units: dict[object, list[Names]] = {}
    for leaf, (_, node) in found.items():
        if not follows(node):
            units.setdefault(taken.get(leaf, leaf), []).append(leaf)
    return tuple(
        Unit(tuple(found[leaf][0] for leaf in leaves), tuple(found[leaf][1] for leaf in leaves))
        for leaves in units.values()
    )


def _flat(
    node: Node, names: Names, keys: tuple[str, ...]
) -> Iterator[tuple[Names, tuple[tuple[str, ...], Node]]]:
    if isinstance(node, Record):
        for member in node.members:
            yield from _flat(member.node, (*names, member.name), (*keys, member.key))
    else:
        yield names, (keys, node)


# --- types ----------------------------------------------------------------------------------------------------


def _bare(kind: object) -> object:
    """The type without what only annotates, names or wraps it."""
    while True:
        if inspect.isclass(kind) and issubclass(kind, RootModel):
            kind = cast("type[RootModel[object]]", kind).model_fields["root"].annotation
        elif get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif type(kind).__name__ == "TypeAliasType":  # of typing from 3.12 on, and of typing_extensions
            kind = cast("object", getattr(kind, "__value__"))  # noqa: B009  # no one class has it
        elif hasattr(kind, "__supertype__"):
            kind = cast("object", getattr(kind, "__supertype__"))  # noqa: B009  # a NewType, which no checker knows
        else:
            return kind


def _arms(kind: object) -> tuple[object, ...]:
    """What a union may be besides None; the type itself where it is none."""
    if get_origin(kind) in {Union, types.UnionType}:
        arms = tuple(arm for arm in get_args(kind) if arm is not types.NoneType)
        return tuple(leaf for arm in arms for leaf in _arms(_bare(arm)))
    return (kind,)


def _sort(kind: object) -> Sort:
    if not inspect.isclass(kind) or issubclass(kind, bool | Enum):
        return "other"
    if issubclass(kind, int | float | Decimal):
        return "number"
    return "text" if issubclass(kind, str) else "set" if issubclass(kind, AbstractSet) else "other"


def _members(kind: object) -> list[tuple[str, str, object]] | None:
    """Name, JSON key and type of the fields of a record; None for what is none."""
    origin = get_origin(kind) or kind
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        by_alias = bool(kind.model_config.get("serialize_by_alias"))
        return [
            (name, (field.serialization_alias or name) if by_alias else name, field.annotation)
            for name, field in kind.model_fields.items()
            if not field.exclude
        ]
    if _is_typed_dict(origin):
        shape = cast("type[object]", origin)
        if cast("frozenset[str]", getattr(shape, "__optional_keys__", frozenset[str]())):
            return None  # a key that may be missing is part of the value
        hints = _hints(shape)
        return None if hints is None else [(name, name, of) for name, of in hints.items()]
    if inspect.isclass(kind) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        return (
            None
            if hints is None
            else [(field.name, field.name, hints[field.name]) for field in dataclasses.fields(kind)]
        )
    return None


def _hints(kind: type[object]) -> Mapping[str, object] | None:
    """None where a type is named that only the function knows in which the class was written."""
    try:
        return get_type_hints(kind, include_extras=True)
    except NameError:
        return None


def _is_typed_dict(kind: object) -> bool:
    return inspect.isclass(kind) and "__total__" in vars(kind) and dict in kind.__mro__


def _computed(kind: object) -> frozenset[str]:
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return frozenset(
            name for key, field in kind.model_computed_fields.items() for name in (key, field.alias) if name
        )
    return frozenset()


def _item(kind: object) -> object | None:
    origin, args = get_origin(kind) or kind, get_args(kind)
    if not inspect.isclass(origin):
        return None
    if issubclass(origin, tuple):
        return args[0] if len(args) == 2 and args[1] is ... else None
    if issubclass(origin, str | bytes | bytearray):
        return None
    if issubclass(origin, Sequence | AbstractSet):
        return args[0] if args else object
    return None


def _entry(kind: object) -> object | None:
    origin, args = get_origin(kind) or kind, get_args(kind)
    if not _is_typed_dict(origin) and inspect.isclass(origin) and issubclass(origin, Mapping):
        return args[1] if len(args) == 2 else object
    return None


def _shown(names: Names) -> str:
    return ".".join(names).replace(".*", "[*]") or ROOT


def _type_name(kind: object) -> str:
    return kind.__name__ if inspect.isclass(kind) and not get_args(kind) else str(kind)
