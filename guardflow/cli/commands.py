"""Which commands there are, in which order they are listed, and the file each is in.

A command's file is imported when the command is called: the list itself costs nothing.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "research": ("research", "A cited report over your documents, or over the guide."),
        "run": ("run", "Run a pipeline; the same --run-id resumes it."),
        "explain": ("explain", "How a pipeline's stages climb, and what they cost at worst."),
        "runs": ("runs", "Look at runs, and make them go on."),
    },
    "Look": {
        "prompts": ("prompts", "Look at prompt files, check and render them."),
        "eval": ("evals", "How good guards are, on labelled cases."),
        "cache": ("caching", "The cache of accepted answers."),
        "models": ("models", "What the model roles stand for, and local weights."),
        "config": ("settings", "The settings that hold here."),
    },
    "Setup": {
        "init": ("init", "Make a project that runs and passes its test."),
        "doctor": ("doctor", "What works here, what does not, and what to do about it."),
        "completion": ("completion", "Print the completion script of a shell."),
    },
}
"""Section -> command -> (its file, one line of at most 60 characters). A file has ``app`` or ``add_to(app)``."""


class Root(TyperGroup):
    """The root command, which imports a command only to call it."""

    def list_commands(self, ctx: Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        places = {name: place for section in COMMANDS.values() for name, place in section.items()}
        return None if cmd_name not in places else _load(cmd_name, *places[cmd_name])

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args[0] not in known and not ctx.resilient_parsing:  # a shell that completes asks of anything
            near = difflib.get_close_matches(args[0], known, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return args[0], self.get_command(ctx, args[0]), args[1:]

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(10), line) for name, (_, line) in section.items()])


def _load(name: str, file: str, line: str) -> Command:
    module = importlib.import_module(f".{file}", __package__)
    if hasattr(module, "app"):
        command: Command = typer.main.get_group(module.app)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        module.add_to(app)
        command = typer.main.get_command(app)
    command.name, command.short_help = name, line
    return command
