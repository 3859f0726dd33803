"""``guardflow completion``: the completion script of a shell, to be sourced."""

from __future__ import annotations

from typing import Annotated

import typer

from guardflow.errors import UsageError

from .output import print_result

SHELLS = ("bash", "zsh", "fish")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(completion)


def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish")]) -> None:
    """Print the completion script of a shell: eval "$(guardflow completion bash)"."""
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise UsageError(f"there is no completion for {shell!r}", hint=f"use one of {', '.join(SHELLS)}")
    print_result(
        get_completion_script(prog_name="guardflow", complete_var="_GUARDFLOW_COMPLETE", shell=shell)
    )
