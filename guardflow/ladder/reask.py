"""The words with which a model is told what was wrong with its answer. They are ours, never the model's.

`Reask` and flow's note after a `switch` use them. Evidence and paths come from outside: evidence is fenced
by the caller's ``fence``, and nothing here is ever rendered as a template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from guardflow.kinds import Kind

if TYPE_CHECKING:
    from guardflow.values import Finding

Fence = Callable[[str], str]
"""Wraps outside text in a delimiter that the text cannot close."""

MOST_FINDINGS = 20
"""More than a model can act on at once; the rest is counted, not listed."""
MOST_EVIDENCE = 600
"""Characters of evidence shown for one finding."""
MOST_WORDS = 400
"""Characters of a message, a path or an expectation: all of them can quote what came from outside."""

NO_ANSWER = "(no answer)"
"""Stands for an empty answer: providers refuse an assistant turn without content."""

_OPENINGS = (
    (Kind.EMPTY, "Your last answer was empty."),
    (Kind.MALFORMED, "Your last answer could not be parsed."),
    (Kind.SCHEMA, "Your last answer does not fit the required schema."),
    (Kind.TRUNCATED, "Your last answer was cut off before its end."),
)
_AGAIN = (
    "Answer the original request again, completely and in the same format. Reply with the answer alone: "
    "no apology, no comment on the changes."
)


def reask_text(findings: Sequence[Finding], *, kind: Kind = Kind.GUARD, fence: Fence = str) -> str:
    """What the user turn after a rejected answer says.

    Args:
        findings: what was held against the answer; may be empty.
        kind: what failed; it chooses the first sentence.
        fence: wraps each piece of evidence, which is outside text. The identity by default.

    Example:
        >>> print(reask_text([Finding("not in the cited page", at=("quotes", 0), evidence="42")]))
        Your last answer was not accepted.
        1. $.quotes[0]: not in the cited page. Got:
        42
        Correct this. Answer the original request again, ...
    """
    opening = next(
        (text for single, text in _OPENINGS if kind & single), "Your last answer was not accepted."
    )
    if not findings:
        return f"{opening}\n{_AGAIN}"
    order = "Correct this." if len(findings) == 1 else "Correct all of it."
    return "\n".join((opening, *_listed(findings, fence), f"{order} {_AGAIN}"))


def note_text(findings: Sequence[Finding], *, fence: Fence = str) -> str:
    """What follows the prompt when a model starts afresh after another answer to it was rejected.

    Empty for no findings. The rejected answer itself is not shown, so that it cannot be copied.
    """
    if not findings:
        return ""
    opening = "An earlier answer to this request was rejected. Avoid what was wrong with it:"
    return "\n".join((opening, *_listed(findings, fence)))


def _listed(findings: Sequence[Finding], fence: Fence) -> list[str]:
    lines = [_line(n, finding, fence) for n, finding in enumerate(findings[:MOST_FINDINGS], start=1)]
    if len(findings) > MOST_FINDINGS:
        lines.append(f"... and {len(findings) - MOST_FINDINGS} more of this sort.")
    return lines


def _line(n: int, finding: Finding, fence: Fence) -> str:
    parts = [f"{n}. {_clip(_one_line(finding.where()), MOST_WORDS)}: {_sentence(finding.message)}"]
    if finding.expected is not None:
        parts.append(f"Expected: {_sentence(finding.expected)}")
    if finding.evidence is not None:
        parts.append(f"Got:\n{fence(_clip(finding.evidence, MOST_EVIDENCE))}")
    return " ".join(parts)


def _sentence(text: str) -> str:
    words = _clip(_one_line(text), MOST_WORDS)
    return words if words.endswith((".", "!", "?", "]")) else f"{words}."


def _one_line(text: str) -> str:
    """One line, so that a message which quotes outside text cannot open a list item of its own."""
    return " ".join(text.split())


def _clip(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} [... {len(text) - most} more characters]"
