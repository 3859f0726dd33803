"""Outcomes as JSON: the one shape that checkpoints, fan_out items and run outputs are stored in.

Written by stages, read on replay. A value over 256 kB is stored once by its content address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

from guardflow.errors import ReplayMismatch
from guardflow.hashing import JSON, canonical_json
from guardflow.kinds import Kind
from guardflow.values import AttemptNote, Finding, Outcome, Role, Spend, Status

from .agreement_json import agreement_from, agreement_json
from .codec import Codec
from .protocols import Artifacts, Envelope

VERSION = 1
INLINE_LIMIT = 256 * 1024
"""Bytes of JSON up to which a value stays inside its checkpoint."""

T = TypeVar("T")


async def pack(
    outcome: Outcome[T], codec: Codec[T], *, digest: str, artifacts: Artifacts, inline: int = INLINE_LIMIT
) -> Envelope:
    """The outcome as an envelope.

    Args:
        digest: the input's hash.
        inline: bytes of JSON up to which the value stays inside the envelope.
    """
    envelope: dict[str, JSON] = {"v": VERSION, "name": outcome.stage, "in": digest, "status": outcome.status}
    if outcome.ok:
        data = codec.dump(cast("T", outcome.value))
        encoded = b"" if _surely_small(data) else canonical_json(data)
        if len(encoded) > inline:
            envelope["at"] = await artifacts.put(encoded)
        else:
            envelope["value"] = data
    if outcome.kind is not None:
        envelope["kind"] = outcome.kind.name
    if outcome.message:
        envelope["message"] = outcome.message
    if outcome.findings:
        envelope["findings"] = [finding_json(f) for f in outcome.findings]
    if outcome.warnings:
        envelope["warnings"] = [finding_json(f) for f in outcome.warnings]
    if outcome.attempts:
        envelope["attempts"] = [_note_json(a) for a in outcome.attempts]
        s = outcome.spend
        envelope["spend"] = [s.nano_usd, s.tokens, s.calls, s.unpriced, s.in_doubt]
    if outcome.agreement is not None:
        envelope["agreement"] = agreement_json(outcome.agreement)
    return envelope


async def unpack(envelope: Envelope, codec: Codec[T], *, artifacts: Artifacts) -> Outcome[T]:
    """The outcome a stage stored.

    Raises:
        ReplayMismatch: the value no longer fits the type, or the envelope is of a newer version.
    """
    if envelope.get("v") != VERSION:
        raise ReplayMismatch(
            f"{codec.owner} finds a checkpoint of version {envelope.get('v')!r}, and this guardflow reads {VERSION}",
            hint="continue the run with the guardflow that wrote it",
        )
    status = cast("Status", envelope["status"])
    value: T | None = None
    if status in ("ok", "degraded"):
        value = codec.load(await stored_value(envelope, artifacts=artifacts))
    kind = envelope.get("kind")
    return Outcome(
        stage=str(envelope["name"]),
        status=status,
        value=value,
        kind=Kind[kind] if isinstance(kind, str) else None,
        message=str(envelope.get("message", "")),
        findings=findings_from(envelope.get("findings")),
        warnings=findings_from(envelope.get("warnings")),
        attempts=tuple(_note(a) for a in cast("Sequence[Sequence[JSON]]", envelope.get("attempts", ()))),
        spend=Spend(*cast("Sequence[int]", envelope.get("spend", ()))),
        agreement=agreement_from(envelope.get("agreement")),
    )


async def stored_value(envelope: Envelope, *, artifacts: Artifacts) -> JSON:
    """The envelope's value as JSON, wherever it is stored."""
    address = envelope.get("at")
    if not isinstance(address, str):
        return envelope.get("value")
    return cast("JSON", json.loads(await artifacts.get(address)))


def verify(envelope: Envelope, *, owner: str, name: str, digest: str) -> None:
    """Refuse a checkpoint that belongs to another call.

    Raises:
        ReplayMismatch: another name or another input is stored here.
    """
    if envelope.get("name") != name:
        raise ReplayMismatch(
            f"{owner} is called where this run recorded {envelope.get('name')!r}",
            hint="keep the order of stage calls, or run `guardflow runs fork RUN --from STAGE`",
        )
    if envelope.get("in") != digest:
        raise ReplayMismatch(
            f"{owner} is called with an input (hash {digest[:12]}) that differs from the recorded one "
            f"(hash {str(envelope.get('in'))[:12]})",
            hint="make the pipeline deterministic (guardflow.now, uuid, random are recorded), "
            "or run `guardflow runs fork RUN --from STAGE`",
        )


def finding_json(finding: Finding) -> Mapping[str, JSON]:
    """A finding as JSON, empty fields left out."""
    out: dict[str, JSON] = {"message": finding.message}
    if finding.at:
        out["at"] = list(finding.at)
    if finding.evidence is not None:
        out["evidence"] = finding.evidence
    if finding.expected is not None:
        out["expected"] = finding.expected
    if finding.guard is not None:
        out["guard"] = finding.guard
    return out


def findings_from(data: JSON) -> tuple[Finding, ...]:
    """The findings of an envelope, back from JSON."""
    rows = cast("Sequence[Mapping[str, JSON]]", data or ())
    return tuple(
        Finding(
            message=str(row["message"]),
            at=tuple(cast("Sequence[str | int]", row.get("at", ()))),
            evidence=cast("str | None", row.get("evidence")),
            expected=cast("str | None", row.get("expected")),
            guard=cast("str | None", row.get("guard")),
        )
        for row in rows
    )


def _note_json(note: AttemptNote) -> Sequence[JSON]:
    return [
        note.n,
        note.role,
        note.rung,
        note.model,
        note.kind,
        note.tokens,
        note.nano_usd,
        note.cached,
        note.note,
        *([note.ballot] if note.ballot else []),
    ]


def _note(data: Sequence[JSON]) -> AttemptNote:
    n, role, rung, model, kind, tokens, nano_usd, cached, note, *ballot = data
    return AttemptNote(
        n=cast("int", n),
        role=cast("Role", role),
        rung=str(rung),
        model=str(model),
        kind=cast("str | None", kind),
        tokens=cast("int", tokens),
        nano_usd=cast("int | None", nano_usd),
        cached=bool(cached),
        note=str(note),
        ballot=cast("int", ballot[0]) if ballot else 0,
    )


def _surely_small(data: JSON) -> bool:
    """Whether the value is so small that its bytes need not be counted."""
    if isinstance(data, str):
        return len(data) < 2048
    if isinstance(data, Mapping):
        return len(data) < 8 and all(isinstance(v, str) and len(v) < 256 for v in data.values())
    return data is None or isinstance(data, (bool, int, float))
