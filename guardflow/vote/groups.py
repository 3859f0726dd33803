"""Which ballots say the same about one value: equal, within a tolerance, or the same in meaning.

The groups depend on what was said and how much it weighs, never on the order of ballots.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from guardflow.agreement import Dissent, FieldAgreement
from guardflow.hashing import JSON
from guardflow.values import Model

from .matchers import Meaning, Within
from .nodes import Leaf
from .normal import letters, normal, number, said, storable, token, written
from .polling import Compare

T = TypeVar("T")
Questions: TypeAlias = Generator[Compare, bool, T]
"""What may have to ask a model before it returns."""


@dataclass(frozen=True, slots=True)
class Voter:
    """A ballot's value at one place."""

    ballot: int
    weight: float
    value: JSON


@dataclass(frozen=True, slots=True)
class Cluster:
    """Voters that say the same, and the value that stands for them."""

    voters: tuple[Voter, ...]
    value: JSON
    weight: float


@dataclass(frozen=True, slots=True)
class Answers:
    """What models have said about pairs of texts in this poll.

    Args:
        asking: False where a pair that is not known counts as the same: what could still be.
    """

    known: dict[tuple[Model, str, str], bool] = field(default_factory=dict[tuple[Model, str, str], bool])
    likes: dict[int, dict[tuple[str, str], float]] = field(
        default_factory=dict[int, dict[tuple[str, str], float]]
    )
    """How alike items of lists are, by the node of the list: a poll aligns the same lists several times."""
    asking: bool = True

    def same(self, model: Model, at: str, a: str, b: str) -> Questions[bool]:
        low, high = sorted((a, b))
        if (model, low, high) not in self.known:
            if not self.asking:
                return True
            self.known[model, low, high] = yield Compare(model, at, low, high)
        return self.known[model, low, high]


def weigh(voters: Iterable[Voter]) -> float:
    """Their weight together; the same to the last bit in any order."""
    return math.fsum(voter.weight for voter in voters)


def ordered(clusters: Iterable[Cluster]) -> list[Cluster]:
    """Heaviest first, then most ballots, then by content."""
    return sorted(clusters, key=lambda c: (-c.weight, -len(c.voters), token(c.value), written(c.value)))


def agreement(clusters: Sequence[Cluster]) -> FieldAgreement:
    """How much the voters agreed with the first cluster, which won."""
    total = math.fsum(cluster.weight for cluster in clusters)
    shares = [cluster.weight / total for cluster in clusters if cluster.weight]
    entropy = -math.fsum(share * math.log2(share) for share in shares)
    lost = (cluster for cluster in clusters[1:] if cluster.voters)
    return FieldAgreement(
        share=min(1.0, clusters[0].weight / total),
        entropy=max(0.0, entropy),
        dissent=tuple(
            Dissent(storable(c.value), c.weight, tuple(sorted(voter.ballot for voter in c.voters)))
            for c in lost
        ),
    )


def grouped(leaf: Leaf, voters: Sequence[Voter], at: str, answers: Answers) -> Questions[list[Cluster]]:
    """The groups of equal values at a leaf, the winner first."""
    same = _equal(leaf, voters)
    if isinstance(leaf.matcher, Within):
        return ordered(_close(leaf.matcher, same))
    if isinstance(leaf.matcher, Meaning):
        return ordered((yield from _alike(leaf.matcher, same, at, answers)))
    return ordered(same)


def _equal(leaf: Leaf, voters: Sequence[Voter]) -> list[Cluster]:
    by_token: dict[str, list[Voter]] = {}
    for voter in voters:
        by_token.setdefault(said(leaf, voter.value), []).append(voter)
    return [_one(same) for same in by_token.values()]


def _one(same: Sequence[Voter]) -> Cluster:
    return Cluster(tuple(same), commonest(same), weigh(same))


