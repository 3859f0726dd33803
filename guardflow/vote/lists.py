"""Which items of several lists stand for the same thing: by key, else by likeness, in the best pairing there is.

`merge.py` calls it. What comes out depends on the lists alone, not on the order of ballots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from guardflow.hashing import JSON

from .assignment import assign
from .groups import Voter, weigh
from .matchers import Meaning, Within
from .nodes import Entries, Items, Leaf, Member
from .normal import likeness, number, said, token, written

_MOST_ITEMS = 60
"""Longer lists are paired greedily, best pair first: the exact pairing costs the third power of the length."""
_MOST_PAIRS = 10_000
"""Of more pairs than this only equal items are matched, so that a hostile answer costs no more than a long one."""
_LIKE = 0.5
"""Items that are less alike than this stand for different things."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing that lists name: the items that stand for it, at most one a ballot. ``key`` is that of a dict."""

    voters: tuple[Voter, ...]
    places: tuple[float, ...]
    """Where in its list each item is: 0 is the beginning, 1 the end."""
    key: str | None = None

    @property
    def ballots(self) -> frozenset[int]:
        return frozenset(voter.ballot for voter in self.voters)


@dataclass(frozen=True, slots=True)
class _Item:
    voter: Voter
    place: float
    text: str


Likes: TypeAlias = dict[tuple[str, str], float]
"""How alike two items of a list are, by what is written in them."""


def aligned(node: Items | Entries, voters: Sequence[Voter], likes: Likes) -> list[Slot]:
    """What the lists name, each thing once, in the order in which the lists have it on average.

    Args:
        likes: what was found out about this list before; more is put there.
    """
    if isinstance(node, Entries):
        return _by_key(voters)
    lists = sorted(
        (_items(voter) for voter in voters),
        key=lambda items: (-len(items), [item.text for item in items]),
    )
    things: list[list[_Item]] = []
    for bucket in _buckets(node, lists):
        things += _paired(node, bucket, likes)
    slots = (Slot(tuple(i.voter for i in thing), tuple(i.place for i in thing)) for thing in things)
    return sorted(slots, key=lambda slot: (_middle(slot), sorted(written(v.value) for v in slot.voters)))


def _by_key(voters: Sequence[Voter]) -> list[Slot]:
    entries: dict[str, list[Voter]] = {}
    for voter in voters:
        for key, value in cast("Mapping[str, JSON]", voter.value).items():
            entries.setdefault(key, []).append(Voter(voter.ballot, voter.weight, value))
    return [Slot(tuple(entries[key]), (0.0,) * len(entries[key]), key) for key in sorted(entries)]


def _items(voter: Voter) -> list[_Item]:
    values = cast("Sequence[JSON]", voter.value)
    last = max(1, len(values) - 1)
    return [
        _Item(Voter(voter.ballot, voter.weight, value), i / last, written(value))
        for i, value in enumerate(values)
    ]


def _middle(slot: Slot) -> float:
    weighted = (place * voter.weight for place, voter in zip(slot.places, slot.voters, strict=True))
    return round(math.fsum(weighted) / weigh(slot.voters), 9)


def _buckets(node: Items, lists: Sequence[Sequence[_Item]]) -> Iterator[list[list[_Item]]]:
    """The lists, cut into parts that cannot have an item in common."""
    if not _cuts(node):
        yield [list(items) for items in lists]
        return
    buckets: dict[str, list[list[_Item]]] = {}
    for index, items in enumerate(lists):
        for item in items:
            bucket = buckets.setdefault(_key(node, item.voter.value), [[] for _ in lists])
            bucket[index].append(item)
    yield from (buckets[key] for key in sorted(buckets))


def _cuts(node: Items) -> bool:
    """Whether items can only be the same where something about them is equal."""
    if node.keys:
        return not any(_tolerant(member) for member in node.keys)
    return isinstance(node.item, Leaf) and not isinstance(node.item.matcher, Within) and not _fuzzy(node)


def _fuzzy(node: Items) -> bool:
    return isinstance(node.item, Leaf) and isinstance(node.item.matcher, Meaning)


