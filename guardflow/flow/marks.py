"""`mark_degraded`: what a pipeline says of its own result. Called by pipelines; the runtime reads it at the end of the run.

It draws no step: pipeline code runs again on resume and marks the same again, so the end alone is recorded.
"""

from __future__ import annotations

from guardflow.errors import StageError

from .scope import pipeline_scope

_LONGEST_PART = 100
_LONGEST_REASON = 500


def mark_degraded(part: str, reason: str = "") -> None:
    """Say that a part of this run's result is not what it should be: the run ends ``degraded`` instead of ``ok``.

    For what only the pipeline can know: a source that could not be read, a stage that was left out to save money. A
    stage whose fallback stands in marks itself. Nothing changes for a run that ends without a result.

    Args:
        part: what is affected, in a word or two; it stands in `RunResult.degraded` beside the names of stages.
        reason: why; it stands in `RunResult.message` and in ``guardflow runs show``. Of each part the first reason
            counts.

    Raises:
        StageError: called outside of a pipeline or inside a stage, or ``part`` is no such name.

    Example:
        >>> import asyncio
        >>> from guardflow import Runtime, pipeline
        >>> @pipeline("hurried")
        ... async def hurried(text: str) -> str:
        ...     mark_degraded("check", "there was no time for it")
        ...     return text
        >>> async def main():
        ...     async with Runtime("memory") as rt:
        ...         return await rt.run(hurried, "a draft")
        >>> result = asyncio.run(main())
        >>> result.status, result.output, result.degraded, result.message
        ('degraded', 'a draft', ('check',), 'check: there was no time for it')
    """
    scope = pipeline_scope("mark_degraded()")
    if not part or not part.isprintable() or part.isspace() or len(part) > _LONGEST_PART:
        raise StageError(
            f"mark_degraded() is given part={part!r}",
            hint=f"name the part in a word or two, at most {_LONGEST_PART} characters on one line",
        )
    why = " ".join(reason.split())
    if len(why) > _LONGEST_REASON:
        why = why[:_LONGEST_REASON] + "..."
    scope.marks.setdefault(part, scope.services.redact(why))
