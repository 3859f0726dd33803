"""``guardflow cache``: stats and prune of the response cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from .options import AsJson, settings_for
from .output import print_json, print_result, say
from .showing import when

if TYPE_CHECKING:
    from guardflow.store.cache import CacheStats

app = typer.Typer(
    help="The cache of accepted answers.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.command()
def stats(json_output: AsJson = False) -> None:
    """Print how much the cache holds."""
    from guardflow.runtime.inspection import looking

    async def main() -> CacheStats:
        async with looking(settings_for()) as store:
            return await store.cache.stats()

    found = anyio.run(main)
    if json_output:
        print_json({"entries": found.entries, "bytes": found.bytes, "oldest": found.oldest})
    else:
        oldest = when(found.oldest) or "never"
        print_result(f"{found.entries} answers, {found.bytes} bytes; least recently used: {oldest}")


@app.command()
def prune(
    days: Annotated[
        float | None, typer.Option("--older-than", min=0, help="Days since the last use.")
    ] = None,
    max_bytes: Annotated[int | None, typer.Option(min=0, help="Keep at most so many bytes.")] = None,
) -> None:
    """Forget cached answers. Old ones, or the least recently used over a size."""
    if days is None and max_bytes is None:
        raise typer.BadParameter("give --older-than, --max-bytes, or both")
    from guardflow.store import open_store

    settings = settings_for()

    async def main() -> int:
        async with open_store(settings.database_url, home=settings.home) as store:
            age = None if days is None else days * 86_400
            return await store.cache.prune(older_than=age, max_bytes=max_bytes)

    say(f"pruned {anyio.run(main)} answers")
