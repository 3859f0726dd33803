"""Groundedness: what words decide, what a model is asked, and that doubt never passes."""

import time
from typing import Any

import pytest
from asker import Answers
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from guardflow.errors import ModelCallError, StageError
from guardflow.guards import Guard, GuardContext, GuardUse, check
from guardflow.guards.kit import grounded
from guardflow.guards.kit.support import ground_of
from guardflow.guards.kit.terms import words_of
from guardflow.kinds import Kind
from guardflow.values import Finding, Model

SOURCE = (
    "The pool holds ten connections. It is never resized at run time. Idle connections are closed after 30 seconds, "
    "unless keep-alive is enabled. Berlin earned 4.2 million euros in 2023. Munich earned 3.1 million euros. "
    "Most users accept the terms. The vendor may release a fix in May."
)
JUDGE = Model("judge")


def look(claim: str, source: str = SOURCE) -> tuple[str, str]:
    return ground_of((source,)).look(words_of(claim))[:2]


@pytest.mark.parametrize(
    "claim",
    [
        "The pool holds 10 connections.",
        "the pool holds ten connections [3].",
        "- The pool holds 10 connections",
        "In 2023 Berlin earned 4,200,000 euros.",
        "Most users accept the terms.",
        "The vendor may release a fix in May.",
        "How large is the pool?",
        "And so on.",
    ],
)
def test_what_a_passage_says_is_supported_for_free(claim: str) -> None:
    assert look(claim)[0] == "supported"


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("The pool holds 25 connections.", "has a number that the source does not have: '25'"),
        ("Users in Bremen accept the terms.", "names what the source does not name: 'bremen'"),
        ("The pool does not hold ten connections.", "negates what the source says, or the other way round"),
        ("All users accept the terms.", "says of all what the source says of some"),
        ("Most users reject the terms.", "says 'reject' where the source says 'accept'"),
    ],
)
def test_what_contradicts_the_source_is_refused_for_free(claim: str, reason: str) -> None:
    assert look(claim) == ("unsupported", reason)


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("Munich earned 4.2 million euros.", "puts together what stands in different sentences"),
        ("Munich and Berlin earned 3.1 million euros.", "puts together what stands in different sentences"),
        ("The vendor will release a fix in May.", "leaves out 'may'"),
        ("Idle connections are closed after 30 seconds.", "leaves out 'unless'"),
        (
            "Berlin earned 4.2 million dollars in 2023.",
            "says more than the nearest passage",
        ),
        ("The pool holds connections of users.", "says more than the nearest passage"),
        ("Penguins swim under thick ice.", "says what the source does not speak of"),
        ("All connections are idle.", "says of all what the source does not say of all"),
        ("Der Pool hält zehn Verbindungen und wird groß.", "says more than the nearest passage"),
    ],
)
def test_what_words_cannot_tell_stays_in_doubt(claim: str, reason: str) -> None:
    assert look(claim) == ("doubtful", reason)


def test_initials_of_the_source_are_no_unknown_name() -> None:
    assert (
        look("Here the WMO runs it.", "The World Meteorological Organization runs it here.")[0] == "doubtful"
    )
    assert (
        look("Here the WTO runs it.", "The World Meteorological Organization runs it here.")[0]
        == "unsupported"
    )


def test_capitals_are_no_names_where_every_noun_has_one() -> None:
    source = "Die Brücke über den Fluss wurde im Sommer gebaut. Das Dorf hat eine Schule und eine Kirche."
    assert look("Das Dorf hat eine Schule und eine Kirche.", source)[0] == "supported"
    assert look("Im Dorf steht ein Rathaus mit Kirche und Schule.", source)[0] == "doubtful"


def test_an_empty_source_supports_nothing() -> None:
    assert look("The pool holds ten connections.", "")[0] != "supported"


@given(st.lists(st.sampled_from(SOURCE.replace(". ", ".|").split("|")), min_size=1, max_size=4))
def test_every_sentence_of_a_source_is_supported_by_it(sentences: list[str]) -> None:
    guard = grounded(source="text")
    assert not list(guard({"says": " ".join(sentences)}, GuardContext({"text": SOURCE})))


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_can_be_looked_at(claim: str, source: str) -> None:
    list(grounded(source="text")({"says": claim}, GuardContext({"text": source})))


@given(st.integers(min_value=100, max_value=10**7))
def test_no_number_that_the_source_does_not_have_is_supported(number: int) -> None:
    assert look(f"The pool holds {number} connections.")[0] != "supported"


# --- the guard ------------------------------------------------------------------------------------------------


class Claim(BaseModel):
    text: str


class Answer(BaseModel):
    claims: list[Claim]


ANSWER = Answer(
    claims=[
        Claim(text="The pool holds ten connections."),
        Claim(text="The pool holds 25 connections."),
        Claim(text="Munich earned 4.2 million euros."),
    ]
)
CTX = GuardContext({"pages": [{"text": SOURCE}]}, stage="answer")


def test_findings_name_the_claim_and_the_nearest_passage() -> None:
    found = list(grounded("claims[*].text", source="pages[*].text")(ANSWER, CTX))
    assert [f.at for f in found] == [("claims", 1), ("claims", 2)]
    assert found[0] == Finding(
        "has a number that the source does not have: '25'",
        at=("claims", 1),
        evidence="The pool holds 25 connections.",
        expected="The pool holds ten connections.",
    )


