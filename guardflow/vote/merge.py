"""The value that ballots give together, and how far each stands behind it: leaf by leaf, list by list.

The poll calls `merge` for each unit that votes. Lists keep the items that enough of the weight has; inside an item
the heaviest group of every field wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from guardflow.agreement import Dissent, FieldAgreement
from guardflow.hashing import JSON
from guardflow.values import Finding, Path

from .fitting import has_fields
from .groups import Answers, Cluster, Questions, Voter, agreement, commonest, grouped, ordered, weigh
from .lists import Slot, aligned
from .matchers import exact
from .nodes import Entries, Items, Leaf, Node, Record, follows
from .normal import token, written

_BEHIND = 0.5 - 1e-9
"""A ballot stands behind a merged list if this much of what the two name together is the same in both."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What the voters say together at one place.

    Args:
        clusters: the groups of ballots that say the same; the first is for ``value``, and may be empty in a list.
        behind: by ballot, how much of its value is in the merged one, 0 to 1.
        fields: agreement by JSON path, of the place itself and of the kept items below.
    """

    value: JSON
    clusters: Sequence[Cluster]
    behind: Mapping[int, float]
    fields: Mapping[str, FieldAgreement] = field(default_factory=dict[str, FieldAgreement])


def shown(at: Path) -> str:
    """A JSON path, as in findings."""
    return Finding("", at=at).where()


def merge(node: Node, voters: Sequence[Voter], at: Path, answers: Answers) -> Questions[Merged]:
    """Merge the values of some voters, at least one, at a place.

    Args:
        at: where, for reports and questions.
    """
    if isinstance(node, Leaf):
        return (yield from _leaf(node, voters, at, answers))
    if isinstance(node, Record):
        if all(has_fields(node, voter.value) for voter in voters):
            return (yield from _record(node, voters, at, answers))
        return (yield from _leaf(Leaf(exact), voters, at, answers))
    shaped = list if isinstance(node, Items) else Mapping
    listed = [voter for voter in voters if isinstance(voter.value, shaped)]
    if 2 * weigh(listed) <= weigh(voters):  # most say None
        return (yield from _leaf(Leaf(exact), voters, at, answers))
    return (yield from _list(node, voters, listed, at, answers))


def _leaf(node: Leaf, voters: Sequence[Voter], at: Path, answers: Answers) -> Questions[Merged]:
    clusters = yield from grouped(node, voters, shown(at), answers)
    won = {voter.ballot for voter in clusters[0].voters}
    behind = {voter.ballot: float(voter.ballot in won) for voter in voters}
    return Merged(clusters[0].value, clusters, behind, {shown(at): agreement(clusters)})


def _record(
    node: Record, voters: Sequence[Voter], at: Path, answers: Answers, keys: frozenset[str] = frozenset()
) -> Questions[Merged]:
    """Field by field; what follows is taken from the voter who is nearest in the others.

    Args:
        keys: of members that are the same in all, or the values would not be compared here: no sign that they agree.
    """
    parts: dict[str, Merged] = {}
    fields: dict[str, FieldAgreement] = {}
    for member in node.members:
        if not follows(member.node):
            inside = [replace(v, value=_held(v).get(member.key)) for v in voters]
            parts[member.key] = part = yield from merge(member.node, inside, (*at, member.key), answers)
            fields.update(part.fields)
    telling = [part for key, part in parts.items() if key not in keys] or [*parts.values()]
    behind = {
        voter.ballot: math.fsum(part.behind[voter.ballot] for part in telling) / len(telling)
        for voter in voters
    }
    near = min(voters, key=lambda v: (-behind[v.ballot], -v.weight, written(v.value)))
    value = filled(node, {(key,): part.value for key, part in parts.items()}, near.value)
    same = Cluster(tuple(voters), value, weigh(voters))
    return Merged(value, [same], behind, fields)


def filled(node: Node, won: Mapping[tuple[str, ...], JSON], near: JSON, at: tuple[str, ...] = ()) -> JSON:
    """What won, completed by what follows: fields without a vote, and keys that are no fields.

    Args:
        won: the values that won, by JSON keys.
        near: the value of the nearest ballot at this place.
    """
    if at in won:
        return won[at]
    if not isinstance(node, Record) or not isinstance(near, Mapping):
        return near
    known = {member.key for member in node.members} | node.computed
    value: dict[str, JSON] = {key: item for key, item in near.items() if key not in known}
    for member in node.members:
        value[member.key] = filled(member.node, won, near.get(member.key), (*at, member.key))
    return value


def _held(voter: Voter) -> Mapping[str, JSON]:
    return cast("Mapping[str, JSON]", voter.value)


# --- lists and dicts ------------------------------------------------------------------------------------------


def _list(
    node: Items | Entries, voters: Sequence[Voter], listed: Sequence[Voter], at: Path, answers: Answers
) -> Questions[Merged]:
    total, floor = weigh(voters), node.align.floor
    slots = aligned(node, listed, answers.likes.setdefault(id(node), {}))
    kept = [slot for slot in slots if weigh(slot.voters) >= floor * total - 1e-9]
    inner = node.item if isinstance(node, Items) else node.value
    fields: dict[str, FieldAgreement] = {}
    values: list[JSON] = []
    credit = dict.fromkeys((voter.ballot for voter in voters), 0.0)
    for index, slot in enumerate(kept):
        where = (*at, index if slot.key is None else slot.key)
        part = yield from _item(node, inner, slot.voters, where, answers)
        values.append(part.value)
        fields.update(_of_all({shown(where): _all_agree(), **part.fields}, slot, voters))
        for voter in slot.voters:
            credit[voter.ballot] += part.behind[voter.ballot]
    behind = {voter.ballot: 0.0 for voter in voters}
    for voter in listed:
        having = sum(voter.ballot in slot.ballots for slot in kept)
        together = len(kept) + len(cast("Sequence[JSON]", voter.value)) - having
        behind[voter.ballot] = credit[voter.ballot] / together if together else 1.0
    value: JSON = (
        values
        if isinstance(node, Items)
        else {str(slot.key): v for slot, v in zip(kept, values, strict=True)}
    )
    clusters = _sides(value, voters, {b for b, share in behind.items() if share >= _BEHIND})
    return Merged(value, clusters, behind, {shown(at): agreement(clusters), **fields})


def _item(
    node: Items | Entries, inner: Node, voters: Sequence[Voter], at: Path, answers: Answers
) -> Questions[Merged]:
    """An item, or an entry; ``behind`` is without what made it be taken for the same thing."""
    if isinstance(node, Entries) or not isinstance(inner, Record):
        return (yield from merge(inner, voters, at, answers))
    if not all(has_fields(inner, voter.value) for voter in voters):
        return (yield from merge(inner, voters, at, answers))
    part = yield from _record(inner, voters, at, answers, frozenset(member.key for member in node.keys))
    if node.keys:
        return part
    return replace(part, behind={ballot: max(0.0, 2 * share - 1) for ballot, share in part.behind.items()})


def _all_agree() -> FieldAgreement:
    return FieldAgreement(share=1.0, entropy=0.0)


def _of_all(
    fields: Mapping[str, FieldAgreement], slot: Slot, voters: Sequence[Voter]
) -> Mapping[str, FieldAgreement]:
    """The agreement of those who have an item, as that of all: who does not have it dissents, with None."""
    absent = [voter for voter in voters if voter.ballot not in slot.ballots]
    if not absent:
        return fields
    has = weigh(slot.voters) / weigh(voters)
    whether = -math.fsum((has * math.log2(has), (1 - has) * math.log2(1 - has)))
    lost = Dissent(None, weigh(absent), tuple(sorted(voter.ballot for voter in absent)))
    return {
        at: FieldAgreement(
            share=has * field.share, entropy=whether + has * field.entropy, dissent=(*field.dissent, lost)
        )
        for at, field in fields.items()
    }


def _sides(value: JSON, voters: Sequence[Voter], behind: set[int]) -> list[Cluster]:
    """The ballots that stand behind a merged list, and the others by what they say."""
    mine = tuple(voter for voter in voters if voter.ballot in behind)
    others: dict[str, list[Voter]] = {}
    for voter in voters:
        if voter.ballot not in behind:
            others.setdefault(token(voter.value), []).append(voter)
    lost = (Cluster(tuple(same), commonest(same), weigh(same)) for same in others.values())
    return [Cluster(mine, value, weigh(mine)), *ordered(lost)]
