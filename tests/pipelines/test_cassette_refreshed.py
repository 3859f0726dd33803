"""``replaying(file, missing="record")``: what is not on the file is sent, and is on it afterwards."""

from __future__ import annotations

import stat
from pathlib import Path

import anyio
import pytest
from pydantic import BaseModel

from guardflow import CassetteError, Kind, Ladder, LLMStage, Model, Price, Runtime, abstain, pipeline, wait
from guardflow.models.routing import EVERY
from guardflow.prompts import inline_prompt
from guardflow.testing import Cassette, FaultServer, Reply, Scripted, Tape, replaying, using

pytestmark = pytest.mark.anyio

FAST = Model("fast")


class Said(BaseModel):
    text: str


say = LLMStage(
    "say",
    str,
    Said,
    prompt=inline_prompt("{{ input | fenced }}", ("input",)),
    model=FAST,
    ladder=Ladder(wait(2, base=0.001, cap=0.002), otherwise=abstain()),
)


@pipeline("refreshed")
async def refreshed(words: list[str]) -> list[str]:
    return [(await say(word)).text for word in words]


@pytest.fixture(autouse=True)
def at_a_desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)


async def run(*words: str) -> list[str]:
    async with Runtime("memory") as rt:
        return (await rt.run(refreshed, list(words))).unwrap()


async def test_only_what_is_missing_is_sent_and_then_it_is_on_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cassettes" / "say.json"
    model = Scripted(Said(text="one"), Kind.RATE_LIMIT, Said(text="two"))
    with using({EVERY: model}):
        with replaying(file, missing="record"):
            assert await run("a") == ["one"]
        with replaying(file, missing="record", unused="fail"):
            assert await run("a", "b") == ["one", "two"]
    assert model.count == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with replaying(file, unused="fail") as cassette:
        assert await run("a", "b") == ["one", "two"]
    assert [len(r.takes) for r in cassette.tape.recordings] == [1, 2]
    with pytest.raises(CassetteError, match="is not on"), replaying(file):
        await run("c")


async def test_a_file_to_which_nothing_was_added_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "say.json"
    with using({EVERY: Scripted(Said(text="one"))}), replaying(file, missing="record"):
        await run("a")
    before = file.stat().st_mtime_ns, file.stat().st_ino
    with replaying(file, missing="record"):
        assert await run("a") == ["one"]
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


async def test_what_was_paid_before_the_block_failed_is_kept_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-very-secret-value")
    file = tmp_path / "say.json"

    async def broken() -> None:
        with using({EVERY: Scripted(Said(text="it is a-very-secret-value"))}):
            with replaying(file, missing="record"):
                await run("a")
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    assert "a-very-secret-value" not in file.read_text()
    assert "it is [redacted]" in file.read_text()


async def test_requests_go_over_the_wire_with_the_model_that_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "say.json"
    with FaultServer(Reply.json({"text": "sent"})) as server:
        own = Model("openai/own", api_base=server.base_url, price=Price(1.0, 4.0), max_tokens=50)
        monkeypatch.setenv("OPENAI_API_KEY", "never-shown")
        stage = LLMStage("wire", str, Said, prompt=say.prompt, model=own, ladder=Ladder(otherwise=abstain()))

        @pipeline("wired")
        async def wired(word: str) -> str:
            return (await stage(word)).text

        for missing in ("record", "fail"):
            with replaying(file, missing=missing):
                async with Runtime("memory") as rt:
                    assert (await rt.run(wired, "a")).unwrap() == "sent"
        assert server.count == 1


async def test_a_request_that_was_cut_off_is_sent_again_by_the_next_recording(tmp_path: Path) -> None:
    file = tmp_path / "say.json"
    late = Scripted(Said(text="late"), delay=6000)
    with using({EVERY: late}), replaying(file, missing="record"):
        async with anyio.create_task_group() as group:
            group.start_soon(run, "a")
            with anyio.fail_after(120):
                while not late.in_flight:
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    with using({EVERY: Scripted(Said(text="here"))}), replaying(file, missing="record"):
        assert await run("a") == ["here"]
    with replaying(file, unused="fail"):
        assert await run("a") == ["here"]


@pytest.mark.parametrize("value", ["true", "1", ""])
def test_ci_never_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    with pytest.raises(CassetteError, match="environment variable CI is set"):
        replaying(tmp_path / "say.json", missing="record").__enter__()
    assert list(tmp_path.iterdir()) == []


def test_only_a_file_is_added_to_and_never_by_default(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="only a file"):
        replaying(Cassette(Tape()), missing="record").__enter__()
    with pytest.raises(CassetteError, match="cannot be read"):
        replaying(tmp_path / "say.json").__enter__()
