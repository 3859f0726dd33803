"""The parts of an output type, as a vote sees them: leaves that are compared, records, lists and dicts of them.

`shape.py` makes the tree from a type; `groups.py` and `lists.py` count along it. Data only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .matchers import Align, Follow, Matcher, Meaning

Sort: TypeAlias = Literal["number", "text", "set", "other"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is compared as one."""

    matcher: Matcher
    sort: Sort = "other"


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a record: its name in Python, its key in JSON."""

    name: str
    key: str
    node: Node


@dataclass(frozen=True, slots=True)
class Record:
    """A value whose fields are compared apart. Keys that are no fields follow the nearest ballot."""

    members: tuple[Member, ...]
    computed: frozenset[str] = frozenset()
    """Keys that pydantic writes and nobody may set."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list whose items are aligned. ``keys`` are the members that tell what an item is about."""

    item: Node
    align: Align
    keys: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Entries:
    """A dict whose entries are aligned by their keys."""

    value: Node
    align: Align


Node: TypeAlias = Leaf | Record | Items | Entries


def follows(node: Node) -> bool:
    """Whether nothing in it votes."""
    if isinstance(node, Leaf):
        return isinstance(node.matcher, Follow)
    if isinstance(node, Record):
        return all(follows(member.node) for member in node.members)
    return False


def asks(node: Node) -> bool:
    """Whether a model may have to be asked about it."""
    if isinstance(node, Leaf):
        return isinstance(node.matcher, Meaning)
    if isinstance(node, Record):
        return any(asks(member.node) for member in node.members)
    return asks(node.item if isinstance(node, Items) else node.value)
