"""Which parts of a type its JSON really has: serializers and aliases may write something else than the fields.

The poll asks it before it counts. Where a field is not where the type says, every ballot would seem to say the same
nothing: what holds it votes as one instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guardflow.hashing import JSON

from .matchers import exact
from .nodes import Leaf, Record, follows
from .shape import Shape, Unit


def fitting(shape: Shape, values: Sequence[JSON]) -> tuple[Unit, ...]:
    """What votes apart in these values: the units of the shape, and as one what does not have its fields."""
    gaps = {
        value_at
        for value in values
        for unit in shape.units
        for path in unit.paths
        if (value_at := _gap(value, path)) is not None
    }
    if not gaps:
        return shape.units
    tops = sorted(gap for gap in gaps if not any(gap[:n] in gaps for n in range(len(gap))))
    kept = (_without(unit, tops) for unit in shape.units)
    as_one = (Unit((top,), (Leaf(exact),)) for top in tops)
    return (*(unit for unit in kept if unit is not None), *as_one)


def has_fields(record: Record, value: JSON) -> bool:
    """Whether the value has every field of the record that votes."""
    return isinstance(value, Mapping) and all(
        member.key in value or follows(member.node) for member in record.members
    )


def _gap(value: JSON, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The place that should have a part on the way, and does not; None if the way is there."""
    for depth, key in enumerate(path):
        if not isinstance(value, Mapping) or key not in value:
            return path[:depth]
        value = value[key]
    return None


def _without(unit: Unit, tops: Sequence[tuple[str, ...]]) -> Unit | None:
    parts = [
        (path, node)
        for path, node in zip(unit.paths, unit.nodes, strict=True)
        if not any(path[: len(top)] == top for top in tops)
    ]
    return Unit(tuple(path for path, _ in parts), tuple(node for _, node in parts)) if parts else None
