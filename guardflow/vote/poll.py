"""Counting: ballots in, where the vote stands out. Questions that only a model can answer are yielded.

`Vote.bind` makes a `Poll` for one output type. What it returns depends on the set of ballots alone, so a poll can
be taken again after every ballot, and after a restart.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from guardflow.agreement import Agreement, FieldAgreement
from guardflow.errors import LadderError
from guardflow.hashing import JSON
from guardflow.kinds import Kind

from .fitting import fitting
from .groups import Answers, Cluster, Questions, Voter, commonest, together, weigh
from .merge import Merged, filled, merge
from .nodes import Leaf, Node, asks
from .normal import written
from .polling import AllSpoiled, Ballot, Cast, Compare, Decided, Split, Spoiled, Standing, Undecided
from .rules import Group, fewest

if TYPE_CHECKING:
    from .shape import Shape, Unit
    from .vote import Vote

_TOO_LONG = 3
"""An answer of more than this many times the median length went astray; Meyerson et al. 2025, arXiv 2511.09030."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A unit, counted. ``needs`` is the fewest further ballots that could decide it, None where none can."""

    unit: Unit
    values: Mapping[tuple[str, ...], JSON]
    clusters: Sequence[Cluster]
    behind: Mapping[int, float]
    fields: Mapping[str, FieldAgreement]
    needs: int | None


@dataclass(frozen=True, slots=True)
class Poll:
    """A vote over one output type."""

    vote: Vote
    shape: Shape

    def poll(self, ballots: Sequence[Ballot]) -> Generator[Compare, bool, Standing]:
        """Where the vote stands with the ballots that are in, in any order.

        A ballot whose number is not below `Vote.max` is not counted. From three ballots on, one that is longer than
        three times their median is spoiled.

        Yields:
            `Compare`, where two texts have to be compared by a model; send the answer. No pair is asked about twice,
            and none while the vote could not be decided anyway.

        Returns:
            `Undecided`, `Decided`, `Split`, or `AllSpoiled`.

        Raises:
            LadderError: two ballots have the same number.
        """
        return (yield from _Count(self, ballots).standing())


