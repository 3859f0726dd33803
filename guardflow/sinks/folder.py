"""The folder sink: files into a directory, each of them whole or not at all.

The command line calls `write_folder`. It writes over nothing that is not its own: a file is, if it is the same already
or if the folder's ``manifest.json`` names the same run.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from guardflow.crashpoints import hit
from guardflow.errors import SinkError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

MANIFEST = "manifest.json"
_ASIDE = ".manifest.json.before"
"""Where the manifest is while the files that it speaks of are replaced: it still says whose the folder is."""
_BESIDE = re.compile(r"\.(.+)\.[0-9a-f]{12}")


def write_folder(
    path: str | os.PathLike[str], files: Mapping[str, bytes], *, run_id: str = ""
) -> Sequence[Path]:
    """Write files into a folder, which is made if it is not there.

    All files are written beside their places and flushed to the disk, and only then moved there: whoever looks sees
    an old file or a new one, and a full disk changes nothing. The manifest goes last, and an old one goes first: a
    folder with a manifest is complete, even if the process is killed. What is the same already is left alone, and
    what a killed process left beside the files is removed.

    Args:
        path: the folder.
        files: contents by name; names are plain relative paths.
        run_id: the run they are from; files of the same run may be replaced.

    Returns:
        Where the files are, in the order of their names.

    Raises:
        SinkError: the folder cannot be written, the disk is full, a name leads out of the folder, or another file
            stands in the way.
    """
    folder = Path(path)
    for name in files:
        _check_name(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder) as alone:
            _refuse_foreign(folder, files, run_id=run_id)
            if alone:
                _sweep(folder, files)
            _replace(folder, files)
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
    manifest = folder / MANIFEST
    if not manifest.exists():
        manifest = folder / _ASIDE
    try:
        data: object = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return None
    match data:
        case {"run_id": str() as run_id}:
            return run_id
        case _:
            return None


def _is_same(place: Path, content: bytes) -> bool:
    return place.is_file() and place.stat().st_size == len(content) and place.read_bytes() == content


@contextmanager
def _alone(folder: Path) -> Generator[bool]:
    """Write alone, where a folder can be locked: only then is what lies beside the files surely a dead writer's."""
    if fcntl is None:
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locked = True
        except OSError:
            locked = False  # some network file systems lock no folders
        yield locked
    finally:
        os.close(descriptor)


def _sweep(folder: Path, files: Mapping[str, bytes]) -> None:
    """Remove what a killed writer of these files left beside them."""
    names = {folder / name for name in files}
    for parent in {place.parent for place in names}:
        for entry in list(parent.iterdir()) if parent.is_dir() else ():
            ours = _BESIDE.fullmatch(entry.name)
            if ours is not None and parent / ours[1] in names and entry.is_file():
                entry.unlink()


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Bring every file that is not the same already to its place."""
    staged: dict[Path, Path] = {}
    try:
        for name in sorted(files, key=lambda name: (name == MANIFEST, name)):
            place = folder / name
            if place.is_symlink() or not _is_same(place, files[name]):
                place.parent.mkdir(parents=True, exist_ok=True)
                staged[place] = place.with_name(f".{place.name}.{secrets.token_hex(6)}")
                _write(staged[place], files[name])
        manifest = folder / MANIFEST
        if staged and MANIFEST in files and manifest.exists():
            manifest.replace(folder / _ASIDE)
            staged.setdefault(manifest, folder / _ASIDE)  # the same one: it comes back
            _flush_folder(folder)
        for place, beside in staged.items():
            hit("deliver.before")
            beside.replace(place)
            hit("deliver.after")
    except BaseException:
        for beside in staged.values():
            if beside.name != _ASIDE:
                beside.unlink(missing_ok=True)
        raise
    if MANIFEST in files:
        (folder / _ASIDE).unlink(missing_ok=True)
    for parent in {folder, *(place.parent for place in staged)}:
        _flush_folder(parent)


def _write(beside: Path, content: bytes) -> None:
    with beside.open("xb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        hit("deliver.write")
        file.write(content[len(content) // 2 :])
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the renames last, where a folder can be flushed."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):  # some file systems refuse; the files themselves are on the disk
            os.fsync(descriptor)
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
