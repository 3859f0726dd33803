"""A stage's JSON schema as the grammar that the embedded model is held to, and text that cannot break out of a turn.

The engine calls it. Pure. What is dropped here only constrains less: answers are validated by the stage itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal, cast

from guardflow.hashing import JSON
from guardflow.values import Schema

Strictness = Literal["full", "loose"]

# llguidance's own options: skip keywords it does not know instead of refusing the schema, and spend no tokens on
# blanks, of which small models write any number.
_OPTIONS: dict[str, JSON] = {
    "lenient": True,
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}
_SHAPE = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "prefixItems", "enum", "const"}
    | {"anyOf", "oneOf", "allOf", "$ref", "$defs"}
)
_LIMITS = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum"}
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
_UNSUPPORTED_PATTERN = re.compile(r"\(\?(?!:)|\\[bBAZzpPkK1-9]|[*+?}][+]")
"""Lookaround, word boundaries, back references, possessive repeats: not regular, or not llguidance's."""
_OTHER_MARKERS = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>")
"""Turn markers that some models know as plain text, so that no list of control tokens has them."""


def grammar(schema: Schema, *, strictness: Strictness = "full") -> str:
    """The grammar of answers that fit the schema, for llguidance.

    Args:
        schema: what the stage wants.
        strictness: ``"loose"`` keeps the shape only, for a schema with limits that llguidance refuses.
    """
    kept = _SHAPE if strictness == "loose" else _SHAPE | _LIMITS
    made = cast("dict[str, JSON]", _reduced(schema.json, kept))
    text = json.dumps({**made, "x-guidance": _OPTIONS}, ensure_ascii=False, separators=(",", ":"))
    return f"%llguidance {{}}\nstart: %json {text}"


def could_begin(schema: Schema, text: str) -> bool:
    """Whether an answer that began like this can be an object of the schema.

    llama.cpp writes without any constraint, and says nothing, where a grammar does not compile.
    """
    begun = text.lstrip()
    is_object = schema.json.get("type") == "object" or "properties" in schema.json
    return not begun or not is_object or begun.startswith("{")


class Neutral:
    """Makes text from outside unable to be a control token, and so a turn or a role.

    Args:
        control: the texts of the model's control tokens.
    """

    def __init__(self, control: Sequence[str]) -> None:
        texts = sorted({*control, *_OTHER_MARKERS} - {""}, key=len, reverse=True)
        self._markers = re.compile("|".join(re.escape(text) for text in texts if len(text) > 1))

    def __call__(self, text: str) -> str:
        """The text with a blank after the first character of each marker: as readable, and nothing but text."""
        while self._markers.search(text):
            text = self._markers.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return text


def _reduced(node: JSON, kept: frozenset[str]) -> JSON:
    """A schema with the keywords that are kept. Names of properties are no keywords."""
    if not isinstance(node, Mapping):
        return node
    made: dict[str, JSON] = {}
    for key, value in node.items():
        if key not in kept or (key == "pattern" and _UNSUPPORTED_PATTERN.search(str(value))):
            continue
        if key in ("properties", "$defs") and isinstance(value, Mapping):
            made[key] = {name: _reduced(part, kept) for name, part in value.items()}
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list | tuple):
            made[key] = [_reduced(part, kept) for part in value]
        elif key in ("items", "additionalProperties"):
            made[key] = _reduced(value, kept)
        else:
            made[key] = value
    # What the stage does not name it does not want, though it would overlook it: it costs tokens.
    if "properties" in made:
        made.setdefault("additionalProperties", False)
    # One alternative at a time is what a grammar can say; that only one may fit is checked by the stage.
    if "oneOf" in made and "anyOf" not in made:
        made["anyOf"] = made.pop("oneOf")
    return made
