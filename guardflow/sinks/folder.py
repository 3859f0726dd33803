"""The folder sink: files into a directory, each of them whole or not at all.

The command line calls `write_folder`. It writes over nothing that is not its own: a file is, if it is the same already
or if the folder's ``manifest.json`` names the same run.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from guardflow.errors import SinkError

MANIFEST = "manifest.json"


def write_folder(
    path: str | os.PathLike[str], files: Mapping[str, bytes], *, run_id: str = ""
) -> Sequence[Path]:
    """Write files into a folder, which is made if it is not there.

    Every file is written beside its place, flushed to the disk and then moved there: whoever looks sees the old file
    or the new one. The manifest goes last, so a folder with a manifest is complete. What is the same already is left
    alone.

    Args:
        path: the folder.
        files: contents by name; names are plain relative paths.
        run_id: the run they are from; files of the same run may be replaced.

    Returns:
        Where the files are, in the order of their names.

    Raises:
        SinkError: the folder cannot be written, the disk is full, a name leads out of the folder, or another file
            stands in the way. Then no file of that name was changed.
    """
    folder = Path(path)
    for name in files:
        _check_name(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder, files, run_id=run_id)
        for name in sorted(files, key=lambda name: (name == MANIFEST, name)):
            _write(folder / name, files[name])
        _flush_folder(folder)
    except OSError as error:
        raise _told(error, folder) from error
    return [folder / name for name in sorted(files)]


def _check_name(name: str) -> None:
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or ":" in name:
        raise SinkError(
            f"{name!r} cannot name a file of a folder", hint="use a plain relative name, as 'report.md'"
        )


def _refuse_foreign(folder: Path, files: Mapping[str, bytes], *, run_id: str) -> None:
    """Refuse before anything is written: a folder is not left half old, half new."""
    if run_id and _run_of(folder) == run_id:
        return
    for name in sorted(files):
        place = folder / name
        if place.is_symlink() or (place.exists() and not _is_same(place, files[name])):
            raise SinkError(
                f"{str(place)!r} is there already, and is not from this run",
                hint="choose another folder, or move what is in this one",
            )


def _run_of(folder: Path) -> str | None:
    """The run that the folder's manifest names, if there is one that can be read."""
    try:
        data: object = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    match data:
        case {"run_id": str() as run_id}:
            return run_id
        case _:
            return None


def _is_same(place: Path, content: bytes) -> bool:
    return place.is_file() and place.stat().st_size == len(content) and place.read_bytes() == content


def _write(place: Path, content: bytes) -> None:
    if not place.is_symlink() and _is_same(place, content):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{secrets.token_hex(6)}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _flush_folder(folder: Path) -> None:
    """Make the renames last, where a folder can be flushed."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems refuse; the files themselves are on the disk
    finally:
        os.close(descriptor)


def _told(error: OSError, folder: Path) -> SinkError:
    reason = error.strerror or type(error).__name__
    hints = {
        errno.ENOSPC: "make room on the disk, and deliver the run again: nothing of it is lost",
        errno.EDQUOT: "make room in the quota, and deliver the run again: nothing of it is lost",
    }
    hint = hints.get(
        error.errno or 0, "choose a folder that can be written; the run is kept, deliver it again"
    )
    return SinkError(f"{str(folder)!r} cannot be written: {reason}", hint=hint)
