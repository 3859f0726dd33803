"""Text and JSON as database cells, and back, exactly.

Any Python string survives: NUL (which PostgreSQL refuses), lone surrogates (which no driver encodes) and all else.
Nothing is ever pickled, and what is read is checked before it is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from guardflow.errors import DatabaseError
from guardflow.hashing import JSON

_MARK = "\x1a"  # SUBSTITUTE: it stands for a character that the database cannot hold
_UNSAFE = re.compile("[\x00\x1a\ud800-\udfff]")
_MARKED = re.compile("\x1a([0-9a-f]{4})")


def to_cell(text: str) -> str:
    """The text as it can be stored: NUL, SUBSTITUTE and surrogates become SUBSTITUTE and four hex digits."""
    if text.isascii():
        if "\x00" not in text and _MARK not in text:
            return text
    elif _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda match: f"{_MARK}{ord(match[0]):04x}", text)


def from_cell(cell: str) -> str:
    """The inverse of `to_cell`."""
    return cell if _MARK not in cell else _MARKED.sub(lambda match: chr(int(match[1], 16)), cell)


def to_json_cell(value: object) -> str:
    """JSON text of a value made of JSON types. Control characters are escaped by JSON, the rest by `to_cell`.

    Raises:
        ValueError: the value holds NaN or an infinity.
        TypeError: the value is not made of JSON types.
    """
    return to_cell(_encode(value))


def from_json_cell(cell: str, *, what: str) -> JSON:
    """The inverse of `to_json_cell`. ``what`` names the cell in the error.

    Raises:
        DatabaseError: the cell holds no JSON.
    """
    try:
        return cast("JSON", _decode(from_cell(cell)))
    except ValueError as error:
        raise DatabaseError(
            f"{what} is damaged: it holds no JSON ({error})", hint="restore the database from a backup"
        ) from error


class Document:
    """A JSON object that is read field by field: unknown keys are ignored, wrong types are refused.

    Args:
        what: names the object in errors.
    """

    __slots__ = ("_fields", "_what")

    def __init__(self, value: object, *, what: str) -> None:
        self._what = what
        if not isinstance(value, Mapping):
            self._refuse("it", value, "an object")
        self._fields = cast("Mapping[str, object]", value)

    def text(self, key: str) -> str:
        value = self._fields.get(key)
        return value if isinstance(value, str) else self._refuse(key, value, "a text")

    def text_or_none(self, key: str) -> str | None:
        value = self._fields.get(key)
        return (
            value if value is None or isinstance(value, str) else self._refuse(key, value, "a text or null")
        )

    def whole(self, key: str, default: int | None = None) -> int:
        value = self.whole_or_none(key)
        if value is None:
            return default if default is not None else self._refuse(key, value, "a whole number")
        return value

    def whole_or_none(self, key: str) -> int | None:
        value = self._fields.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        return self._refuse(key, value, "a whole number or null")

    def number(self, key: str) -> float:
        value = self.number_or_none(key)
        return value if value is not None else self._refuse(key, value, "a number")

    def number_or_none(self, key: str) -> float | None:
        value = self._fields.get(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        return self._refuse(key, value, "a number or null")

    def flag(self, key: str) -> bool:
        value = self._fields.get(key, False)
        return value if isinstance(value, bool) else self._refuse(key, value, "true or false")

    def list(self, key: str) -> Sequence[object]:
        value = self._fields.get(key, [])
        return cast("list[object]", value) if isinstance(value, list) else self._refuse(key, value, "a list")

    def document_or_none(self, key: str) -> Document | None:
        value = self._fields.get(key)
        return None if value is None else Document(value, what=f"{key!r} of {self._what}")

    def _refuse(self, key: str, value: object, expected: str) -> NoReturn:
        raise DatabaseError(
            f"{self._what} is damaged: {key!r} is a {type(value).__name__} where {expected} is expected",
            hint="read it with the guardflow that wrote it, or restore the database from a backup",
        )


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return list(cast("Sequence[object]", value))
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# one encoder and one decoder, because json.dumps with options makes a new one at every call
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain).encode
_decode = json.JSONDecoder(parse_constant=_no_constant).decode
