"""``guardflow config``: what is set, and where each value came from."""

from __future__ import annotations

from typing import Annotated

import typer

from guardflow.hashing import JSON

from .options import AsJson, settings_for
from .output import cell, print_json, table_console

app = typer.Typer(help="Look at settings.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.command()
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    json_output: AsJson = False,
) -> None:
    """Print the settings that hold here. Keys and passwords are never among them."""
    from rich.table import Table

    settings = settings_for()
    rows: list[tuple[str, str, str]] = []
    for field in ("home", "database_url", "cache", "budget_usd"):
        value: object = getattr(settings, field)
        shown = _without_password(str(value)) if field == "database_url" and value else str(value)
        rows.append((field, shown, settings.origin(field)))
    for role, model in settings.models.items():
        for part, value in model.model_dump(exclude_none=True).items():
            rows.append((f"models.{role}.{part}", str(value), settings.origin(f"models.{role}.{part}")))
    if json_output:
        document: dict[str, JSON] = {n: {"value": v, "origin": o} for n, v, o in rows}
        print_json({"settings": document})
        return
    table = Table("setting", "value", *(["from"] if origin else []), box=None)
    for row in rows:
        table.add_row(*map(cell, row if origin else row[:2]))
    table_console().print(table)


def _without_password(url: str) -> str:
    from guardflow.classify import redact
    from guardflow.settings import secret_values

    head, at, tail = url.rpartition("@")
    return redact(url, [v for v in secret_values({"URL": url}) if v != url]) if at else head + tail
