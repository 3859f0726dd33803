"""Texts that match a regular expression, or must not.

The standard library cannot stop a search that has begun: a text that is too long is a finding instead of a
search, and a pattern should not repeat a repetition (``(a+)+``) unless the inner one is possessive (``a++``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guardflow.errors import StageError
from guardflow.guards.core import Guard
from guardflow.guards.paths import texts
from guardflow.values import Finding

LONGEST = 20_000
"""Characters a text may have to be searched."""


def must_match(
    pattern: str, /, *, at: str, flags: int = 0, longest: int = LONGEST, name: str = "must_match"
) -> Guard[object, object]:
    """A guard: the whole of each text matches.

    Args:
        pattern: a regular expression of the standard library, for `re.fullmatch`.
        at: which texts, as a path pattern.
        flags: as `re.IGNORECASE`.
        longest: a text with more characters is a finding.
        name: what findings call the guard.

    Raises:
        StageError: the pattern is malformed.

    >>> guard = must_match(r"[a-z]+(-[a-z]+)*", at="slug")
    >>> [f.message for f in guard({"slug": "Not a slug"})]
    ['does not match /[a-z]+(-[a-z]+)*/']
    """
    compiled = _compile(pattern, flags, name)

    def check(answer: object) -> Iterator[Finding]:
        for where, text in texts(answer, at):
            if len(text) > longest:
                yield Finding(f"is longer than {longest} characters", at=where)
            elif compiled.fullmatch(text) is None:
                yield Finding(f"does not match /{pattern}/", at=where, evidence=text)

    return Guard(check, name=name, inline=True)


def must_not_match(
    pattern: str,
    /,
    *,
    at: str | None = None,
    flags: int = 0,
    longest: int = LONGEST,
    name: str = "must_not_match",
) -> Guard[object, object]:
    r"""A guard: no text holds a match.

    Args:
        pattern: a regular expression of the standard library, for `re.search`.
        at: which texts, as a path pattern; None is all.
        flags: as `re.IGNORECASE`.
        longest: a text with more characters is a finding.
        name: what findings call the guard.

    Raises:
        StageError: the pattern is malformed.

    >>> guard = must_not_match(r"as an ai\b", flags=re.IGNORECASE)
    >>> [(f.message, f.evidence) for f in guard({"text": "As an AI, I cannot"})]
    [('must not contain /as an ai\\b/', 'As an AI')]
    """
    compiled = _compile(pattern, flags, name)

    def check(answer: object) -> Iterator[Finding]:
        for where, text in texts(answer, at):
            if len(text) > longest:
                yield Finding(f"is longer than {longest} characters", at=where)
            elif found := compiled.search(text):
                yield Finding(f"must not contain /{pattern}/", at=where, evidence=found.group())

    return Guard(check, name=name, inline=True)


def _compile(pattern: str, flags: int, name: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise StageError(
            f"guard {name!r}: {pattern!r} is not a regular expression", hint=f"mend it: {error}"
        ) from None
