"""Cuts an input to a share of its size, for requests that do not fit the context window.

`Prompt.render` calls it for the inputs under ``trim``. It never changes a value in place, and every cut of
something that has text takes something away, so that the next request is really smaller.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, cast

from pydantic import BaseModel

_WORD = 200
"""Characters we look back for the end of a word; text without spaces is cut where it is."""


def cut(value: object, share: float) -> object:
    """The value, cut to about ``share`` (above 0, at most 1) of its size.

    Text is cut at the end of a word. Of a list the first items stay, at least one; where that drops none, or
    leaves a single one, the last that stays is cut too. Of models and mappings the longest texts are cut,
    or their lists if they have no text. Anything else stays as it is.
    """
    if isinstance(value, str):
        return _cut_text(value, math.floor(len(value) * share))
    if isinstance(value, list):
        return _cut_items(cast("Sequence[object]", value), share)
    if type(value) is tuple:  # a named tuple is no list
        return tuple(_cut_items(cast("Sequence[object]", value), share))
    fields = _fields(value)
    if not fields:
        return value
    return _replaced(value, _cut_fields(fields, share))


def _cut_text(text: str, length: int) -> str:
    length = max(1, length)
    if length >= len(text):
        return text
    if not text[length].isspace():
        for end in range(length, max(0, length - _WORD), -1):
            if text[end - 1].isspace():
                return text[:end].rstrip() or text[:length]
    return text[:length].rstrip() or text[:length]


def _cut_items(items: Sequence[object], share: float) -> list[object]:
    room = len(items) * share
    keep = max(1, math.ceil(room - 1e-9))
    kept = list(items[:keep])
    if kept and (keep == len(items) or keep == 1):
        kept[-1] = cut(kept[-1], min(1.0, room - (keep - 1)))
    return kept


def _cut_fields(fields: Mapping[str, object], share: float) -> dict[str, object]:
    texts = {name: text for name, text in fields.items() if isinstance(text, str) and text}
    if not texts:
        return {name: cut(value, share) for name, value in fields.items()}
    excess = math.ceil(sum(map(len, texts.values())) * (1 - share))
    changed: dict[str, object] = {}
    for name in sorted(texts, key=lambda name: len(texts[name]), reverse=True):
        if excess <= 0:
            break
        shorter = _cut_text(texts[name], len(texts[name]) - excess)
        excess -= len(texts[name]) - len(shorter)
        changed[name] = shorter
    return changed


def _fields(value: object) -> Mapping[str, object]:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value)
    if _is_record(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    return {}


def _replaced(value: object, changed: Mapping[str, object]) -> object:
    if isinstance(value, BaseModel):
        return value.model_copy(update=changed)
    if isinstance(value, Mapping):
        return {**cast("Mapping[str, object]", value), **changed}
    return dataclasses.replace(cast("Any", value), **changed)


def _is_record(value: object) -> TypeGuard[Any]:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
