"""``guardflow init``: a project in the shape of guardflow's own repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guardflow.errors import UsageError

from .output import print_result, say

FILES = {
    "guardflow.toml": """\
# Settings of this project; `guardflow config show --origin` tells what holds.
# budget_usd = 0.50

# [models.fast]
# name = "openai/gpt-5-mini"
""",
    ".env.example": "# Copy to .env, which is not committed.\n# OPENAI_API_KEY=\n",
    ".gitignore": ".env\n.guardflow/\n__pycache__/\n",
    "pipelines/__init__.py": '"""Pipelines of this project."""\n',
    "pipelines/greeting.py": '''\
"""A first pipeline: one model stage with a guard and a fallback."""

from collections.abc import Iterator

from pydantic import BaseModel

from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    degrade,
    guard,
    pipeline,
    reask,
    wait,
)


class Person(BaseModel):
    name: str


class Greeting(BaseModel):
    text: str


@guard
def names_the_person(greeting: Greeting, ctx: GuardContext[Person]) -> Iterator[Finding]:
    if ctx.input.name not in greeting.text:
        yield Finding(f"the greeting does not name {ctx.input.name!r}", at=("text",), evidence=greeting.text)


greet = LLMStage(
    "greet",
    Person,
    Greeting,
    prompt="greeting/greet",
    model=Model("fast"),
    guards=[names_the_person.reject()],
    ladder=Ladder(wait(3), reask(2, on=Kind.INVALID | Kind.GUARD), otherwise=degrade()),
    fallback=lambda person, findings: Greeting(text=f"Hello, {person.name}!"),
)


@pipeline("greeting")
async def greeting(person: Person) -> Greeting:
    return await greet(person)
''',
    "prompts/greeting/greet.md": """\
---
description: greets a person
inputs: [name]
params: {max_tokens: 100}
---
{% message "system" %}
Write one friendly sentence that greets the person by name. Reply with JSON: {"text": "..."}.
{% endmessage %}
{% message "user" %}
{{ name | fenced }}
{% endmessage %}
""",
    "tests/test_greeting.py": '''\
"""The pipeline with a scripted model: no key, no network."""

import asyncio

from guardflow import Runtime
from guardflow.testing import Scripted
from pipelines.greeting import Greeting, Person, greeting


def test_a_greeting_that_names_nobody_is_asked_again() -> None:
    model = Scripted(Greeting(text="Hello!"), Greeting(text="Hello, Ada!"))

    async def run() -> Greeting:
        async with Runtime("memory", models={"fast": model}) as rt:
            return (await rt.run(greeting, Person(name="Ada"))).unwrap()

    assert asyncio.run(run()).text == "Hello, Ada!"
    assert model.count == 2
''',
    "conftest.py": '"""Lets `pytest` find this folder\'s packages."""\n',
    "evals/.gitkeep": "",
}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(init)


def init(folder: Annotated[Path, typer.Argument(help="Where; this folder by default.")] = Path()) -> None:
    """Make a project: a pipeline, its prompt, a test, settings. Nothing that is there is overwritten."""
    made = 0
    for name, text in FILES.items():
        target = folder / name
        if target.exists():
            say(f"kept {target}")
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
        except OSError as error:
            raise UsageError(
                f"{str(target)!r} cannot be written ({error.strerror})",
                hint="choose a folder you can write to",
            ) from None
        made += 1
        say(f"made {target}")
    print_result(f"{made} files. Try: guardflow run greeting -i name=Ada, and pytest")
