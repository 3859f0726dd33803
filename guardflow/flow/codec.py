"""Types to JSON and back: what a stage takes, gives, stores and hashes.

Stages and pipelines make one `Codec` for each end. All validation is pydantic's; nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar, cast

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from guardflow.errors import ReplayMismatch, StageError
from guardflow.hashing import JSON, value_hash
from guardflow.values import Finding, Path, Schema

T = TypeVar("T")


class Codec(Generic[T]):
    """Converts values of one type.

    Args:
        kind: the type: a class, or for code stages any annotation pydantic can validate.
        owner: who needs it, for error messages, such as ``stage 'plan'``.

    Raises:
        StageError: the type cannot be turned into JSON and back.
    """

    def __init__(self, kind: type[T], *, owner: str) -> None:
        self.kind = kind
        self.owner = owner
        try:
            self.adapter: TypeAdapter[T] = TypeAdapter(kind)
            schema = self.adapter.json_schema(mode="validation")
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            raise StageError(
                f"{owner} uses {kind!r}, which cannot be turned into JSON and back ({_first_line(error)})",
                hint="use a pydantic model, a dataclass, or plain JSON types",
            ) from None
        self._has_sets = '"uniqueItems"' in json.dumps(schema)

    def dump(self, value: T) -> JSON:
        """The value as JSON.

        Raises:
            StageError: the value is not one of this type.
        """
        if value is None:
            self.check(value)  # pydantic dumps None as if every type had it
        try:
            data = cast("JSON", self.adapter.dump_python(value, mode="json", warnings="error"))
        except PydanticSerializationError as error:
            raise StageError(
                f"{self.owner} got a {type(value).__name__!r} where it takes {_name(self.kind)} "
                f"({_first_line(error)})",
                hint="pass a value of the declared type",
            ) from None
        return sets_in_order(value, data) if self._has_sets else data

    def check(self, value: object) -> T:
        """The value, validated as if it had come as JSON or as an instance.

        Raises:
            StageError: it does not fit the type.
        """
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            raise StageError(
                f"{self.owner} takes {_name(self.kind)} and got {type(value).__name__!r}: {_first_line(error)}",
                hint="pass a value of the declared type",
            ) from None

    def load(self, data: JSON) -> T:
        """A stored JSON value as the type it was.

        Raises:
            ReplayMismatch: the stored value no longer fits the type.
        """
        try:
            return self.adapter.validate_python(data) if _is_scalar(data) else self._load_json(data)
        except ValidationError as error:
            raise ReplayMismatch(
                f"{self.owner} stored a value that no longer fits {_name(self.kind)}: "
                f"{'; '.join(f.where() + ' ' + f.message for f in findings_of(error)[:3])}",
                hint="make the change compatible, or run `guardflow runs fork RUN --from STAGE`",
            ) from None

    def _load_json(self, data: JSON) -> T:
        import pydantic_core

        try:
            encoded = pydantic_core.to_json(data)
        except PydanticSerializationError:
            # A lone surrogate, which UTF-8 cannot hold: outside text may have one, and stays what it is.
            return self.adapter.validate_python(data)
        return self.adapter.validate_json(encoded)

    def parse(self, text: str) -> T:
        """A model's answer as the type.

        Raises:
            ValidationError: of pydantic, for `findings_of`.
        """
        return self.adapter.validate_json(text)

    def hash(self, data: JSON) -> str:
        """The identity of a dumped value.

        Raises:
            StageError: it holds NaN or an infinity.
        """
        try:
            return value_hash(data)
        except ValueError:
            raise StageError(
                f"{self.owner} got a number that JSON cannot hold (NaN or infinity)",
                hint="replace it by None or leave it out",
            ) from None


def sets_in_order(value: object, data: JSON) -> JSON:
    """What pydantic made of ``value``, with the items of sets in an order that is the same in every process.

    Python iterates over a set of strings in an order of its own in each process, and a stage's input is known again
    by its hash. Parts that a serializer of their own has given another shape stay as they are.
    """
    if isinstance(value, AbstractSet) and isinstance(data, list):
        items = zip(cast("AbstractSet[object]", value), data, strict=False)
        return sorted((sets_in_order(item, dumped) for item, dumped in items), key=_sortable)
    if isinstance(value, Sequence) and isinstance(data, list):
        parts = cast("Sequence[object]", value)
        if len(parts) != len(data):
            return data
        return [sets_in_order(part, dumped) for part, dumped in zip(parts, data, strict=True)]
    if not isinstance(data, dict):
        return data
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value).values()
        if len(entries) != len(data):
            return data
        return {
            key: sets_in_order(entry, dumped)
            for (key, dumped), entry in zip(data.items(), entries, strict=True)
        }
    fields = _fields_of(cast("object", value), data)
    return {
        key: sets_in_order(fields[key], dumped) if key in fields else dumped for key, dumped in data.items()
    }


def _sortable(data: JSON) -> str:
    return json.dumps(data, sort_keys=True)  # NaN too, which `Codec.hash` refuses in words of its own


def _fields_of(value: object, names: Iterable[str]) -> dict[str, object]:
    """The fields of a record that are among ``names``."""
    fields: Iterable[str] = ()
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
    elif dataclasses.is_dataclass(value):
        fields = (field.name for field in dataclasses.fields(value))
    return {name: getattr(value, name) for name in fields if name in names}


def require_class(kind: object, *, owner: str) -> None:
    """Raises:
    StageError: ``kind`` is not a class, and so nothing that a model can be asked for.
    """
    if not inspect.isclass(kind):
        raise StageError(
            f"{owner} has the output type {kind!r}, which is not a class",
            hint="name a class, such as a pydantic model with a field of that type",
        )


def schema_of(kind: type[object], *, owner: str) -> Schema | None:
    """The JSON schema a model's answer must fit; None for plain text (``str``).

    Raises:
        StageError: ``kind`` is not a class.
    """
    require_class(kind, owner=owner)
    if kind is str:
        return None
    adapter: TypeAdapter[object] = TypeAdapter(kind)
    body = cast("Mapping[str, JSON]", adapter.json_schema(mode="validation"))
    return Schema(name=_schema_name(kind), json=body, hash=value_hash(body))


def is_record(kind: object) -> bool:
    """Whether the type's JSON is an object by itself; other types are asked for as ``{"value": ...}``."""
    return inspect.isclass(kind) and (issubclass(kind, BaseModel) or hasattr(kind, "__dataclass_fields__"))


def findings_of(error: ValidationError) -> tuple[Finding, ...]:
    """What pydantic has against a value, as findings with JSON paths, at most 20."""
    out: list[Finding] = []
    for item in error.errors(include_url=False, include_context=False)[:20]:
        got = item.get("input")
        out.append(
            Finding(
                message=item["msg"],
                at=_path(item["loc"]),
                evidence=None if item["type"] == "missing" else _short(got),
                expected=item["type"],
                guard="schema",
            )
        )
    return tuple(out)


def _path(loc: tuple[int | str, ...]) -> Path:
    return tuple(part for part in loc)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _is_scalar(data: JSON) -> bool:
    return data is None or isinstance(data, (str, bool, int, float))


def _schema_name(kind: type[object]) -> str:
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in kind.__name__)[:64]


def _name(kind: object) -> str:
    return repr(kind.__name__) if inspect.isclass(kind) else repr(kind)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:300]
