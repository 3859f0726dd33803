"""What the shell completes beside commands and options: names of pipelines and prompts, ids of runs.

Called at every press of a key: it imports no project code, makes no file, waits for nothing, and never says a word
about what went wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

_PIPELINE = re.compile(
    r"""^[ \t]*@(?:\w+\.)?pipeline\(\s*(?:name\s*=\s*)?(["'])([^"'\\\n]+)\1""", re.MULTILINE
)
_MOST_FILES = 500
_MOST_BYTES = 1 << 20


def _silent(names: Callable[[str], Iterable[str]]) -> Callable[[str], list[str]]:
    """What these names begin with what is typed; nothing where they cannot be had."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [name for name in names(incomplete) if name.startswith(incomplete) and name.isprintable()]
        except Exception:  # noqa: BLE001  # whatever it is: a message would land in the middle of a line
            return []

    return complete


@_silent
def pipeline_names(_incomplete: str) -> Iterable[str]:
    """Names of pipelines, read from their source as text."""
    found: set[str] = set()
    for folder in _pipeline_folders():
        for file in islice(sorted(folder.rglob("*.py")), _MOST_FILES):
            if file.stat().st_size <= _MOST_BYTES:
                found.update(name for _, name in _PIPELINE.findall(file.read_text("utf-8", "replace")))
    return sorted(found)


@_silent
def run_ids(incomplete: str) -> Iterable[str]:
    """Ids of the newest runs; none of a PostgreSQL database, which would have to be waited for."""
    from guardflow.settings import load_settings
    from guardflow.store.glance import newest_run_ids

    settings = load_settings()
    url = settings.database_url
    if url is None:
        return newest_run_ids(settings.home / "guardflow.db", prefix=incomplete)
    kind, separator, path = url.partition(":///")
    if kind != "sqlite" or not separator:
        return ()
    return newest_run_ids(Path(path).expanduser(), prefix=incomplete)


@_silent
def prompt_names(_incomplete: str) -> Sequence[str]:
    """Names of prompts."""
    from guardflow.prompts import PromptLibrary, default_roots
    from guardflow.settings import project_root

    return PromptLibrary(default_roots(project_root())).names()


def _pipeline_folders() -> Iterator[Path]:
    """The project's, and that of the bundle or of the checkout."""
    from guardflow.settings import project_root

    package = Path(__file__).absolute().parents[1]
    for folder in (project_root(), package / "_bundled", package.parent):
        if (folder / "pipelines").is_dir():
            yield folder / "pipelines"
