"""Ready-made guards. Pure, offline and free, but for `judged`, and `grounded` with a model: these ask one.

Where a guard looks is a path pattern (``"claims[*].quote"``), of the answer or of the stage's input.
"""

from guardflow.guards.kit.dates import dates_sane, find_dates
from guardflow.guards.kit.grounded import grounded
from guardflow.guards.kit.injections import Injection, find_injections, injection_flags, no_injection
from guardflow.guards.kit.json_rules import Rule, json_rules
from guardflow.guards.kit.judged import Criterion, judged
from guardflow.guards.kit.languages import LANGUAGES, guess_language, language
from guardflow.guards.kit.length import length
from guardflow.guards.kit.numbers import numbers_from
from guardflow.guards.kit.pii import PII, Personal, PiiKind, find_pii, mask_pii, no_pii
from guardflow.guards.kit.regex import must_match, must_not_match
from guardflow.guards.kit.repetition import find_repetition, no_repetition
from guardflow.guards.kit.secrets import find_secrets, no_secrets, redact
from guardflow.guards.kit.units import find_quantities, units_sane
from guardflow.guards.kit.urls import find_links, urls_allowed
from guardflow.guards.kit.verbatim import Match, Miss, Quoted, find_quote, quotes_verbatim, search_quote

__all__ = [
    "LANGUAGES",
    "PII",
    "Criterion",
    "Injection",
    "Match",
    "Miss",
    "Personal",
    "PiiKind",
    "Quoted",
    "Rule",
    "dates_sane",
    "find_dates",
    "find_injections",
    "find_links",
    "find_pii",
    "find_quantities",
    "find_quote",
    "find_repetition",
    "find_secrets",
    "grounded",
    "guess_language",
    "injection_flags",
    "json_rules",
    "judged",
    "language",
    "length",
    "mask_pii",
    "must_match",
    "must_not_match",
    "no_injection",
    "no_pii",
    "no_repetition",
    "no_secrets",
    "numbers_from",
    "quotes_verbatim",
    "redact",
    "search_quote",
    "units_sane",
    "urls_allowed",
]
