"""``guardflow prompts``: list, show, check, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from guardflow.errors import PromptError
from guardflow.hashing import JSON

from .completing import prompt_names
from .options import AsJson, settings_for
from .output import cell, print_json, print_result, say, table_console
from .run import read_input

if TYPE_CHECKING:
    from guardflow.prompts import Prompt, PromptLibrary

app = typer.Typer(
    help="Look at prompt files.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

Name = Annotated[
    str, typer.Argument(help="The prompt's name, such as examples/plan.", autocompletion=prompt_names)
]
Variant = Annotated[str | None, typer.Option(metavar="NAME", help="One of its variants.")]


@app.command("list")
def list_(json_output: AsJson = False) -> None:
    """List the prompts of the project and of the bundle."""
    from rich.table import Table

    library = _library()
    prompts = [library.load(name) for name in library.names()]
    if json_output:
        print_json({"prompts": cast("JSON", [_json(p) for p in prompts])})
        return
    table = Table("prompt", "inputs", "variants", "hash", "for", box=None)
    for p in prompts:
        cells = (p.name, ", ".join(p.inputs), ", ".join(p.variants), p.hash()[:10], p.description)
        table.add_row(*map(cell, cells))
    table_console().print(table)


@app.command()
def show(name: Name, json_output: AsJson = False) -> None:
    """Show one prompt: its file, inputs, variants and hashes."""
    prompt = _library().load(name)
    if json_output:
        print_json(_json(prompt))
        return
    text = prompt.path.read_text("utf-8") if prompt.path is not None else ""
    hashes = [f"{v or 'itself'}: {prompt.hash(v)}" for v in (None, *prompt.variants)]
    print_result("\n".join([f"# {prompt.name} ({prompt.path})", *(f"# {line}" for line in hashes), text]))


@app.command()
def check() -> None:
    """Load every prompt; fail if one cannot be used."""
    library, broken = _library(), 0
    for name in library.names():
        try:
            library.load(name)
        except PromptError as error:
            broken += 1
            say(f"{name}: {error}")
    say(f"{len(library.names())} prompts, {broken} broken")
    if broken:
        raise typer.Exit(2)


@app.command()
def render(
    name: Name,
    fields: Annotated[
        list[str] | None,
        typer.Option("-i", "--set", metavar="NAME=VALUE", help="One input; may be repeated."),
    ] = None,
    input: Annotated[
        str | None, typer.Option("--input", metavar="FILE", help="The inputs as JSON; - reads stdin.")
    ] = None,
    variant: Variant = None,
    json_output: AsJson = False,
) -> None:
    """Render a prompt as a model would see it. Sends nothing."""
    given = read_input(fields or (), input)
    variables = cast("dict[str, object]", given) if isinstance(given, dict) else {"input": given}
    rendered = _library().load(name).render(variables, variant=variant)
    if json_output:
        messages = [{"role": m.role, "content": m.content} for m in rendered.messages]
        print_json({"prompt_hash": rendered.prompt_hash, "messages": cast("JSON", messages)})
        return
    print_result("\n\n".join(f"--- {m.role}\n{m.content}" for m in rendered.messages))


def _library() -> PromptLibrary:
    from guardflow.prompts import PromptLibrary, default_roots

    return PromptLibrary(default_roots(settings_for().root))


def _json(prompt: Prompt) -> dict[str, JSON]:
    return {
        "name": prompt.name,
        "description": prompt.description,
        "path": str(prompt.path),
        "inputs": list(prompt.inputs),
        "trim": list(prompt.trim),
        "model": prompt.model,
        "hash": prompt.hash(),
        "variants": {variant: prompt.hash(variant) for variant in prompt.variants},
    }
