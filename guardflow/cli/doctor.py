"""``guardflow doctor``: what works here, what does not, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import typer

from guardflow.errors import GuardflowError
from guardflow.hashing import JSON

from .options import AsJson, settings_for
from .output import cell, print_json, table_console

if TYPE_CHECKING:
    from guardflow.settings import Settings


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "note", "bad"]
    found: str


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(doctor)


def doctor(json_output: AsJson = False) -> None:
    """Check python, versions, keys, database, prompts, models and disk."""
    checks = list(_checks())
    if json_output:
        print_json(
            {"checks": cast("JSON", [{"what": c.what, "state": c.state, "found": c.found} for c in checks])}
        )
    else:
        marks = {"ok": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "red")}
        for c in checks:
            mark, colour = marks[c.state]
            table_console().print(cell(f"{mark} {c.what}: {c.found}", style=colour))
    if any(c.state == "bad" for c in checks):
        raise typer.Exit(2)


def _checks() -> Iterator[Check]:
    yield Check("python", "ok" if sys.version_info >= (3, 11) else "bad", platform.python_version())
    yield from _versions()
    try:
        settings = settings_for()
    except GuardflowError as error:
        yield Check("settings", "bad", str(error))
        return
    yield Check("project", "ok", str(settings.root))
    yield from _keys(settings)
    for what, look in (("models", _models), ("prompts", _prompts), ("database", _database), ("disk", _disk)):
        yield _guarded(what, look, settings)


def _guarded(what: str, look: Callable[[Settings], Check], settings: Settings) -> Check:
    try:
        return look(settings)
    except GuardflowError as error:
        return Check(what, "bad", str(error))


def _versions() -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, version

    for package in ("guardflow", "dbos", "litellm", "instructor", "pydantic"):
        try:
            yield Check(package, "ok", version(package))
        except PackageNotFoundError:
            yield Check(package, "bad", "not installed: reinstall guardflow")


def _keys(settings: Settings) -> Iterator[Check]:
    from guardflow.models.roles import PROVIDERS, key_of
    from guardflow.settings import provider_environment

    environment = provider_environment(settings)
    named = [p for p in PROVIDERS.values() if p.keys]
    found = [p.name for p in named if key_of(p.name, environment)]
    missing = [p.keys[0] for p in named if p.name not in found]
    yield Check("keys set", "ok" if found else "note", ", ".join(found) or "none: the embedded model is used")
    yield Check("keys not set", "note", ", ".join(missing))


def _models(settings: Settings) -> Check:
    from guardflow.models.routing import Models
    from guardflow.settings import ROLES
    from guardflow.values import Model

    models = Models(settings)
    return Check("models", "ok", ", ".join(f"{r} = {models.resolve(Model(r)).name}" for r in ROLES))


def _prompts(settings: Settings) -> Check:
    from guardflow.prompts import PromptLibrary, default_roots

    library = PromptLibrary(default_roots(settings.root))
    for name in library.names():
        library.load(name)
    return Check("prompts", "ok", f"{len(library.names())} valid")


def _database(settings: Settings) -> Check:
    import anyio

    from guardflow.errors import DatabaseUnreachable
    from guardflow.runtime.inspection import list_runs

    try:
        runs = anyio.run(lambda: list_runs(settings, limit=1000))
    except DatabaseUnreachable as error:
        if settings.database_url is None:
            return Check("database", "note", f"none yet in {settings.home}; the first run makes it")
        return Check("database", "bad", str(error))
    open_runs = [row.run_id for row, _ in runs if row.state != "ended"]
    unfinished = f"; unfinished: {', '.join(open_runs[:5])}" if open_runs else ""
    return Check("database", "ok", f"{len(runs)} runs{unfinished}")


def _disk(settings: Settings) -> Check:
    folder = settings.home if settings.home.exists() else settings.root
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK)
    state: Literal["ok", "bad"] = "ok" if writable and free > 100_000_000 else "bad"
    return Check(
        "disk", state, f"{free // 1_000_000} MB free in {folder}{'' if writable else ', not writable'}"
    )