def commonest(voters: Sequence[Voter]) -> JSON:
    """The value as most of the weight has written it; of equals the shortest, then the first by content."""
    spellings: dict[str, list[Voter]] = {}
    for voter in voters:
        spellings.setdefault(written(voter.value), []).append(voter)
    best = min(spellings.items(), key=lambda pair: (-weigh(pair[1]), len(pair[0]), pair[0]))
    return best[1][0].value


# --- numbers --------------------------------------------------------------------------------------------------


def _close(within: Within, same: Sequence[Cluster]) -> list[Cluster]:
    """Around the number with the most weight near it, then around the next of what is left."""
    clusters: list[Cluster] = []
    by_number: dict[float, list[Voter]] = {}  # numbers so long that floats cannot tell them apart are one
    for cluster in same:
        at = number(cluster.value)
        if at is None:
            clusters.append(cluster)
        else:
            by_number.setdefault(at, []).extend(cluster.voters)
    numbers = {at: _one(voters) for at, voters in by_number.items()}
    while numbers:
        near = {
            centre: sorted(other for other in numbers if within.close(centre, other)) for centre in numbers
        }
        centre = min(
            near,
            key=lambda at: (-math.fsum(numbers[n].weight for n in near[at]), near[at][-1] - near[at][0], at),
        )
        members = [numbers.pop(at) for at in near[centre]]
        voters = tuple(voter for cluster in members for voter in cluster.voters)
        clusters.append(Cluster(voters, _median(members), weigh(voters)))
    return clusters


def _median(members: Sequence[Cluster]) -> JSON:
    """The value in the middle of the weight, the lower one of two: a number that was given, so ints stay ints."""
    half = math.fsum(cluster.weight for cluster in members) / 2
    for upto in range(1, len(members) + 1):
        if math.fsum(cluster.weight for cluster in members[:upto]) >= half - 1e-9:
            return members[upto - 1].value
    return members[-1].value


# --- meanings -------------------------------------------------------------------------------------------------


def _alike(meaning: Meaning, same: Sequence[Cluster], at: str, answers: Answers) -> Questions[list[Cluster]]:
    """Each text joins the heaviest group whose first text means the same."""
    texts = [cluster for cluster in ordered(same) if isinstance(cluster.value, str)]
    groups: list[list[Cluster]] = []
    for text in texts:
        for group in groups:
            if (yield from answers.same(meaning.model, at, _text(group[0]), _text(text))):
                group.append(text)
                break
        else:
            groups.append([text])
    others = [cluster for cluster in same if not isinstance(cluster.value, str)]
    return [*others, *(_medoid(group) for group in groups)]


def _medoid(group: Sequence[Cluster]) -> Cluster:
    def far(text: Cluster) -> float:
        return math.fsum(other.weight * (1 - letters(_text(text), _text(other))) for other in group)

    voters = tuple(voter for cluster in group for voter in cluster.voters)
    middle = min(group, key=lambda text: (far(text), -text.weight, _text(text)))
    return Cluster(voters, middle.value, weigh(voters))


def _text(cluster: Cluster) -> str:
    text = normal(cluster.value)
    assert isinstance(text, str)
    return text


# --- several values together ----------------------------------------------------------------------------------


def together(parts: Sequence[Sequence[Cluster]], joint: Mapping[int, Voter]) -> list[Cluster]:
    """The groups of ballots that agree in every part.

    Args:
        parts: the groups of each part.
        joint: the values of all parts of a ballot, by its number.
    """
    sides: dict[int, list[int]] = {ballot: [] for ballot in joint}
    for clusters in parts:
        for index, cluster in enumerate(clusters):
            for voter in cluster.voters:
                sides[voter.ballot].append(index)
    groups: dict[tuple[int, ...], list[Voter]] = {}
    for ballot, side in sides.items():
        groups.setdefault(tuple(side), []).append(joint[ballot])
    return ordered(Cluster(tuple(same), commonest(same), weigh(same)) for same in groups.values())
