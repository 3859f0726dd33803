"""What a GGUF file says about itself: how much context it was trained on, and which texts are control tokens.

The engine reads it once for each file. It reads the header only, and trusts no length in it.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from guardflow.errors import ConfigError

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_CONTROL_TYPES = frozenset({2, 3})
"""Unknown and control tokens: the ones that llama.cpp makes out of text only where it is told to, as in chats."""
_MOST = 64 * 1024 * 1024
"""No header field is longer; a file that says so is damaged."""


class _Array(NamedTuple):
    of: int
    values: list[object]


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a GGUF header that matters here. ``control`` are the texts of control tokens."""

    architecture: str
    context: int | None
    control: tuple[str, ...]
    chat: bool
    """Whether it has a chat template: a base model has none."""


def read_header(path: Path) -> Header:
    """Read the header of a GGUF file.

    Raises:
        ConfigError: it is no GGUF file, or a damaged one.
    """
    try:
        with path.open("rb") as file:
            fields = _fields(file)
    except OSError as error:
        raise ConfigError(
            f"the weights {str(path)!r} cannot be read ({error.strerror})", hint="make the file readable"
        ) from None
    except (struct.error, ValueError, UnicodeDecodeError, OverflowError, MemoryError):
        raise ConfigError(
            f"{str(path)!r} is not a GGUF file, or only a part of one",
            hint="download it again, or give the path of another file",
        ) from None
    architecture = str(fields.get("general.architecture", ""))
    context = fields.get(f"{architecture}.context_length")
    return Header(
        architecture=architecture,
        context=context if isinstance(context, int) else None,
        control=_control(fields),
        chat="tokenizer.chat_template" in fields,
    )


def _control(fields: dict[str, object]) -> tuple[str, ...]:
    tokens, types = fields.get("tokenizer.ggml.tokens"), fields.get("tokenizer.ggml.token_type")
    if not isinstance(tokens, _Array) or not isinstance(types, _Array):
        return ()
    return tuple(
        str(token) for token, kind in zip(tokens.values, types.values, strict=False) if kind in _CONTROL_TYPES
    )


def _fields(file: BinaryIO) -> dict[str, object]:
    magic, version, _tensors, count = struct.unpack("<4sIQQ", _exactly(file, 24))
    if magic != b"GGUF" or version < 2 or count > 100_000:
        raise ValueError(magic)
    return {_text(file): _value(file, _number(file, "I")) for _ in range(count)}


def _value(file: BinaryIO, kind: int) -> object:
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        return _number(file, _NUMBERS[kind]) if kind in _NUMBERS else _unknown(kind)
    of, length = _number(file, "I"), _number(file, "Q")
    if length > _MOST:
        raise ValueError(length)
    if of == _STRING:
        return _Array(of, [_text(file) for _ in range(length)])
    code = _NUMBERS.get(of) or _unknown(of)
    data = _exactly(file, length * struct.calcsize(f"<{code}"))
    return _Array(of, list(struct.unpack(f"<{length}{code}", data)))


def _unknown(kind: int) -> str:
    raise ValueError(kind)


def _number(file: BinaryIO, code: str) -> int:
    return cast("int", struct.unpack(f"<{code}", _exactly(file, struct.calcsize(f"<{code}")))[0])


def _text(file: BinaryIO) -> str:
    # Token texts may be any bytes; what is no UTF-8 cannot be part of a prompt either.
    return _exactly(file, _number(file, "Q")).decode("utf-8", "replace")


def _exactly(file: BinaryIO, size: int) -> bytes:
    if size > _MOST:
        raise ValueError(size)
    data = file.read(size)
    if len(data) != size:
        raise ValueError(size)
    return data
