"""The root of the command line, and the one place where errors become messages and exit codes.

Commands load what they need when they run: ``guardflow --help`` loads no model and no database.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import Annotated

import typer

from .commands import Root

FAILED = 1

app = typer.Typer(
    name="guardflow",
    cls=Root,
    help="Typed, guarded AI stages on durable pipelines: nothing invalid flows on, nothing is paid twice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok; 1 the run failed; 2 usage, settings or prompt error; 5 budget reached, resumable; "
    "6 waits for a person; 130 interrupted.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("guardflow"))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options that come before a command."""


def main() -> None:
    """Run the command line and exit."""
    if not sys.warnoptions:
        # Warnings are for developers; `python -W` and PYTHONWARNINGS bring them back.
        warnings.simplefilter("ignore")
    if "_GUARDFLOW_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
        with contextlib.suppress(Exception):  # a message would land in the middle of the line
            app(prog_name="guardflow")
        return
    from guardflow.errors import GuardflowError

    from .output import forget_stdout, open_closed_streams

    open_closed_streams()
    try:
        app(prog_name="guardflow")
    except GuardflowError as error:
        from .output import fail

        fail(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): there is nobody to tell.
        forget_stdout()
        sys.exit(FAILED)
