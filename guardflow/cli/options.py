"""Options that several commands share, and how they become settings."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from guardflow.errors import UsageError
from guardflow.values import CacheMode

from .completing import run_ids

if TYPE_CHECKING:
    from guardflow.budget import Budget
    from guardflow.settings import Settings

RunId = Annotated[
    str | None,
    typer.Option(
        "--run-id", metavar="ID", help="Stable id: the same one resumes the run.", autocompletion=run_ids
    ),
]
BudgetUsd = Annotated[
    float | None, typer.Option("--budget-usd", metavar="USD", help="Most US dollars to spend.")
]
BudgetSeconds = Annotated[
    float | None, typer.Option("--budget-seconds", metavar="SECONDS", help="Most active seconds.")
]
BudgetCalls = Annotated[
    int | None, typer.Option("--budget-calls", metavar="CALLS", help="Most model requests.")
]
ModelFlags = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", metavar="MODEL", help="For every role; or ROLE=MODEL. May be repeated."),
]
CacheFlag = Annotated[
    str | None,
    typer.Option(
        "--cache", metavar="MODE", help="Response cache: use, off, refresh or only; use by default."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AsEvents = Annotated[bool, typer.Option("--events", help="Print the run's events as JSON lines.")]


def settings_for(*, models: list[str] | None = None) -> Settings:
    """The project's settings, with what was given on the command line on top.

    Raises:
        UsageError: a model is given for a role that neither guardflow nor the project has.
    """
    from guardflow.settings import ROLES, load_settings

    names = [given.partition("=")[0] for given in models or () if "=" in given]
    known = {*ROLES, *(load_settings().models if set(names) - set(ROLES) else ())}
    for role in names:
        if role not in known:
            near = difflib.get_close_matches(role, known, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"roles are {', '.join(map(repr, sorted(known)))}"
            )
            raise UsageError(f"--model names the role {role!r}, which does not exist", hint=hint)
    chosen: dict[str, object] = {}
    for given in models or ():
        role, equals, name = given.partition("=")
        for target in (role,) if equals else ROLES:
            chosen[target] = {"name": name if equals else given}
    return load_settings(models=chosen or None)


def budget_for(
    settings: Settings, *, usd: float | None, seconds: float | None = None, calls: int | None = None
) -> Budget | None:
    """The budget that was asked for; else the project's; else none."""
    from guardflow.budget import Budget

    usd = usd if usd is not None else settings.budget_usd
    if usd is None and seconds is None and calls is None:
        return None
    return Budget(usd=usd, seconds=seconds, calls=calls)


def cache_mode(settings: Settings, given: str | None) -> CacheMode:
    """The response cache's mode: as given, else the project's, else ``use``.

    Raises:
        BadParameter: there is no such mode.
    """
    if given is None:
        return settings.cache or "use"
    if given not in get_args(CacheMode):
        raise typer.BadParameter(f"--cache is one of {', '.join(get_args(CacheMode))}, not {given!r}")
    return cast("CacheMode", given)


def existing(path: Path) -> Path:
    """A path that is there.

    Raises:
        BadParameter: it is not.
    """
    if not path.exists():
        raise typer.BadParameter(f"{str(path)!r} does not exist")
    return path
