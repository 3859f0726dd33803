"""``guardflow models``: what the roles stand for, and weights for the embedded model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from guardflow.errors import ConfigError
from guardflow.hashing import JSON

from .interrupting import end_by_unwinding
from .options import AsJson, ModelFlags, settings_for
from .output import cell, console, print_json, print_result, table_console

if TYPE_CHECKING:
    from guardflow.values import Model

app = typer.Typer(
    help="Models: roles and weights.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.command("list")
def list_(model: ModelFlags = None, json_output: AsJson = False) -> None:
    """List what each role stands for. And the weights that are installed."""
    from rich.table import Table

    from guardflow.models.local import available
    from guardflow.models.routing import Models
    from guardflow.settings import ROLES
    from guardflow.values import Model

    settings = settings_for(models=model)
    models, rows = Models(settings), list[tuple[str, ...]]()
    for role in (*ROLES, *(r for r in settings.models if r not in ROLES)):
        try:
            found = models.resolve(Model(role))
            price = "free" if found.price == "free" else "known" if found.price is not None else "unknown"
            known = (role, found.name, str(found.context or ""), str(found.max_tokens), price, _limits(found))
            rows.append((*known, ""))
        except ConfigError as error:
            rows.append((role, "", "", "", "", "", str(error)))
    weights = [(w.name, str(w.path)) for w in available(settings)]
    if json_output:
        keys = ("role", "model", "context", "max_tokens", "price", "limits", "error")
        listed = [dict(zip(keys, row, strict=True)) for row in rows]
        print_json({"roles": cast("JSON", listed), "weights": cast("JSON", [list(w) for w in weights])})
        return
    table = Table("role", "model", "context", "max_tokens", "price", "limits", box=None)
    for row in rows:
        table.add_row(*map(cell, (row[0], row[1] or row[6], *row[2:6])))
    table_console().print(table)
    for name, path in weights:
        print_result(f"weights: {name} ({path})")


def _limits(model: Model) -> str:
    """What is declared about the model's provider; empty if nothing is."""
    named = (("rpm", model.rpm), ("tpm", model.tpm), ("concurrency", model.concurrency))
    parts = [f"{name} {limit}" for name, limit in named if limit is not None]
    return ", ".join([*parts, "hedged"] if model.hedge else parts)


@app.command()
def install(
    name: Annotated[str, typer.Argument(help="Which weights.")] = "smollm2",
) -> None:
    """Download weights for the embedded model."""
    from rich.progress import Progress

    from guardflow.models.local import install as download

    end_by_unwinding()  # the draft is taken away
    with Progress(console=console()) as bar:
        task = bar.add_task(name, total=None)
        found = download(
            settings_for(), name, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    print_result(str(found.path))