class _Count:
    """One poll: who counts, who is left, and how the units stand."""

    def __init__(self, poll: Poll, ballots: Sequence[Ballot]) -> None:
        self.vote, self.shape = poll.vote, poll.shape
        weights = self.vote.weights
        counted = sorted((b for b in ballots if b.ballot < self.vote.max), key=lambda b: b.ballot)
        numbers = {ballot.ballot for ballot in counted}
        if len(numbers) != len(counted):
            raise LadderError(
                "two ballots of a vote have the same number",
                hint="give each ballot of a stage call its own number",
            )
        cast = [ballot for ballot in counted if isinstance(ballot, Cast)]
        self.cast = _not_too_long(cast)
        self.kinds = [ballot.kind for ballot in counted if isinstance(ballot, Spoiled)]
        self.kinds += [Kind.GUARD] * (len(cast) - len(self.cast))  # what checks the length is a guard of ours
        self.voters = [Voter(b.ballot, weights[b.ballot % len(weights)], b.value) for b in self.cast]
        left = [weights[n % len(weights)] for n in range(self.vote.max) if n not in numbers]
        size = self.vote.rule.size
        self.left = left if size is None else left[: max(0, size - len(self.voters))]
        self.units = fitting(poll.shape, [ballot.value for ballot in self.cast])
        self.answers = Answers()

    def standing(self) -> Questions[Standing]:
        rule = self.vote.rule
        needs = fewest(rule, [Group(weigh(self.voters), len(self.voters))], self.left)
        if len(self.voters) + len(self.left) < rule.least or (needs is None and not self.voters):
            return AllSpoiled(_worst(self.kinds), (yield from self._agreement_so_far()))
        if needs and not self.voters:
            return Undecided(needs)
        tallies, needs = yield from self._tallies(needs)
        if needs is None:
            return Split(self._candidates(tallies), self._agreement(tallies))
        return Undecided(needs) if needs else self._decided(tallies)

    # --- counting -----------------------------------------------------------------------------------------------

    def _tallies(self, needs: int | None) -> Questions[tuple[list[Tally], int | None]]:
        """The units counted, those first that need no model; the others only if they could decide now.

        Args:
            needs: the fewest further ballots if all that are in agree.
        """
        tallies: list[Tally] = []
        for unit in sorted(self.units, key=lambda unit: any(map(asks, unit.nodes))):
            undecided = needs if needs is not None else tallies
            if undecided and any(map(asks, unit.nodes)):
                break
            tally = yield from self._tally(unit)
            tallies.append(tally)
            needs = None if needs is None or tally.needs is None else max(needs, tally.needs)
        return tallies, needs

    def _tally(self, unit: Unit) -> Questions[Tally]:
        parts: list[Merged] = []
        for path, node in zip(unit.paths, unit.nodes, strict=True):
            parts.append((yield from merge(node, _inside(self.voters, path), path, self.answers)))
        fields = {at: field for part in parts for at, field in part.fields.items()}
        if len(parts) == 1:
            part = parts[0]
            needs = self._needs(part.clusters)
            if needs is None and not isinstance(unit.nodes[0], Leaf):
                needs = yield from self._could_turn(unit.nodes[0], unit.paths[0], part)
            return Tally(unit, {unit.paths[0]: part.value}, part.clusters, part.behind, fields, needs)
        return self._joint(unit, parts, fields)

    def _joint(self, unit: Unit, parts: Sequence[Merged], fields: Mapping[str, FieldAgreement]) -> Tally:
        """Fields that vote together: the values that won are those of one ballot."""
        held = {
            voter.ballot: replace(voter, value=[_at(voter.value, path) for path in unit.paths])
            for voter in self.voters
        }
        clusters = together([part.clusters for part in parts], held)
        values = dict(zip(unit.paths, cast("Sequence[JSON]", clusters[0].value), strict=True))
        won = {voter.ballot for voter in clusters[0].voters}
        behind = {voter.ballot: float(voter.ballot in won) for voter in self.voters}
        share = clusters[0].weight / weigh(self.voters)
        together_fields = {at: replace(field, share=min(field.share, share)) for at, field in fields.items()}
        return Tally(unit, values, clusters, behind, together_fields, self._needs(clusters))

    def _needs(self, clusters: Sequence[Cluster]) -> int | None:
        """The fewest further ballots. Only the first cluster may win: in a list, it is the one that was merged."""
        rule, groups = self.vote.rule, [Group(c.weight, len(c.voters)) for c in clusters if c.voters]
        needs = fewest(rule, groups, self.left)
        if needs == 0:
            first = Group(clusters[0].weight, len(clusters[0].voters))
            if not clusters[0].voters or max(groups) != first:
                needs = 1 if self.left else None
        return needs

    def _could_turn(self, node: Node, path: tuple[str, ...], now: Merged) -> Questions[int | None]:
        """Whether the ballots that are left could still decide a list: if all of them said the same."""
        if not self.left:
            return None
        guessing = replace(self.answers, asking=False)
        voters = _inside(self.voters, path)
        said = {written(voter.value): voter.value for voter in voters}
        for value in (now.value, *said.values()):
            extra = [Voter(self.vote.max + n, weight, value) for n, weight in enumerate(self.left)]
            then = yield from merge(node, [*voters, *extra], path, guessing)
            groups = [Group(c.weight, len(c.voters)) for c in then.clusters if c.voters]
            if then.clusters[0].voters and self.vote.rule.wins(sorted(groups, reverse=True), ()):
                return len(self.left)
        return None

    # --- results ------------------------------------------------------------------------------------------------

    def _decided(self, tallies: Sequence[Tally]) -> Decided:
        won = {path: value for tally in tallies for path, value in tally.values.items()}
        scores = {
            ballot.ballot: math.fsum(tally.behind[ballot.ballot] for tally in tallies) for ballot in self.cast
        }
        weights = {voter.ballot: voter.weight for voter in self.voters}

        def near(ballot: Cast) -> tuple[float, int, float, str, int]:
            letter = sum(_at(ballot.value, path) == value for path, value in won.items())
            content = written(ballot.value)
            return (-scores[ballot.ballot], -letter, -weights[ballot.ballot], content, ballot.ballot)

        nearest = tuple(sorted(self.cast, key=near))
        return Decided(filled(self.shape.root, won, nearest[0].value), self._agreement(tallies), nearest)

    def _candidates(self, tallies: Sequence[Tally]) -> tuple[JSON, ...]:
        """The answers that differ in what was counted, heaviest first."""
        sides: dict[tuple[int, ...], list[Voter]] = {}
        for voter in self.voters:
            side = tuple(
                next(i for i, cluster in enumerate(tally.clusters) if voter.ballot in _numbers(cluster))
                for tally in tallies
            )
            sides.setdefault(side, []).append(voter)
        distinct = [Cluster(tuple(same), commonest(same), weigh(same)) for same in sides.values()]
        return tuple(c.value for c in sorted(distinct, key=lambda c: (-c.weight, written(c.value))))

    def _agreement(self, tallies: Sequence[Tally]) -> Agreement:
        fields = {at: field for tally in tallies for at, field in tally.fields.items()}
        return Agreement(
            share=min(field.share for field in fields.values()),
            entropy=max(field.entropy for field in fields.values()),
            ballots=len(self.voters),
            spoiled=len(self.kinds),
            fields=fields,
        )

    def _agreement_so_far(self) -> Questions[Agreement | None]:
        """What the few valid ballots agree on, without asking a model; None where there are none."""
        if not self.voters:
            return None
        tallies: list[Tally] = []
        for unit in (unit for unit in self.units if not any(map(asks, unit.nodes))):
            tally = yield from self._tally(unit)
            tallies.append(tally)
        return self._agreement(tallies) if tallies else None


def _not_too_long(ballots: Sequence[Cast]) -> list[Cast]:
    if len(ballots) < 3:
        return list(ballots)
    most = _TOO_LONG * statistics.median(ballot.length for ballot in ballots)
    return [ballot for ballot in ballots if ballot.length <= most]


def _worst(kinds: Sequence[Kind]) -> Kind:
    """The commonest; of equally common ones the last in the order of declaration, which is the gravest."""
    counts = Counter(kinds)
    return max(counts, key=lambda kind: (counts[kind], kind.value))


def _inside(voters: Sequence[Voter], path: tuple[str, ...]) -> list[Voter]:
    return [replace(voter, value=_at(voter.value, path)) for voter in voters]


def _at(value: JSON, path: tuple[str, ...]) -> JSON:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _numbers(cluster: Cluster) -> frozenset[int]:
    return frozenset(voter.ballot for voter in cluster.voters)
