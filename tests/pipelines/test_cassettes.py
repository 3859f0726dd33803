"""A run that was recorded is played again on another database, with sockets forbidden: the same result, no provider."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from pydantic import BaseModel
from research_lab import PAGES, model, research
from test_examples import ANSWER, LIBRARY, QUESTION, faulty, settings_in, well

from guardflow import (
    CassetteError,
    Kind,
    Ladder,
    LLMStage,
    NotRecorded,
    RunNotFound,
    RunResult,
    Runtime,
    abstain,
    fan_out,
    pipeline,
)
from guardflow.prompts import inline_prompt
from guardflow.testing import Cassette, FaultServer, Scripted, Tape, replaying
from guardflow.testing.recording import tape_of_run
from guardflow.testing.tape_file import read_tape, text_of, write_tape
from guardflow.values import Attempt
from pipelines.deep_research import research_files
from pipelines.examples.qa import FAST, STRONG, Answer, Question, qa

pytestmark = pytest.mark.anyio
CHECKOUT = Path(__file__).parents[2]
LONG = 29.0
"""Seconds: nearly the longest pause that `wait` makes, and many times what a replay takes."""


def steps(attempts: Sequence[Attempt]) -> list[tuple[object, ...]]:
    """What happened, without when."""
    rows = [
        (
            a.start.key.step,
            a.start.key.item,
            a.start.n,
            a.start.rung,
            a.start.model,
            a.start.request_hash,
            a.kind,
        )
        for a in attempts
    ]
    return sorted(rows, key=str)


def asking_for_pauses(tape: Tape, seconds: float) -> Tape:
    """The same tape, but whoever asked to be left alone for a while asks for so long."""
    return replace(
        tape,
        recordings=tuple(
            replace(
                recording,
                takes=tuple(
                    replace(take, retry_after=take.retry_after and seconds) for take in recording.takes
                ),
            )
            for recording in tape.recordings
        ),
    )


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without settings and keys."""
    for name in [n for n in os.environ if n.endswith("_API_KEY") or n.startswith(("GUARDFLOW_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


async def record_through_litellm(folder: Path, file: Path) -> RunResult[Answer]:
    """The example against a server full of faults, on SQLite, exported."""
    with FaultServer(answer=faulty()) as server:
        shared = {"api_base": server.base_url, "price": {"input": 1.0, "output": 2.0}}
        settings = settings_in(folder, fast={"name": "small", **shared}, strong={"name": "big", **shared})
        async with Runtime(settings=settings, resources=[LIBRARY]) as rt:
            result = await rt.run(qa, QUESTION, run_id="r")
    write_tape(file, await tape_of_run(settings, "r"))
    return result


@pytest.mark.parametrize("database", ["memory", None])
async def test_every_fault_of_a_provider_is_played_again_without_the_provider_and_without_waiting(
    tmp_path: Path, no_keys: None, database: str | None
) -> None:
    file = tmp_path / "qa.json"
    recorded = await record_through_litellm(tmp_path, file)
    write_tape(file, asking_for_pauses(read_tape(file), LONG))
    before = time.perf_counter()
    with replaying(file, unused="fail") as cassette:
        async with Runtime(database, settings=settings_in(tmp_path / "other"), resources=[LIBRARY]) as rt:
            played = await rt.run(qa, QUESTION, run_id="another")
    assert played.status == recorded.status == "degraded"
    assert played.unwrap() == ANSWER
    assert steps(played.attempts) == steps(recorded.attempts)
    assert played.spend == recorded.spend
    assert cassette.count == len(played.attempts) == 10
    assert any(a.end is not None and a.end.retry_after for a in played.attempts)  # decisions rest on it
    assert time.perf_counter() - before < LONG


async def test_recording_a_replay_gives_the_same_file_byte_by_byte(tmp_path: Path, no_keys: None) -> None:
    file = tmp_path / "qa.json"
    await record_through_litellm(tmp_path, file)
    settings = settings_in(tmp_path / "other")
    with replaying(file):
        async with Runtime(settings=settings, resources=[LIBRARY]) as rt:
            await rt.run(qa, QUESTION, run_id="another")
    assert text_of(await tape_of_run(settings, "another")) == file.read_text()


async def test_deep_research_is_played_again_to_the_same_files(tmp_path: Path) -> None:
    recorded = await research(tmp_path, model("good"), database=None)
    settings = settings_in(tmp_path)
    file = tmp_path / "research.json"
    write_tape(file, await tape_of_run(settings, "r-1"))

    with replaying(file, unused="fail") as cassette:
        played = await research(tmp_path / "other", cassette, pages=PAGES)  # type: ignore[arg-type]
    assert cassette.count > 3
    ours, theirs = research_files(played), research_files(recorded)
    for name in ("report.md", "evidence.jsonl", "sources.csv"):
        assert ours[name] == theirs[name]


async def test_a_changed_input_is_refused_with_what_was_recorded_for_the_stage(tmp_path: Path) -> None:
    scripted = Scripted(
        {"queries": ["bees dance"]}, {"quote": "Bees dance to tell where flowers are"}, ANSWER
    )
    async with Runtime("memory", resources=[LIBRARY], models={FAST: scripted, STRONG: scripted}) as rt:
        first = await rt.run(qa, QUESTION)
    cassette = Cassette.of(first.attempts)

    async def other() -> None:
        async with Runtime("memory", resources=[LIBRARY]) as rt:
            assert (await rt.run(qa, Question(text="Something else?"))).ok

    with pytest.raises(NotRecorded, match="stage 'plan' to model 'fast'.*text of its messages") as caught:
        with replaying(cassette):
            await other()
    assert "runs export RUN --cassette" in caught.value.hint
    assert len(cassette.unused) == len(cassette.tape.recordings)


async def test_the_runtime_takes_a_cassette_as_its_models_and_shares_it_between_concurrent_runs(
    tmp_path: Path,
) -> None:
    scripted = Scripted(well)
    async with Runtime("memory", resources=[LIBRARY], models={FAST: scripted, STRONG: scripted}) as rt:
        first = await rt.run(qa, QUESTION)
    cassette = Cassette.of(first.attempts)
    results: list[object] = []
    async with Runtime("memory", resources=[LIBRARY], models=cassette.clients()) as rt:

        async def once(number: int) -> None:
            results.append((await rt.run(qa, QUESTION, run_id=f"r{number}", cache="use")).unwrap())

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(once, number)
    assert results == [ANSWER] * 4
    assert cassette.unused == []


class Said(BaseModel):
    text: str


async def test_a_call_that_a_time_limit_ended_is_ended_by_it_again(tmp_path: Path) -> None:
    slow = LLMStage(
        "slow",
        str,
        Said,
        prompt=inline_prompt("{{ input }}", ("input",)),
        model=FAST,
        timeout=2.0,
        ladder=Ladder(otherwise=abstain()),
    )

    @pipeline("slow-one")
    async def slow_one(text: str) -> str:
        return (await slow.outcome(text)).status

    async with Runtime("memory", models={FAST: Scripted(Said(text="late"), delay=6000)}) as rt:
        first = await rt.run(slow_one, "hi")
    assert first.unwrap() == "abstained"
    cassette = Cassette.of(first.attempts)
    with replaying(cassette, unused="fail"):
        async with Runtime("memory") as rt:
            assert (await rt.run(slow_one, "hi")).unwrap() == "abstained"


OWN_TEST = """
import socket

import pytest

from guardflow import Runtime
from guardflow.testing import NetworkRefused
from pipelines.examples.qa import Library, Question, qa

pytestmark = pytest.mark.anyio
LIBRARY = Library({library!r})


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.cassette("qa", unused="fail")
async def test_the_example(tmp_path):
    async with Runtime(f"sqlite:///{{tmp_path}}/runs.db", resources=[LIBRARY]) as rt:
        result = await rt.run(qa, Question(text={question!r}))
    assert result.unwrap().text == {answer!r}


@pytest.mark.cassette("qa")
def test_not_even_loopback(cassette):
    with socket.socket() as s, pytest.raises(NetworkRefused):
        s.connect(("127.0.0.1", 9))
    assert cassette.count == 0


@pytest.mark.xfail(strict=True)
@pytest.mark.cassette("missing")
def test_no_such_file():
    pass


@pytest.mark.xfail(strict=True)
@pytest.mark.cassette("qa", unused="fail")
def test_nothing_was_asked(cassette):
    print(len(cassette.unused))
"""


async def test_a_marked_test_plays_its_cassette_in_a_process_of_its_own(
    tmp_path: Path, no_keys: None
) -> None:
    await record_through_litellm(tmp_path, tmp_path / "own" / "cassettes" / "qa.json")
    own = tmp_path / "own"
    library = {title: LIBRARY.best(title).text for title in ("bees", "ants", "birds")}
    (own / "conftest.py").write_text('pytest_plugins = ["guardflow.testing.plugin"]\n')
    (own / "test_own.py").write_text(
        OWN_TEST.format(library=library, question=QUESTION.text, answer=ANSWER.text)
    )
    (own / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(own)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    ran = await anyio.run_process(command, cwd=own, env=environment, check=False)
    assert b"2 passed, 2 xfailed" in ran.stdout, (ran.stdout + ran.stderr).decode()


@pipeline("idle")
async def idle(text: str) -> str:
    return text


async def test_a_failure_is_recorded_and_a_run_without_requests_gives_no_cassette(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    broken = Scripted(Kind.AUTH)
    async with Runtime(settings=settings, resources=[LIBRARY], models={FAST: broken, STRONG: broken}) as rt:
        failed = await rt.run(qa, QUESTION, run_id="failed")
        await rt.run(idle, "x", run_id="idle")
    assert failed.status == "failed"
    tape = await tape_of_run(settings, "failed")
    assert [take.kind for recording in tape.recordings for take in recording.takes] == [Kind.AUTH]
    with pytest.raises(CassetteError, match="nothing to play"):
        await tape_of_run(settings, "idle")
    with pytest.raises(RunNotFound):
        await tape_of_run(settings, "nobody")


@pipeline("asks-three")
async def asks_three(text: str) -> list[str]:
    answers = await fan_out(qa, [Question(text=f"{text} {n}") for n in (1, 2, 3)])
    return [answer.text for answer in answers]


async def test_the_traffic_of_child_runs_is_on_the_cassette_too(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    scripted = Scripted(well)
    models = {FAST: scripted, STRONG: scripted}
    async with Runtime(settings=settings, resources=[LIBRARY], models=models, pipelines=[qa]) as rt:
        first = await rt.run(asks_three, "Why?", run_id="parent")
    tape = await tape_of_run(settings, "parent")
    assert sum(recording.stage == "plan" for recording in tape.recordings) == 3
    with replaying(Cassette(tape), unused="fail"):
        async with Runtime("memory", resources=[LIBRARY], pipelines=[qa]) as rt:
            assert (await rt.run(asks_three, "Why?")).unwrap() == first.unwrap()


async def test_a_secret_that_a_model_repeats_does_not_reach_the_cassette(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-very-secret-value")
    settings = settings_in(tmp_path)
    scripted = Scripted("not json: a-very-secret-value", Kind.REFUSED, well)
    async with Runtime(
        settings=settings, resources=[LIBRARY], models={FAST: scripted, STRONG: scripted}
    ) as rt:
        await rt.run(qa, QUESTION, run_id="r")
    text = text_of(await tape_of_run(settings, "r"))
    assert "a-very-secret-value" not in text
    assert "not json: [redacted]" in text


async def test_a_resumed_run_is_played_again_as_the_one_run_that_it_became(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for key, says in (("bad", Scripted(Kind.AUTH)), ("good", Scripted(well))):
        async with Runtime(settings=settings, resources=[LIBRARY], models={FAST: says, STRONG: says}) as rt:
            result = await rt.run(qa, QUESTION, run_id="r")
            assert result.ok == (key == "good")
    tape = await tape_of_run(settings, "r")
    assert all(take.kind is None for recording in tape.recordings for take in recording.takes)
    with replaying(Cassette(tape), unused="fail"):
        async with Runtime("memory", resources=[LIBRARY]) as rt:
            assert (await rt.run(qa, QUESTION)).unwrap() == ANSWER


async def test_a_run_that_stopped_at_a_miss_goes_on_with_the_cassette_that_has_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    scripted = Scripted(well)
    async with Runtime("memory", resources=[LIBRARY], models={FAST: scripted, STRONG: scripted}) as rt:
        whole = Cassette.of((await rt.run(qa, QUESTION)).attempts).tape
    half = Cassette(replace(whole, recordings=whole.recordings[:2]))
    with pytest.raises(NotRecorded, match="stage 'excerpt'"), replaying(half):
        async with Runtime(settings=settings, resources=[LIBRARY]) as rt:
            await rt.run(qa, QUESTION, run_id="r")
    rest = Cassette(whole)
    with replaying(rest):
        async with Runtime(settings=settings, resources=[LIBRARY]) as rt:
            assert (await rt.run(qa, QUESTION, run_id="r")).unwrap() == ANSWER
    assert rest.count < len(whole.recordings)  # what was answered before is in the ledger
