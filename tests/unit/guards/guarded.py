"""What the tests of guards share: values, guards and findings."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter

from guardflow.guards import Checked, GuardContext, GuardUse, check, guard
from guardflow.values import Finding, Path

CTX: GuardContext[str] = GuardContext("source", stage="answer")


class Quote(BaseModel):
    text: str
    page: int | None = None


class Prose(BaseModel):
    kind: Literal["prose"] = "prose"
    quotes: list[Quote] = Field(min_length=1)


class Table(BaseModel):
    kind: Literal["table"] = "table"
    cells: dict[str, list[int]]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")
    title: str
    body: Prose | Table
    note: str | None = None
    tags: list[str] = []
    grade: str = Field(default="C", alias="Grade")


def answer() -> Answer:
    quotes = [Quote(text="good", page=1), Quote(text="bad", page=2), Quote(text="fine"), Quote(text="bad")]
    return Answer(title="t", body=Prose(quotes=quotes), note="n", tags=["a", "b"], Grade="A", more=[1, 2])


def flags(*paths: Path, once: bool = True) -> Any:
    """A guard that finds these paths: at the first look only, or at every one."""
    looks = 0

    @guard(name="flags", inline=True)
    def found(value: object) -> Iterator[Finding]:
        nonlocal looks
        looks += 1
        if looks == 1 or not once:
            yield from (Finding("wrong", at=path) for path in paths)

    return found


async def checked(value: Any, *uses: GuardUse[Any, Any]) -> Checked[Any]:
    before = value.model_copy(deep=True) if isinstance(value, BaseModel) else value
    result = await check(value, uses, CTX, revalidate=TypeAdapter(type(value)).validate_python)
    assert value == before, "the original must never change"
    return result


def bad_quotes(value: Answer) -> Iterator[Finding]:
    assert isinstance(value.body, Prose)
    for i, quote in enumerate(value.body.quotes):
        if quote.text == "bad":
            yield Finding("bad quote", at=("body", "quotes", i), evidence=quote.text)


no_bad = guard(bad_quotes)


class Rows(RootModel[list[Quote]]):
    pass


@dataclasses.dataclass(frozen=True)
class Plain:
    name: str
    rows: list[int]
    left: int | None = 1
    right: int = 2
    more: list[int] = dataclasses.field(default_factory=list)


@guard
def title_is_upper(value: Answer) -> Iterator[Finding]:
    if not value.title.isupper():
        yield Finding("not upper case", at=("title",))


def raises(value: object) -> Iterator[Finding]:
    yield Finding("first")
    raise KeyError("boom")


def returns_true(value: object) -> Any:
    return True


def yields_text(value: object) -> Any:
    yield "wrong"


async def raises_async(value: object) -> AsyncIterator[Finding]:
    yield Finding("first")
    raise KeyError("boom")


async def yields_none(value: object) -> Any:
    yield None
