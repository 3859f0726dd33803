"""A stage's JSON schema in the forms that providers take: strict, or told in words.

Adapters call it once for each model and schema. What is dropped here is dropped from what is sent only: answers
are always validated against the stage's own schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from guardflow.hashing import JSON
from guardflow.values import Schema

_KEPT = frozenset(
    {"type", "enum", "const", "description", "minItems", "maxItems", "minimum", "maximum"}
    | {"exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_TOLD = ("minLength", "maxLength", "pattern", "format", "uniqueItems", "minProperties", "maxProperties")
"""Constraints that strict mode may refuse: said in the description instead, so that the model knows them."""


class WireSchema(NamedTuple):
    """``strict`` is False where strict mode cannot express the schema: open maps, tuples, "anything"."""

    name: str
    schema: dict[str, JSON]
    strict: bool

    def response_format(self) -> dict[str, object]:
        """The value of ``response_format`` in OpenAI's protocol."""
        return {
            "type": "json_schema",
            "json_schema": {"name": self.name, "schema": self.schema, "strict": self.strict},
        }


def wire_schema(schema: Schema) -> WireSchema | None:
    """The schema as it is sent; None if its root is no object, which no provider enforces.

    Strict mode wants every property required, no additional ones, and a small set of keywords.
    """
    root = _root(schema.json)
    if root.get("type") != "object" or "properties" not in root:
        return None
    name = wire_name(schema.name)
    try:
        return WireSchema(name, cast("dict[str, JSON]", _strict(root)), strict=True)
    except _NotStrict:
        return WireSchema(name, dict(root), strict=False)


def wire_name(name: str) -> str:
    """The name in the alphabet that providers allow, at most 64 characters."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64].strip("_") or "answer"


def instruction(schema: Schema) -> str:
    """The schema told in words, for models that cannot be held to it."""
    text = json.dumps(schema.json, ensure_ascii=False, separators=(",", ":"))
    return (
        "Answer with a single JSON value and nothing else: no code fence, no words before or after it. "
        f"It must fit this JSON schema:\n{text}"
    )


class _NotStrict(Exception):
    """The schema has a part that strict mode cannot express."""


def _root(schema: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """The schema with its root spelled out: recursive models are a bare reference at the top."""
    ref = schema.get("$ref")
    definitions = schema.get("$defs")
    if not isinstance(ref, str) or not isinstance(definitions, Mapping):
        return schema
    target = definitions.get(ref.removeprefix("#/$defs/"))
    return {**target, "$defs": definitions} if isinstance(target, Mapping) else schema


def _strict(node: JSON) -> dict[str, object]:
    if not isinstance(node, Mapping):
        raise _NotStrict
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"]}  # strict mode allows nothing beside a reference
    made: dict[str, object] = {key: value for key, value in node.items() if key in _KEPT}
    _tell(node, made)
    if "$defs" in node:
        made["$defs"] = {name: _strict(part) for name, part in _mapping(node["$defs"]).items()}
    choices = node.get("anyOf") or node.get("oneOf")
    if choices is not None:
        made["anyOf"] = [_strict(part) for part in _sequence(choices)]
    if "allOf" in node:
        parts = _sequence(node["allOf"])
        if len(parts) != 1:
            raise _NotStrict
        made = {**_strict(parts[0]), **({} if isinstance(_mapping(parts[0]).get("$ref"), str) else made)}
    if node.get("type") == "array":
        if "items" not in node or "prefixItems" in node:
            raise _NotStrict
        made["items"] = _strict(node["items"])
    if node.get("type") == "object":
        made |= _strict_object(node)
    if not made.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
        raise _NotStrict
    return made


def _strict_object(node: Mapping[str, JSON]) -> dict[str, object]:
    if "properties" not in node or node.get("additionalProperties") not in (None, False):
        raise _NotStrict
    properties = {name: _strict(part) for name, part in _mapping(node["properties"]).items()}
    return {"properties": properties, "required": list(properties), "additionalProperties": False}


def _tell(node: Mapping[str, JSON], made: dict[str, object]) -> None:
    told = [key for key in _TOLD if key in node]
    if node.get("format") in _FORMATS:
        made["format"] = node["format"]
        told.remove("format")
    if told:
        words = ", ".join(f"{key} {node[key]}" for key in told)
        description = node.get("description")
        made["description"] = f"{description} ({words})" if isinstance(description, str) else words


def _mapping(value: JSON) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise _NotStrict
    return value


def _sequence(value: JSON) -> Sequence[JSON]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise _NotStrict
    return value
