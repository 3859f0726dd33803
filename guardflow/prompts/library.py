"""Finds prompt files in the prompt folders and keeps what it loaded until a file changes.

The first folder that has a file wins, for prompts, variants and includes alike. Nothing outside of the folders
is ever read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guardflow.errors import PromptError
from guardflow.prompts.load import File, load_prompt
from guardflow.prompts.near import did_you_mean
from guardflow.prompts.render import Prompt

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:/[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_PROJECT_FILES: Final = ("pyproject.toml", "guardflow.toml")

Stamp = tuple[int, int] | None
"""Modification time (ns) and size; None where there is no file."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    prompt: Prompt
    seen: tuple[tuple[str, Stamp], ...]

    def is_fresh(self) -> bool:
        return all(_stamp(path) == stamp for path, stamp in self.seen)


class PromptLibrary:
    """The prompts below some folders.

    Args:
        roots: folders, the first wins. They need not exist.
        secret: the installation's secret: fences are keyed with it.
    """

    def __init__(self, roots: Sequence[Path], *, secret: bytes = b"guardflow") -> None:
        self._roots = tuple(roots)
        self._secret = secret
        self._loaded: dict[str, _Loaded] = {}

    def load(self, name: str) -> Prompt:
        """The prompt ``<area>/<name>``, prepared once and again when one of its files changed.

        Raises:
            PromptError: there is no such prompt, or anything about it is wrong.
        """
        loaded = self._loaded.get(name)
        if loaded is not None and loaded.is_fresh():
            return loaded.prompt
        if not _NAME.fullmatch(name):
            raise PromptError(
                f"{name!r} is not the name of a prompt",
                hint="write it like 'area/name', without the ending .md",
            )
        reader = _Reader(self._roots)
        if not reader.has(f"{name}.md"):
            looked = ", ".join(_label(root) for root in self._roots) or "no folder"
            raise PromptError(
                f"there is no prompt {name!r} in {looked}",
                hint=did_you_mean(name, self.names(), otherwise=f"create {name}.md in one of these folders"),
            )
        prompt = load_prompt(name, read=reader.read, secret=self._secret)
        self._loaded[name] = _Loaded(prompt, tuple(reader.seen.items()))
        return prompt

    def names(self) -> Sequence[str]:
        """The names of all prompts, sorted. Partials and the files of variants (``name.variant.md``) are none."""
        found: set[str] = set()
        for root in self._roots:
            for path in root.rglob("*.md"):
                *areas, file = path.relative_to(root).parts
                name = "/".join([*areas, file.removesuffix(".md")])
                if "partials" not in areas and _NAME.fullmatch(name):
                    found.add(name)
        return sorted(found)


class _Reader:
    """Reads files of the roots for one load, and remembers the stamp of every path it looked at."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self.seen: dict[str, Stamp] = {}

    def has(self, name: str) -> bool:
        return self._find(name) is not None

    def read(self, name: str) -> File:
        """A file by its path below the roots.

        Raises:
            PromptError: it is not there, leaves the roots, or is not UTF-8.
        """
        path = self._find(name)
        if path is None:
            raise PromptError(f"there is no file {name!r}", hint=did_you_mean(name, self._files_near(name)))
        if not any(path.resolve().is_relative_to(root.resolve()) for root in self._roots):
            raise PromptError(
                f"{name!r} is a link that leaves the prompt folders", hint="copy the file into them"
            )
        label = _label(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PromptError(f"{label} cannot be read: {error.strerror}") from error
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise PromptError(
                f"{label}:{line}: not UTF-8 (byte 0x{data[error.start]:02x})", hint="save the file as UTF-8"
            ) from None
        return File(path, label, text.replace("\r\n", "\n").replace("\r", "\n"))

    def _find(self, name: str) -> Path | None:
        if not _FILE.fullmatch(name):
            raise PromptError(
                f"{name!r} is not a path below the prompt folders",
                hint="use letters, digits, '_', '-', '.' and '/', and no '..'",
            )
        for root in self._roots:
            path = root / name
            # The stamp is taken before the file is read: a change in between is seen at the next load.
            stamp = self.seen[str(path)] = _stamp(str(path))
            if stamp is not None:
                return path
        return None

    def _files_near(self, name: str) -> list[str]:
        folders = [(root, (root / name).parent) for root in self._roots]
        return [
            path.relative_to(root).as_posix()
            for root, folder in folders
            for path in sorted(folder.glob("*.md"))
        ]


def default_roots(start: Path | None = None) -> tuple[Path, ...]:
    """Where prompts are looked for: the project's ``prompts/``, then those that come with guardflow.

    Args:
        start: a folder of the project; None is the working directory. The project is the nearest folder at or
            above it with a ``pyproject.toml`` or a ``guardflow.toml``, else ``start`` itself.
    """
    here = (start or Path.cwd()).absolute()
    project = next(
        (
            folder
            for folder in (here, *here.parents)
            if any((folder / file).is_file() for file in _PROJECT_FILES)
        ),
        here,
    )
    package = Path(__file__).absolute().parent.parent
    bundled = package / "_bundled" / "prompts"
    shipped = bundled if bundled.is_dir() else package.parent / "prompts"
    return tuple(dict.fromkeys((project / "prompts", shipped)))


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None


def _label(path: Path) -> str:
    """The path as errors show it: relative to the working directory where it is below it."""
    absolute = path.absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(absolute)
