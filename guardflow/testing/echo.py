"""Make a JSON value that fits a JSON schema, from nothing but the schema and a seed.

The fault server's `echo` answers with it. Equal seeds give equal values on every machine. It never calls a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor
from random import Random
from typing import Any, TypeAlias, cast
from uuid import UUID

from guardflow.errors import UsageError
from guardflow.testing.pattern import matching

_AnySchema: TypeAlias = "Mapping[str, Any] | bool"
"""JSON Schema allows True (anything) where a schema stands."""

_DEEP = 4
"""From this depth on, optional parts are left out and unions take their smallest branch."""
_TOO_DEEP = 60

_WORDS = (
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "inlet",
    "jasper",
    "kelp",
    "lumen",
    "mesa",
    "north",
    "onyx",
    "pine",
    "quartz",
    "river",
    "stone",
    "tide",
    "umber",
    "valley",
    "willow",
    "yarrow",
    "zephyr",
)

_FORMATS: Mapping[str, Callable[[Random], str]] = {
    "date": lambda r: f"20{r.randrange(10, 30)}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}",
    "time": lambda r: f"{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}Z",
    "date-time": lambda r: (
        f"20{r.randrange(10, 30)}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}T12:00:00Z"
    ),
    "duration": lambda r: f"PT{r.randrange(1, 600)}S",
    "uuid": lambda r: str(UUID(int=r.getrandbits(128), version=4)),
    "email": lambda r: f"{r.choice(_WORDS)}@example.org",
    "uri": lambda r: f"https://example.org/{r.choice(_WORDS)}/{r.randrange(1000)}",
    "ipv4": lambda r: f"192.0.2.{r.randrange(1, 255)}",
    "ipv6": lambda r: f"2001:db8::{r.randrange(1, 65535):x}",
    "binary": lambda r: r.choice(_WORDS),
}


def instance(schema: Mapping[str, Any], seed: int) -> object:
    """A value that fits the schema.

    Keywords: type, enum, const, $ref, anyOf, oneOf, allOf, properties, required, additionalProperties, items,
    prefixItems, pattern, format, and the bounds on numbers, lengths and counts.

    Raises:
        UsageError: the schema asks for something that this generator cannot make.
    """
    return _Maker(schema, Random(seed)).make(schema, 0)


def broken_instance(schema: Mapping[str, Any], seed: int) -> object:
    """A JSON value that does not fit: an instance without its first required property, else an array for it."""
    value = instance(schema, seed)
    root = _Maker(schema, Random(seed)).resolve(schema)
    required = root.get("required")
    if isinstance(value, dict) and required:
        fields = cast("dict[str, object]", value)
        return {name: field for name, field in fields.items() if name != required[0]}
    return {"wrong": "schema"} if isinstance(value, list) else ["wrong schema"]


class _Maker:
    """One generation: the root schema (for ``$ref``) and the random stream."""

    def __init__(self, root: Mapping[str, Any], random: Random) -> None:
        self.root = root
        self.random = random

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow ``$ref`` and merge ``allOf``, so that what is left has a type, an enum or a union."""
        for _ in range(_TOO_DEEP):
            ref = schema.get("$ref")
            if ref is not None:
                schema = {**self._target(ref), **{k: v for k, v in schema.items() if k != "$ref"}}
                continue
            parts = schema.get("allOf")
            if parts is None:
                return schema
            schema = self._merged([{k: v for k, v in schema.items() if k != "allOf"}, *parts])
        raise UsageError(f"the schema's {schema.get('$ref')!r} refers to itself", hint="give it a type")

    def _target(self, ref: str) -> Mapping[str, Any]:
        node: Any = self.root
        for part in ref.removeprefix("#").strip("/").split("/"):
            if part:
                node = node[part.replace("~1", "/").replace("~0", "~")]
        return cast("Mapping[str, Any]", node)

    def _merged(self, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for part in map(self.resolve, parts):
            for key, value in part.items():
                if key == "properties":
                    merged[key] = {**merged.get(key, {}), **value}
                elif key == "required":
                    merged[key] = [*merged.get(key, []), *value]
                else:
                    merged[key] = value
        return merged

    def make(self, schema: _AnySchema, depth: int) -> object:
        if isinstance(schema, bool):
            return self.random.choice(_WORDS)
        if depth > _TOO_DEEP:
            raise UsageError("the schema has no finite instance", hint="make the recursive field optional")
        schema = self.resolve(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        union = schema.get("anyOf") or schema.get("oneOf")
        if union:
            return self.make(self._branch(union, depth), depth + 1)
        match self._type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer":
                return self._integer(schema)
            case "number":
                return self._number(schema)
            case "boolean":
                return self.random.random() < 0.5
            case _:
                return None

    def _branch(self, union: Sequence[Mapping[str, Any]], depth: int) -> Mapping[str, Any]:
        if {"type": "string"} in union and any(branch.get("type") == "number" for branch in union):
            union = [
                branch for branch in union if branch != {"type": "string"}
            ]  # how pydantic writes a Decimal
        if depth < _DEEP:
            return self.random.choice(union)
        return min(union, key=lambda s: self._type(self.resolve(s)) in ("object", "array"))

    def _type(self, schema: Mapping[str, Any]) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            return self.random.choice(cast("list[str]", kind))
        if isinstance(kind, str):
            return kind
        if "properties" in schema or "anyOf" in schema or "oneOf" in schema:
            return "object"
        return "array" if "items" in schema else "string"

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, object]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = schema.get("required", ())
        names = [n for n in properties if n in required or depth < _DEEP]
        made = {name: self.make(properties[name], depth + 1) for name in names}
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict) or (extra is not False and not properties):
            wanted = schema.get("minProperties", 1 if depth < _DEEP and extra else 0)
            for i in range(wanted - len(made)):
                value = (
                    self.make(cast("dict[str, Any]", extra), depth + 1)
                    if extra
                    else self.random.choice(_WORDS)
                )
                made[f"{self.random.choice(_WORDS)}_{i}"] = value
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[object]:
        first: Sequence[Mapping[str, Any]] = schema.get("prefixItems", ())
        made = [self.make(part, depth + 1) for part in first]
        low = schema.get("minItems", 0)
        high = schema.get("maxItems", max(low, 2))
        count = max(low, min(high, 2 if depth < _DEEP else 0))
        tries = 0
        while len(made) < count:
            item = self.make(schema.get("items", True), depth + 1)
            tries += 1
            if not schema.get("uniqueItems") or item not in made:
                made.append(item)
            elif tries > 50 * count:
                raise UsageError(
                    f"found no {count} different items for a set", hint="widen the item's values"
                )
        return made

    def _integer(self, schema: Mapping[str, Any]) -> int:
        low, high, step = self._bounds(schema, gap=1)
        step = int(step) or 1
        first, last = ceil(low / step), floor(high / step)
        if first > last:
            raise UsageError(f"no integer fits {dict(schema)!r}", hint="widen its bounds")
        return self.random.randint(first, last) * step

    def _number(self, schema: Mapping[str, Any]) -> float:
        low, high, step = self._bounds(schema, gap=1e-3)
        if step:
            return self.random.randint(ceil(low / step), floor(high / step)) * step
        return min(high, max(low, round(self.random.uniform(low, high), 3)))

    def _bounds(self, schema: Mapping[str, Any], *, gap: float) -> tuple[float, float, float]:
        low, high = schema.get("minimum"), schema.get("maximum")
        if "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"] + gap
        if "exclusiveMaximum" in schema:
            high = schema["exclusiveMaximum"] - gap
        step = schema.get("multipleOf", 0)
        if low is None:
            low = 0 if high is None or high >= 0 else high - 100
        if high is None:
            high = low + max(100, 2 * step)
        return low, high, step

    def _string(self, schema: Mapping[str, Any]) -> str:
        make = _FORMATS.get(schema.get("format", ""))
        if make is not None:
            return make(self.random)
        low = schema.get("minLength", 0)
        high = schema.get("maxLength", max(low, 40))
        if "pattern" in schema:
            return matching(schema["pattern"], self.random, low=low, high=schema.get("maxLength"))
        text = " ".join(self.random.choice(_WORDS) for _ in range(3))
        while len(text) < low:
            text += " " + self.random.choice(_WORDS)
        return text[:high].rstrip() if len(text[:high].rstrip()) >= low else text[:high]