def _tolerant(member: Member) -> bool:
    return isinstance(member.node, Leaf) and isinstance(member.node.matcher, Within)


def _key(node: Items, value: JSON) -> str:
    if not node.keys:
        return said(node.item, value)
    return token([said(member.node, _part(value, member)) for member in node.keys])


def _part(value: JSON, member: Member) -> JSON:
    return value.get(member.key) if isinstance(value, Mapping) else None


def _paired(node: Items, lists: Sequence[Sequence[_Item]], likes: Likes) -> list[list[_Item]]:
    """Things, list by list: each list's items join what they are most like, one each, or are things of their own."""
    things: list[list[_Item]] = []
    for items in lists:
        joined = _equal(items, things)
        free = [row for row in range(len(items)) if row not in joined]
        taken = set(joined.values())
        open_ = [column for column in range(len(things)) if column not in taken]
        if free and open_ and len(free) * len(open_) <= _MOST_PAIRS:
            unknown = [items[row] for row in free]
            pairs = _matches(node, unknown, [things[column] for column in open_], likes)
            joined |= {free[row]: open_[column] for row, column in pairs}
        for row, item in enumerate(items):
            if row in joined:
                things[joined[row]].append(item)
            else:
                things.append([item])
    return things


def _equal(items: Sequence[_Item], things: Sequence[Sequence[_Item]]) -> dict[int, int]:
    """The thing of each item that is there already, word for word."""
    known: dict[str, list[int]] = {}
    for column, thing in reversed([*enumerate(things)]):
        for text in {token(other.voter.value) for other in thing}:
            known.setdefault(text, []).append(column)
    joined: dict[int, int] = {}
    taken: set[int] = set()
    for row, item in enumerate(items):
        free = known.get(token(item.voter.value), [])
        while free and free[-1] in taken:
            free.pop()
        if free:
            joined[row] = free.pop()
            taken.add(joined[row])
    return joined


def _matches(
    node: Items, items: Sequence[_Item], things: Sequence[Sequence[_Item]], likes: Likes
) -> list[tuple[int, int]]:
    several = [{other.text: other for other in thing} for thing in things]
    like = [[_like(node, item, others, likes) for others in several] for item in items]
    if len(items) > _MOST_ITEMS or len(things) > _MOST_ITEMS:
        return _greedy(like)
    # As many columns that stand for "a thing of its own" as there are items, at the cost of the worst match.
    costs = [[1 - share if share else 2.0 for share in row] + [1.0] * len(items) for row in like]
    pairs = enumerate(assign(costs))
    return [(row, column) for row, column in pairs if column < len(things) and like[row][column]]


def _greedy(like: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    ranked = sorted(
        (-share, row, column) for row, line in enumerate(like) for column, share in enumerate(line)
    )
    rows: set[int] = set()
    columns: set[int] = set()
    pairs: list[tuple[int, int]] = []
    for share, row, column in ranked:
        if share and row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            pairs.append((row, column))
    return pairs


def _like(node: Items, item: _Item, others: Mapping[str, _Item], likes: Likes) -> float:
    """How alike an item and a thing are, above 0 only where they may be the same."""
    mine = item.voter.value
    if node.keys and not all(_same_key(node, mine, other.voter.value) for other in others.values()):
        return 0.0
    shares: list[float] = []
    for text, other in others.items():
        share = likes.get((item.text, text))
        if share is None:
            share = likes[item.text, text] = likeness(node.item, mine, other.voter.value)
        shares.append(share)
    share = math.fsum(shares) / len(shares)
    if node.keys:
        return 0.5 + share / 2
    return share if share >= _LIKE else 0.0


def _same_key(node: Items, a: JSON, b: JSON) -> bool:
    for member in node.keys:
        x, y = _part(a, member), _part(b, member)
        if said(member.node, x) == said(member.node, y):
            continue
        matcher = member.node.matcher if isinstance(member.node, Leaf) else None
        n, m = number(x), number(y)
        if not isinstance(matcher, Within) or n is None or m is None or not matcher.close(n, m):
            return False
    return True