@pytest.mark.anyio
async def test_unsupported_claims_can_be_dropped() -> None:
    def page_texts(given: dict[str, Any]) -> list[str]:
        return [page["text"] for page in given["pages"]]

    use: GuardUse[Any, Any] = grounded("claims[*].text", source=page_texts).drop()
    result = await check(ANSWER, [use], CTX, revalidate=Answer.model_validate)
    assert [c.text for c in result.value.claims] == ["The pool holds ten connections."]


def test_a_pattern_that_names_no_field_is_a_crash_not_a_pass() -> None:
    with pytest.raises(StageError):
        list(grounded("claim[*].text", source="pages[*].text")(ANSWER, CTX))
    with pytest.raises(StageError):
        list(
            grounded("claims[*].text", source="pages[*].body")(
                Answer(claims=ANSWER.claims), GuardContext(ANSWER)
            )
        )


def test_a_text_too_long_to_check_is_a_finding() -> None:
    found = list(grounded(source="text")({"says": "a. " * 100_000}, GuardContext({"text": "a."})))
    assert [f.message for f in found] == ["is longer than 200000 characters, too long to be checked"]


def test_a_large_source_is_read_in_linear_time() -> None:
    words = ["pool", "connection", "engine", "valve", "user", "fix", "terms", "wheel", "river", "bridge"]
    text = " ".join(f"The {words[i % 10]} {i} is near the {words[i % 7]}." for i in range(3_000))
    claims = " ".join(f"The {words[i % 10]} {i} was near the {words[i % 7]}." for i in range(50))
    started = time.process_time()
    list(grounded(source="text")({"says": claims}, GuardContext({"text": text})))
    assert time.process_time() - started < 20


# --- with a model ---------------------------------------------------------------------------------------------


async def asked(guard: Guard[Any, Any], answers: Answers, answer: object = ANSWER) -> list[Finding]:
    view = GuardContext({"pages": [{"text": SOURCE}]}, stage="answer", ask=answers)
    return [f async for f in guard(answer, view)]


GUARD = grounded("claims[*].text", source="pages[*].text", model=JUDGE, asks=2)
YES = {"quote": "Munich earned 3.1 million euros", "supported": True}
NO = {"quote": "", "supported": False}


@pytest.mark.anyio
async def test_only_doubtful_claims_are_asked_about() -> None:
    answers = Answers(YES)
    found = await asked(GUARD, answers)
    assert [f.at for f in found] == [("claims", 1)]
    assert [q["claim"] for q in answers.asked] == ["Munich earned 4.2 million euros."]
    assert answers.models == ["judge"]
    assert GUARD.asks == 2 and GUARD.is_async


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("said", "message"),
    [
        (NO, "says what the source does not say"),
        ({"quote": "", "supported": True}, "was confirmed only with words that the source does not have"),
        (
            {"quote": "Munich earned 4.2 million euros", "supported": True},
            "was confirmed only with words that the source does not have",
        ),
    ],
)
async def test_a_model_has_to_confirm_with_words_of_the_source(said: Any, message: str) -> None:
    found = await asked(GUARD, Answers(said))
    assert [(f.at, f.message) for f in found][1:] == [(("claims", 2), message)]


@pytest.mark.anyio
async def test_claims_beyond_the_questions_do_not_pass() -> None:
    doubtful = Answer(
        claims=[Claim(text=f"The {word} of users may be large.") for word in ("pool", "fix", "run")]
    )
    answers = Answers({"quote": "Most users accept the terms", "supported": True})
    found = await asked(GUARD, answers, doubtful)
    assert len(answers.asked) == 2
    assert [(f.at, f.message) for f in found] == [
        (("claims", 2), "is in doubt, and no more than 2 sentences are asked about")
    ]


@pytest.mark.anyio
async def test_nothing_is_asked_when_words_decide_all() -> None:
    answers = Answers(NO)
    assert not await asked(GUARD, answers, Answer(claims=ANSWER.claims[:1]))
    assert not answers.asked


@pytest.mark.anyio
async def test_an_outage_of_the_judge_is_raised() -> None:
    with pytest.raises(ModelCallError):
        await asked(GUARD, Answers(ModelCallError("out", kind=Kind.OVERLOADED)))


@pytest.mark.anyio
async def test_of_a_long_source_the_nearest_passages_are_shown() -> None:
    filler = " ".join(f"Row {i + 1000} of the register is empty." for i in range(3_000))
    view = GuardContext({"pages": [{"text": f"{filler} {SOURCE} {filler}"}]}, ask=(answers := Answers(NO)))
    _ = [f async for f in GUARD(ANSWER, view)]
    shown = answers.asked[0]["source"]
    assert "Munich earned 3.1 million euros." in shown
    assert len(shown) <= 12_000


def test_a_model_without_questions_is_refused() -> None:
    with pytest.raises(StageError, match="asks=0"):
        grounded(source="text", model=JUDGE, asks=0)


def test_another_judge_or_another_bound_is_another_identity() -> None:
    uses = [
        grounded(source="text", model=model, asks=asks).reject().identity
        for model in (JUDGE, Model("strong"))
        for asks in (1, 2)
    ]
    assert len(set(uses)) == 4
