"""Keys, tokens and private keys that must not leave: found by their shape, reported masked.

No finding of this guard, and nothing `redact` returns, holds a secret it has found.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from guardflow.guards.core import Guard
from guardflow.guards.kit.text import strip_invisible
from guardflow.guards.paths import texts
from guardflow.values import Finding, Path


class _Shape(NamedTuple):
    """What one kind of secret looks like. ``hints``: one of these is in every text that holds one."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(kind: str, hints: str, pattern: str) -> _Shape:
    return _Shape(kind, tuple(hints.split()), re.compile(pattern))


_SHAPES = (
    _shape(
        "private key",
        "KEY",
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:[\s\S]*?-----END [A-Z0-9 ]*-----|[\s\S]*)",
    ),
    _shape("AWS access key", "AKIA ASIA ABIA ACCA", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    _shape("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    _shape("GitHub token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,255}\b"),
    _shape("GitLab token", "glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    _shape("Slack token", "xox xapp-", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}"),
    _shape("Slack webhook", "slack.com", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}"),
    _shape("Google API key", "AIza", r"\bAIza[A-Za-z0-9_-]{35}"),
    _shape("Google OAuth token", "ya29. GOCSPX-", r"\bya29\.[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,}"),
    _shape("Anthropic key", "sk-ant-", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    _shape("OpenAI key", "sk-", r"\bsk-(?!ant-)(?:proj-|svcacct-|admin-|or-v1-)?[A-Za-z0-9_-]{20,}"),
    _shape("Stripe key", "k_live_ k_test_", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _shape("Hugging Face token", "hf_", r"\bhf_[A-Za-z0-9]{30,}\b"),
    _shape("npm token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
    _shape("PyPI token", "pypi-", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    _shape("SendGrid key", "SG.", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    _shape("JSON web token", "eyJ", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
)
_URL_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{0,100}:([^\s/@\"'<>]{3,200})@")
_ASSIGNED = re.compile(
    r"(?i:(?:key|secret|token|passw(?:or)?d|passwd|pwd|credentials?)[\w.-]{0,40}[\"']?\s{0,3}(?::=|=>|=|:)\s{0,3}(?:bearer\s+)?)"
    r"[\"'`]?([^\s\"'`,;<>{}()\[\]$]{12,500})"
)
_KEYWORDS = ("key", "secret", "token", "passw", "pwd", "credential")
_SHORTEST = 12
_ENTROPY = 3.0
"""Bits a character: what random strings of a dozen characters have, and words and placeholders have not."""


class Secret(NamedTuple):
    """Where a secret is in a text, and what kind it is. It does not hold the secret."""

    start: int
    end: int
    kind: str


def find_secrets(text: str) -> Iterator[Secret]:
    """The secrets in a text, by shape; assigned values (``api_key = ...``) by how random they look.

    >>> [s.kind for s in find_secrets("key AKIAIOSFODNN7EXAMPLE and token: changeme-please")]
    ['AWS access key']
    """
    found = [
        Secret(*match.span(), shape.kind)
        for shape in _SHAPES
        if any(hint in text for hint in shape.hints)
        for match in shape.pattern.finditer(text)
    ]
    if "://" in text:
        found += (Secret(*match.span(1), "password in a URL") for match in _URL_PASSWORD.finditer(text))
    if (":" in text or "=" in text) and any(word in text.lower() for word in _KEYWORDS):
        for match in _ASSIGNED.finditer(text):
            if _looks_random(match[1]):
                found.append(Secret(*match.span(1), "assigned secret"))
    end = 0
    for secret in sorted(found, key=lambda s: (s.start, -s.end)):
        if secret.start >= end:
            yield secret
            end = secret.end
        elif secret.end > end:  # two shapes overlap: what sticks out is part of a secret too
            yield Secret(end, secret.end, secret.kind)
            end = secret.end


def redact(text: str) -> str:
    """The text with every secret masked: its first characters, if its kind shows in them, and its length.

    >>> redact("use AKIAIOSFODNN7EXAMPLE now")
    'use AKIA…(20 characters) now'
    """
    pieces: list[str] = []
    at = 0
    for secret in find_secrets(text):
        pieces += (text[at : secret.start], _mask(text[secret.start : secret.end], secret.kind))
        at = secret.end
    return "".join(pieces) + text[at:]


def no_secrets(at: str | None = None, /, *, name: str = "no_secrets") -> Guard[object, object]:
    """A guard: no API key, token, private key or password is in the answer.

    Args:
        at: which texts, as a path pattern; None is all, and the keys of mappings.
        name: what findings call the guard.

    >>> guard = no_secrets()
    >>> [(f.where(), f.message, f.evidence) for f in guard({"log": "k=AKIAIOSFODNN7EXAMPLE"})]
    [('$.log', 'holds what looks like an AWS access key', 'AKIA…(20 characters)')]
    """

    def check(answer: object) -> Iterator[Finding]:
        for path, text in texts(answer, at):
            where = _told(path)
            if len(where) < len(path):
                yield Finding("has a key that looks like a secret", at=where)
            for secret in find_secrets(clean := strip_invisible(text)):
                article = "an" if secret.kind[0] in "AO" or secret.kind == "assigned secret" else "a"
                yield Finding(
                    f"holds what looks like {article} {secret.kind}",
                    at=where,
                    evidence=_mask(clean[secret.start : secret.end], secret.kind),
                )

    return Guard(check, name=name, inline=True)


def _told(path: Path) -> Path:
    """The path up to the first key that is a secret itself."""
    for n, part in enumerate(path):
        if isinstance(part, str) and len(part) >= _SHORTEST and any(find_secrets(part)):
            return path[:n]
    return path


def _mask(secret: str, kind: str) -> str:
    shown = "" if kind in {"private key", "password in a URL", "assigned secret"} else secret[:4]
    return f"{shown}…({len(secret)} characters)"


def _looks_random(value: str) -> bool:
    """Whether a value has the entropy of a key, and letters mixed with digits or cases."""
    mixed = sum(bool(re.search(kind, value)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^\w]"))
    if mixed < 2 or not re.search(r"\d|[a-z][A-Z]+[a-z]", value):
        return False
    counts = Counter(value)
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return entropy >= _ENTROPY
