"""What models cost and how much they can take: list prices, limits, and integer arithmetic on both.

`guardflow.models.roles` fills models in from here; flow reserves and settles with it. Prices come from the file that
litellm ships, read as a file: litellm is never imported for it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, cast

from guardflow.hashing import canonical_json
from guardflow.values import NANO, Message, Model, Price, Request, Reservation, Schema, Usage

_PRICE_FILE = "model_prices_and_context_window_backup.json"
_PER_MILLION = 1_000_000
_TIER = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_CHAT_MODES = frozenset({"chat", "completion", "responses"})

_MESSAGE_TOKENS = 8
"""Role and separators of one turn; chat formats take 3 to 5."""
_REQUEST_TOKENS = 64
"""What a provider, or our own words about a schema, adds to any request."""


class Limits(NamedTuple):
    """What is known about a model. None is unknown.

    ``context`` and ``output`` are in tokens; ``json_schema`` says whether the provider enforces schemas for it.
    """

    context: int | None
    output: int | None
    json_schema: bool | None


_UNKNOWN = Limits(context=None, output=None, json_schema=None)


class _Entry(NamedTuple):
    """One line of the price file, reduced to what is used. Prices are in US dollars per token."""

    provider: str
    input: float | None
    output: float | None
    cached_input: float | None
    limits: Limits


def price_of(model: Model) -> Price | None:
    """The list price: the model's own, else the known one; None if it is unknown. ``"free"`` is a price of 0.

    A list price of 0 counts as unknown: in the price file it stands for "nobody entered it" as often as for free.
    """
    if model.price == "free":
        return Price(input=0, output=0)
    if model.price is not None:
        return model.price
    entry = _entry(model.name)
    if entry is None or entry.input is None or entry.output is None or not (entry.input or entry.output):
        return None
    cached = entry.cached_input
    return Price(
        input=_per_million(entry.input),
        output=_per_million(entry.output),
        cached_input=None if cached is None else _per_million(cached),
    )


def limits_of(name: str) -> Limits:
    """What is known about ``provider/model``."""
    entry = _entry(name)
    return entry.limits if entry is not None else _UNKNOWN


def known_names() -> Iterable[str]:
    """Every chat model of the price file as ``provider/model``, for "did you mean"."""
    for key, entry in _entries().items():
        yield key if key.startswith(entry.provider + "/") else f"{entry.provider}/{key}"


def known_providers() -> frozenset[str]:
    """Every provider that has a chat model in the price file."""
    return frozenset(entry.provider for entry in _entries().values())


def cost(usage: Usage, price: Price | Literal["free"] | None) -> int | None:
    """What a request cost in billionths of a US dollar, rounded up: 0 if free, None if the price is unknown."""
    if price is None:
        return None
    if price == "free":
        return 0
    rates = _rates(price)
    cached = min(usage.cached_input, usage.input)
    total = (usage.input - cached) * rates.input + cached * rates.cached_input + usage.output * rates.output
    return -(-total // rates.denominator)


def estimate_tokens(messages: Iterable[Message], schema: Schema | None) -> int:
    """An over-estimate of the input tokens, without a tokenizer.

    Counts classes of UTF-8 bytes, each at about the worst rate that byte-pair encoders have on it in text:
    small letters and spaces 3 to a token, other ASCII (digits, punctuation, capitals) 1 to a token, longer
    characters 2 bytes to a token, rare scripts and emoji about 1 byte to a token. Each turn and the request add
    a constant, a schema its own text. Against cl100k this is 1.0 to 2.3 times the true count for prose in a
    dozen languages, code, JSON, hex and base64; only random small letters come out too low (0.6).
    """
    total = _REQUEST_TOKENS if schema is None else _REQUEST_TOKENS + _schema_tokens(schema)
    for message in messages:
        total += _MESSAGE_TOKENS + _text_tokens(message.content.encode("utf-8", "surrogatepass"))
    return total


def reservation(request: Request, price: Price | Literal["free"] | None) -> Reservation:
    """What a request may cost at most: the estimated input and max_tokens of output, nothing of it cached."""
    most = Usage(input=estimate_tokens(request.messages, request.schema), output=request.max_tokens)
    return Reservation(tokens=most.total, nano_usd=cost(most, price))


class _Rates(NamedTuple):
    """Billionths of a US dollar per token, over one common denominator."""

    input: int
    output: int
    cached_input: int
    denominator: int


@lru_cache(maxsize=256)
def _rates(price: Price) -> _Rates:
    cached = price.input if price.cached_input is None else price.cached_input
    exact = [
        Fraction(Decimal(repr(usd))) * NANO / _PER_MILLION for usd in (price.input, price.output, cached)
    ]
    denominator = math.lcm(*(rate.denominator for rate in exact))
    per_input, per_output, per_cached = (int(rate * denominator) for rate in exact)
    return _Rates(per_input, per_output, per_cached, denominator)


def _per_million(usd_per_token: float) -> float:
    return float(Decimal(repr(usd_per_token)) * _PER_MILLION)


_WORDS = bytes(range(ord("a"), ord("z") + 1)) + b" "
_COMMON = bytes(range(0x80, 0xC0)) + bytes(range(0xC2, 0xCE)) + b"\xd0\xd1" + bytes(range(0xE2, 0xEE))
"""Continuation bytes, and the lead bytes of Latin, Cyrillic, typographic punctuation, CJK and Hangul."""
_RARE = b"\xe0\xe1" + bytes(range(0xEE, 0xF5))
"""Lead bytes of the scripts, and of emoji, that encoders spell out byte by byte."""


def _text_tokens(data: bytes) -> int:
    rest = data.translate(None, _WORDS)
    words = len(data) - len(rest)
    if rest.isascii():
        return -(-words // 3) + len(rest)
    others = rest.translate(None, _COMMON)
    rare = len(others) - len(others.translate(None, _RARE))
    return -(-words // 3) + -(-(len(rest) - len(others)) // 2) + len(others) + rare


_schema_sizes: dict[str, int] = {}
"""The tokens of each schema that was ever asked with, by its hash: a program has few of them."""


def _schema_tokens(schema: Schema) -> int:
    known = _schema_sizes.get(schema.hash)
    if known is None:
        known = _schema_sizes[schema.hash] = _text_tokens(canonical_json(schema.json))
    return known


@cache
def _entries() -> Mapping[str, _Entry]:
    """The price file's chat models. Read once, when the first price or limit is asked for; 40 ms."""
    spec = find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        return {}
    path = Path(spec.submodule_search_locations[0]) / _PRICE_FILE
    try:
        lines = cast("dict[str, dict[str, object]]", json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return {}  # another litellm may ship it elsewhere: then prices are unknown, and budgets say so
    return {key: _reduced(line) for key, line in lines.items() if line.get("mode") in _CHAT_MODES}


def _reduced(line: Mapping[str, object]) -> _Entry:
    return _Entry(
        provider=str(line.get("litellm_provider", "")),
        input=_number(line.get("input_cost_per_token")),
        output=_number(line.get("output_cost_per_token")),
        cached_input=_number(line.get("cache_read_input_token_cost")),
        limits=Limits(
            context=_context(line),
            output=_tokens(line.get("max_output_tokens") or line.get("max_tokens")),
            json_schema=line.get("supports_response_schema") is True,
        ),
    )


def _context(line: Mapping[str, object]) -> int | None:
    """The context window, or the part of it at list price: some models cost more above a threshold, and then no
    reservation would hold."""
    window = _tokens(line.get("max_input_tokens") or line.get("max_tokens"))
    tiers = [int(tier[1]) * 1000 for key in line if (tier := _TIER.fullmatch(key)) is not None]
    return window if window is None else min(window, *tiers, window)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value >= 0 else None


def _tokens(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None


@lru_cache(maxsize=1024)
def _entry(name: str) -> _Entry | None:
    """The line of ``provider/model``: under its full name, or under the bare one if that is the provider's."""
    provider, slash, bare = name.partition("/")
    if not slash:
        return None
    entries = _entries()
    found = entries.get(name)
    if found is not None:
        return found
    found = entries.get(bare)
    # "vertex_ai" sells what the file lists under "vertex_ai-language-models", "cohere" what is under "cohere_chat".
    return found if found is not None and found.provider.startswith(provider) else None
