"""What a run leaves in a folder: its report and what belongs to it. `research` and `runs resume` write it.

A folder that cannot be written is refused before anything is spent; one that fails afterwards loses no report.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guardflow.errors import SinkError, UsageError

if TYPE_CHECKING:
    from guardflow.runtime import RunResult

REPORT = "report.md"
"""The file that is printed, too."""
_FOLDER = Path("research")

Files = Callable[["RunResult[object]"], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a finished run leaves, and where."""

    files: Files
    folder: Path

    def write(self, run_id: str, made: Mapping[str, bytes]) -> str:
        """Write the files; gives what to tell.

        Raises:
            SinkError: the folder cannot be written; the hint says how to write it elsewhere without paying again.
        """
        from guardflow.sinks.folder import write_folder

        try:
            write_folder(self.folder, made, run_id=run_id)
        except SinkError as error:
            again = f"guardflow runs resume {run_id} --out FOLDER"
            raise SinkError(
                error.message, hint=f"the run is kept; `{again}` writes its report elsewhere"
            ) from error
        return f"wrote {self.folder}/: {', '.join(sorted(made))}"


def kept(files: Files, out: Path | None, run_id: str) -> Kept:
    """Where a run's files go: the folder that was named, else one of its own."""
    return Kept(files, out or _FOLDER / run_id)


def check_folder(folder: Path, *, new: bool) -> None:
    """Refuse a folder that cannot take a report, before the run begins.

    Args:
        folder: the folder; it need not be there.
        new: whether the run begins now; one that goes on may have written there before.

    Raises:
        UsageError: it is a file, cannot be written, or holds a report.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UsageError(
            f"{str(folder)!r} cannot be a folder: {str(there)!r} is a file", hint="name another as --out"
        )
    if new and os.path.lexists(folder / REPORT):
        raise UsageError(f"{str(folder)!r} holds a report already", hint="name another folder as --out")
    trial = there / f".guardflow-{secrets.token_hex(6)}"
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise UsageError(
            f"{str(folder)!r} cannot be written: {error.strerror}",
            hint="name a folder that can be written as --out",
        ) from None
