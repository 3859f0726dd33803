"""What a request was made of, as JSON, and back. Only `guardflow.store.rows` calls it.

Fields at their default are left out: it is in every row of the ledger.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Literal, cast

from guardflow.hashing import JSON
from guardflow.values import Asked, Model, OutputMode, Price

from .cells import Document

_FIELDS = tuple(f.name for f in fields(Model) if f.name not in ("price", "asked"))


def asked_json(asked: Asked) -> dict[str, JSON]:
    """The request's parts without those at their default."""
    stored: dict[str, JSON] = {"model": _pair_json(asked.model, asked.model.asked)}
    if asked.max_tokens != asked.model.max_tokens:
        stored["max_tokens"] = asked.max_tokens
    if asked.temperature is not None:
        stored["temperature"] = asked.temperature
    if asked.sample:
        stored["sample"] = asked.sample
    if asked.schema is not None:
        stored["schema"] = asked.schema
    return stored


def read_asked(stored: Document) -> Asked:
    """The inverse of `asked_json`."""
    model = _read_model(stored.document_or_none("model") or Document({}, what="a model"))
    return Asked(
        model,
        stored.whole("max_tokens", model.max_tokens or 0),
        stored.number_or_none("temperature"),
        stored.whole("sample", 0),
        stored.text_or_none("schema"),
    )


@lru_cache(maxsize=256)
def _pair_json(model: Model, asked: Model | None) -> dict[str, JSON]:
    """The same few models are in every row. ``asked`` takes no part in a model's equality, so it is a key too."""
    stored = _model_json(model)
    if asked is not None:
        stored["asked"] = _model_json(asked)
    return stored


def _model_json(model: Model) -> dict[str, JSON]:
    stored: dict[str, JSON] = {name: value for name in _FIELDS if (value := getattr(model, name)) is not None}
    price = model.price
    if isinstance(price, Price):
        stored["price"] = {"input": price.input, "output": price.output, "cached_input": price.cached_input}
    elif price is not None:
        stored["free"] = True
    return stored


def _read_model(stored: Document) -> Model:
    asked = stored.document_or_none("asked")
    return Model(
        name=stored.text("name"),
        api_base=stored.text_or_none("api_base"),
        price=_read_price(stored),
        output=cast("OutputMode | None", stored.text_or_none("output")),
        max_tokens=stored.whole_or_none("max_tokens"),
        context=stored.whole_or_none("context"),
        temperature=stored.number_or_none("temperature"),
        timeout=stored.number_or_none("timeout"),
        role=stored.text_or_none("role"),
        asked=None if asked is None else _read_model(asked),
    )


def _read_price(stored: Document) -> Price | Literal["free"] | None:
    price = stored.document_or_none("price")
    if price is not None:
        return Price(price.number("input"), price.number("output"), price.number_or_none("cached_input"))
    return "free" if stored.flag("free") else None
