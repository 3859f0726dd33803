"""Ready-made guards. Pure, offline, and free: none of them asks a model.

Where a guard looks is a path pattern (``"claims[*].quote"``), of the answer or of the stage's input.
"""

from guardflow.guards.kit.injections import Injection, find_injections, injection_flags, no_injection
from guardflow.guards.kit.length import length
from guardflow.guards.kit.numbers import numbers_from
from guardflow.guards.kit.pii import PII, Personal, PiiKind, find_pii, mask_pii, no_pii
from guardflow.guards.kit.regex import must_match, must_not_match
from guardflow.guards.kit.secrets import find_secrets, no_secrets, redact
from guardflow.guards.kit.urls import find_links, urls_allowed
from guardflow.guards.kit.verbatim import Match, Miss, Quoted, find_quote, quotes_verbatim, search_quote

__all__ = [
    "PII",
    "Injection",
    "Match",
    "Miss",
    "Personal",
    "PiiKind",
    "Quoted",
    "find_injections",
    "find_links",
    "find_pii",
    "find_quote",
    "find_secrets",
    "injection_flags",
    "length",
    "mask_pii",
    "must_match",
    "must_not_match",
    "no_injection",
    "no_pii",
    "no_secrets",
    "numbers_from",
    "quotes_verbatim",
    "redact",
    "search_quote",
    "urls_allowed",
]
