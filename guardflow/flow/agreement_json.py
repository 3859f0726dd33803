"""How sure a vote was, as JSON: in a stage's envelope, in a fan_out item, in a run's result. Read back here too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

from guardflow.agreement import Agreement, Dissent, FieldAgreement
from guardflow.hashing import JSON


def agreement_json(agreement: Agreement) -> Mapping[str, JSON]:
    """The agreement as JSON."""
    fields: dict[str, JSON] = {at: _field_json(field) for at, field in agreement.fields.items()}
    return {
        "share": agreement.share,
        "entropy": agreement.entropy,
        "ballots": agreement.ballots,
        "spoiled": agreement.spoiled,
        "decided": agreement.decided,
        "fields": fields,
    }


def agreement_from(data: JSON) -> Agreement | None:
    """The inverse; None where nothing was voted on, as in every envelope of an earlier guardflow."""
    if not isinstance(data, Mapping):
        return None
    fields = cast("Mapping[str, Mapping[str, JSON]]", data["fields"])
    return Agreement(
        share=_number(data["share"]),
        entropy=_number(data["entropy"]),
        ballots=cast("int", data["ballots"]),
        spoiled=cast("int", data["spoiled"]),
        fields={at: _field_from(field) for at, field in fields.items()},
        decided=cast("Literal['rule', 'split']", data["decided"]),
    )


def share_of(data: JSON) -> float | None:
    """The share of a stored agreement; None where nothing was voted on."""
    return _number(data["share"]) if isinstance(data, Mapping) else None


def votes_from(data: JSON) -> Mapping[str, Agreement]:
    """The agreements of a run by stage, as its result stores them."""
    if not isinstance(data, Mapping):
        return {}
    read = {stage: agreement_from(stored) for stage, stored in data.items()}
    return {stage: agreement for stage, agreement in read.items() if agreement is not None}


def least_sure(known: Agreement | None, other: Agreement) -> Agreement:
    """Of two calls of one stage the one whose ballots agreed less."""
    return other if known is None or other.share < known.share else known


def _field_json(field: FieldAgreement) -> Mapping[str, JSON]:
    out: dict[str, JSON] = {"share": field.share, "entropy": field.entropy}
    if field.dissent:
        out["dissent"] = [[d.value, d.weight, list(d.ballots)] for d in field.dissent]
    return out


def _field_from(data: Mapping[str, JSON]) -> FieldAgreement:
    rows = cast("Sequence[tuple[JSON, JSON, Sequence[int]]]", data.get("dissent", ()))
    dissent = tuple(Dissent(value, _number(weight), tuple(ballots)) for value, weight, ballots in rows)
    return FieldAgreement(_number(data["share"]), _number(data["entropy"]), dissent)


def _number(data: JSON) -> float:
    return float(cast("float", data))
