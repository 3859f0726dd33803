"""Bad input: a typed error that says what to do, before anything is sent, and the state is as it was."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flow_bench import (
    FAST,
    GOOD,
    PROMPT,
    Answer,
    Bench,
    Question,
    as_flow,
    asking,
    flow,
    says_what_to_do,
    shout,
)

from guardflow import (
    Budget,
    BudgetExceeded,
    Kind,
    Ladder,
    LLMStage,
    Model,
    abstain,
    fan_out,
    first_of,
    pipeline,
    stage,
    switch,
    wait,
)
from guardflow.errors import (
    GuardflowError,
    LadderError,
    MissingKey,
    PromptError,
    RunError,
    RunExists,
    StageError,
    TemplateError,
    UnknownInput,
    UnknownModel,
    UnpricedModel,
    UsageError,
)
from guardflow.prompts import inline_prompt
from guardflow.testing import FaultServer, Reply

pytestmark = pytest.mark.anyio


# --- models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "error", "hint"),
    [
        (Model("opnai/gpt-5-mini"), UnknownModel, "openai/gpt-5-mini"),
        (Model("fats"), UnknownModel, "'fast'"),
        (Model("openai/gpt-5-mini"), MissingKey, "OPENAI_API_KEY"),
        (Model("judge"), MissingKey, "GUARDFLOW_MODEL_JUDGE"),
    ],
)
async def test_a_model_that_cannot_be_asked(
    used: Bench,
    model: Model,
    error: type[GuardflowError],
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # no embedded model that roles could mean
    refused = await used.refuses(error, flow(asking(model=model)))
    assert hint in refused.hint


async def test_a_model_that_only_the_ladder_would_ask_is_found_before_the_first_request(used: Bench) -> None:
    ladder = Ladder(switch(Model("opnai/gpt-5"), on=Kind.REFUSED))
    await used.refuses(UnknownModel, flow(asking(ladder=ladder)))


@pytest.mark.parametrize("call", ["fan_out", "first_of"])
async def test_what_is_wrong_side_by_side_arrives_as_itself(used: Bench, call: str) -> None:
    ask = asking(model=Model("opnai/gpt-5-mini"))

    @as_flow
    async def flow(word: str) -> str:
        loud = await shout(word)
        if call == "fan_out":
            return (await fan_out(ask, [loud, loud]))[0].text
        return (await first_of(ask(loud), ask(loud))).text

    await used.refuses(UnknownModel, flow)


async def test_a_model_of_unknown_price_under_a_usd_budget(used: Bench) -> None:
    own = flow(asking(model=Model("openai/our-own", api_base=used.server.base_url)))
    refused = await used.refuses(UnpricedModel, own, budget=Budget(usd=1))
    assert "unpriced='allow'" in refused.hint
    sent = used.server.count
    async with used.opened() as rt:
        allowed = await rt.run(own, "word", budget=Budget(usd=1, unpriced="allow"))
    assert allowed.unwrap() == "fine"
    assert allowed.spend.unpriced == used.server.count - sent == 1


async def test_a_provider_that_cannot_be_reached(used: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    model = Model("openai/our-own", api_base=f"http://127.0.0.1:{port}/v1", price="free")
    away = flow(asking(model=model, ladder=Ladder(wait(2, base=0.001), otherwise=abstain())))
    async with used.opened() as rt:
        result = await rt.run(away, "word", run_id="away")
    assert result.status == "abstained"
    assert [a.kind for a in result.attempts] == [Kind.CONNECTION] * 3
    with pytest.raises(RunError, match="CONNECTION") as caught:
        result.unwrap()
    says_what_to_do(caught.value)
    with FaultServer(Reply.json({"text": "there again"}), port=port) as back:
        async with used.opened() as rt:
            again = await rt.run(away, "word", run_id="away")
        assert back.count == 1
    assert again.unwrap() == "there again"


# --- prompts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("---\ninputs: [input]\n---\n{{ inptu }}", UnknownInput),
        ("---\ninputs: [input, more]\n---\n{{ input }}", UnknownInput),
        ("---\ninputs: [question]\n---\n{{ question }}", UnknownInput),
        ("---\ninputs: [input]\n---\n{{ input", TemplateError),
        ("---\ninputs: [input]\n---\n{{ input.nothing }}", TemplateError),
        ("---\ninputs: [input]\n---\n{{ input.__class__ }}", TemplateError),
        ("---\ninputs: [input]\n---\n{% message 'robot' %}{{ input }}{% endmessage %}", TemplateError),
        ("---\ninputs: {input: }\n---\n{{ input }}", PromptError),
        ("no front matter: {{ input }}", PromptError),
        (None, PromptError),
    ],
)
async def test_a_prompt_or_a_variable_that_cannot_be_used(
    used: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    error: type[PromptError],
) -> None:
    (tmp_path / "guardflow.toml").touch()
    (tmp_path / "prompts" / "own").mkdir(parents=True)
    if text is not None:
        (tmp_path / "prompts" / "own" / "ask.md").write_text(text)
    monkeypatch.chdir(tmp_path)
    refused = await used.refuses(error, flow(asking(prompt="own/ask")))
    assert isinstance(refused, UsageError)
    assert "ask" in refused.message


async def test_an_input_that_lacks_a_variable_of_the_prompt(used: Bench) -> None:
    ask = LLMStage(
        "ask", Question, Answer, prompt=inline_prompt("{{ text }}", ["text"], name="ask"), model=FAST
    )

    @as_flow
    async def half(word: str) -> str:
        await shout(word)
        return (await ask(Question.model_construct())).text

    await used.refuses(UsageError, half)


# --- stages, pipelines, runs ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list[str], str | None, "Answer", Answer(text="x")])
def test_an_output_type_that_is_not_a_class(kind: object) -> None:
    with pytest.raises(StageError, match="not a class") as caught:
        LLMStage("plan", str, kind, prompt=PROMPT, model=FAST)  # type: ignore[arg-type]  # that is the point
    says_what_to_do(caught.value)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: asking(name=""), StageError),
        (lambda: asking(name="Not a name"), StageError),
        (lambda: asking(name="a" * 101), StageError),
        (lambda: asking(ladder=Ladder(wait(0))), LadderError),
        (lambda: asking(budget=Budget(usd=-1)), UsageError),
        (lambda: asking(budget=Budget(usd=float("nan"))), UsageError),
        (lambda: pipeline("p")(lambda word: word), StageError),  # type: ignore[arg-type, return-value]
    ],
)
def test_a_declaration_that_cannot_work(make: Callable[[], object], error: type[UsageError]) -> None:
    with pytest.raises(error) as caught:
        make()
    says_what_to_do(caught.value)


async def test_a_stage_name_used_twice(used: Bench) -> None:
    @stage(name="shout")
    async def other(word: str) -> str:
        return word + "!"

    @as_flow
    async def twice(word: str) -> str:
        return await other(await shout(word))

    refused = await used.refuses(StageError, twice)
    assert "two different stages are named 'shout'" in refused.message


@pytest.mark.parametrize("wrong", [3, None, ["word"], float("nan"), object()])
async def test_an_input_of_another_type(used: Bench, wrong: object) -> None:
    refused = await used.refuses(StageError, GOOD, wrong)
    assert "pipeline 'flow'" in refused.message


async def test_a_run_id_that_exists_with_another_input(used: Bench) -> None:
    async with used.opened() as rt:
        with pytest.raises(RunExists, match="another input") as caught:
            await rt.run(GOOD, "word", run_id="before")
        assert (await rt.run(GOOD, "before", run_id="before")).unwrap() == "fine"
    says_what_to_do(caught.value)
    assert used.sent > 0


async def test_a_budget_that_nothing_fits_into(used: Bench) -> None:
    await used.refuses(BudgetExceeded, GOOD, budget=Budget(calls=0))
