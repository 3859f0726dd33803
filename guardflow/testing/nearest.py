"""Which recorded call comes nearest to one that is not on a cassette, and what differs, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from guardflow.testing.tape import Recording
from guardflow.values import Request


def nearest(request: Request, recordings: Sequence[Recording]) -> Recording | None:
    """The recording that agrees with the request in most; one of its own stage if there is any."""
    return max(recordings, key=lambda recording: _likeness(request, recording), default=None)


def differences(request: Request, recording: Recording) -> Sequence[str]:
    """What the request asks for otherwise than the recording did, each as a clause."""
    asked, model, was = recording.asked, request.model, recording.asked.model
    found: list[str] = []
    if request.stage != recording.stage:
        found.append(f"it was recorded for stage {recording.stage!r}")
    if request.prompt_hash != recording.prompt:
        found.append("its prompt file, or the variant of it, is another one")
    if (request.schema.hash if request.schema is not None else None) != asked.schema:
        found.append("the schema of its answer is another one")
    pairs = (
        ("model", model.name, was.name),
        ("api_base", model.api_base, was.api_base),
        ("output", model.output, was.output),
        ("max_tokens", request.max_tokens, asked.max_tokens),
        ("temperature", request.temperature, asked.temperature),
        ("sample", request.sample, asked.sample),
    )
    found += [f"{name} is {now!r} and was {then!r}" for name, now, then in pairs if now != then]
    return found or ["the text of its messages is another one: the input, or an answer that came before"]


def _likeness(request: Request, recording: Recording) -> tuple[bool, int]:
    return request.stage == recording.stage, -len(differences(request, recording))
