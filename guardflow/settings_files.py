"""The files that settings come from, as tables whose every value knows the line it stands on.

`guardflow.settings` is the only caller. Nothing here knows which settings exist.
"""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from guardflow.errors import ConfigError


class Layer(NamedTuple):
    """One source: its values as a nested table, and the origin of each leaf by dotted path."""

    values: dict[str, object]
    origins: dict[str, str]


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{str(path)!r} is not UTF-8 (line {line})", hint="save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(
            f"{str(path)!r} cannot be read ({error.strerror})", hint="check its permissions"
        ) from None


def toml_layer(path: Path, *, table: tuple[str, ...] = (), label: str | None = None) -> Layer:
    """The values of a TOML file; nothing if there is no such file.

    Args:
        path: the file.
        table: the table that is ours.
        label: what origins call the file; its path if None.

    Raises:
        ConfigError: the file cannot be read or is malformed; it names the line.
    """
    text = _read(path)
    if text is None:
        return Layer({}, {})
    name = label or str(path)
    try:
        values = cast("dict[str, object]", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column \d+\)|\(at end of document\)", str(error))
        line = int(at[1]) if at and at[1] else text.count("\n") + 1
        why = str(error).removesuffix(at[0]).strip() if at else str(error)
        raise ConfigError(
            f"{str(path)!r} is not valid TOML, line {line}: {why}", hint="correct that line"
        ) from None
    for part in table:
        inner = values.get(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"{'.'.join(table)!r} in {str(path)!r} is not a table", hint="make it a [table]"
            )
        values = cast("dict[str, object]", inner)
    lines = _lines(text)
    origins = {".".join(leaf): f"{name}:{_line_of(lines, (*table, *leaf))}" for leaf in leaves(values)}
    return Layer(values, origins)


def _lines(text: str) -> list[tuple[tuple[str, ...], str]]:
    """Each line with the table it stands in."""
    table: tuple[str, ...] = ()
    lines: list[tuple[tuple[str, ...], str]] = []
    for line in text.splitlines():
        if header := re.match(r"\s*\[+([^\[\]]+)\]+", line):
            table = _keys(header[1])
        lines.append((table, line))
    return lines


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _line_of(lines: list[tuple[tuple[str, ...], str]], leaf: tuple[str, ...]) -> int:
    """The line a value stands on. tomllib does not tell, so: the line that spells the longest part of its path."""
    best, depth = 1, -1
    for number, (table, line) in enumerate(lines, 1):
        spelled = table
        if not line.lstrip().startswith("[") and (key := re.match(r"\s*([\w\-.\"']+)\s*=", line)):
            spelled = (*table, *_keys(key[1]))
        if leaf[: len(spelled)] == spelled and len(spelled) > depth:
            best, depth = number, len(spelled)
    return best


def read_dotenv(path: Path) -> dict[str, tuple[str, str]]:
    """Each variable of a .env file with its value and origin (``.env:3``).

    Raises:
        ConfigError: the file cannot be read or is malformed; it names the line.
    """
    text = _read(path)
    if text is None:
        return {}
    from dotenv.main import resolve_variables
    from dotenv.parser import parse_stream

    raw: list[tuple[str, str | None]] = []
    origins: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            line = binding.original.line
            raise ConfigError(
                f"{str(path)!r} is malformed in line {line}", hint="write NAME=value, one a line"
            )
        if binding.key is not None:
            raw.append((binding.key, binding.value))
            origins[binding.key] = f"{path.name}:{binding.original.line}"
    return {
        name: (value, origins[name])
        for name, value in resolve_variables(raw, override=False).items()
        if value
    }


def leaves(table: Mapping[str, object]) -> Iterable[tuple[str, ...]]:
    """The path of each value that is not itself a table with something in it."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            for rest in leaves(cast("Mapping[str, object]", value)):
                yield (key, *rest)
        else:
            yield (key,)
