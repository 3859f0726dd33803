# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""The types of guards: what fits where, and what does not. Checked by mypy and pyright, never run."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import assert_type

from pydantic import BaseModel

from guardflow.guards import Checked, Guard, GuardContext, GuardUse, check, guard
from guardflow.guards.kit import Quoted, no_secrets, numbers_from, quotes_verbatim
from guardflow.values import Finding, Model


class Evidence(BaseModel):
    text: str


class Answer(BaseModel):
    text: str


class LongAnswer(Answer):
    more: str


class Other(BaseModel):
    n: int


@guard
def grounded(answer: Answer, ctx: GuardContext[Evidence]) -> Iterator[Finding]:
    if answer.text not in ctx.input.text:
        yield Finding("not grounded")


@guard
def polite(answer: Answer) -> list[Finding] | None: ...


@guard(asks=1)
async def judged(answer: Answer, ctx: GuardContext[Evidence]) -> AsyncIterator[Finding]:
    verdict = await ctx.ask(Model("judge"), "?", Other, answer=answer.text)
    assert_type(verdict, Other)
    assert_type(ctx.resource(Evidence), Evidence)
    yield Finding("no")


@guard
def about_other(other: Other) -> Iterator[Finding]:
    yield Finding("no")


@guard
def other_input(answer: Answer, ctx: GuardContext[Other]) -> None: ...


def shorten(answer: Answer, findings: Sequence[Finding]) -> Answer:
    return answer


def of_other(other: Other, findings: Sequence[Finding]) -> Other:
    return other


assert_type(grounded, Guard[Answer, Evidence])
assert_type(polite, Guard[Answer, object])
assert_type(judged, Guard[Answer, Evidence])
assert_type(grounded.reject(), GuardUse[Answer, Evidence])
assert_type(grounded.fix(shorten), GuardUse[Answer, Evidence])

Uses = Sequence[GuardUse[Answer, Evidence]]
uses: Uses = [grounded.reject(), polite.warn(), judged.drop(), no_secrets().error(), grounded.fix(shorten)]
on_subclass: Sequence[GuardUse[LongAnswer, Evidence]] = [grounded.reject(), polite.refuse()]


def cited(answer: Answer, evidence: Evidence) -> list[Quoted]:
    return [Quoted(("text",), answer.text, [evidence.text])]


def text_of(evidence: Evidence) -> str:
    return evidence.text


def other_text(other: Other) -> str:
    return str(other.n)


kit: Uses = [
    quotes_verbatim(cited).drop(),
    quotes_verbatim("text", source=text_of).reject(),
    quotes_verbatim("text", source="text").reject(),
    numbers_from("text", source=text_of).reject(),
]


async def runs(answer: Answer, ctx: GuardContext[Evidence]) -> None:
    assert_type(await check(answer, uses, ctx, revalidate=Answer.model_validate), Checked[Answer])


# Composition keeps what a guard takes: the narrower of two values and inputs.
def is_long(answer: Answer) -> bool:
    return len(answer.text) > 100


def has_source(answer: Answer, ctx: GuardContext[Evidence]) -> bool:
    return bool(ctx.input.text)


def is_other(other: Other) -> bool:
    return other.n > 0


both: Guard[Answer, Evidence] = grounded & judged
either: Guard[Answer, Evidence] = polite | judged
composed: Uses = [
    (grounded & polite).reject(),
    (polite & grounded).reject(),
    (no_secrets() & grounded).reject(),
    (grounded | no_secrets() & judged).drop(),
    grounded.when(is_long).reject(),
    polite.when(has_source).reject(),
    (no_secrets() & grounded.when(has_source)).fix(shorten),
    (numbers_from("text", source=text_of) & polite).drop(),
    (polite & numbers_from("text", source=text_of)).drop(),
    no_secrets().when(lambda answer: answer is not None).warn(),
]
assert_type(grounded & judged, Guard[Answer, Evidence])
assert_type(grounded.when(is_long), Guard[Answer, Evidence])


@guard(when=is_long)
def only_long(answer: Answer) -> None: ...


assert_type(only_long, Guard[Answer, object])

# What does not fit: both checkers must refuse each line.
wrong_output: Uses = [about_other.reject()]  # type: ignore[list-item]  # pyright: ignore[reportAssignmentType]
wrong_input: Uses = [other_input.reject()]  # type: ignore[list-item]  # pyright: ignore[reportAssignmentType]
wrong_kit: Uses = [numbers_from("text", source=other_text).reject()]  # type: ignore[list-item]  # pyright: ignore[reportAssignmentType]
wrong_fix = grounded.fix(of_other)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
wrong_part = grounded & about_other  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
wrong_alternative = grounded | other_input  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
wrong_condition = grounded.when(is_other)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownVariableType]
wrong_order = grounded.reject() & polite.reject()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
