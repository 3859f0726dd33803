"""The fault server in its own process, and the JSON form of its scripts."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import httpx
import pytest

from guardflow.errors import UsageError
from guardflow.testing import FaultProcess, Reply, Rule, Script
from guardflow.testing.script import CONSTRUCTORS, reply_from_json, reply_to_json
from guardflow.values import Usage

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_a_process_answers_counts_and_resets() -> None:
    with (
        FaultProcess(Reply.rate_limited(retry_after=0), Reply.text("hi")) as server,
        httpx.Client(timeout=120) as client,
    ):
        codes = [client.post(f"{server.base_url}/chat/completions", json=ASK).status_code for _ in range(3)]
        assert codes == [429, 200, 200]
        stats = server.stats()
        assert (stats["requests"], stats["in_flight"], list(stats["by_key"].values())) == (3, 0, [3])
        assert [r["body"] for r in server.requests()] == [ASK] * 3
        server.reset()
        assert server.stats()["requests"] == 0
        server.script(Reply.text("else"), rules=[Rule("hi", [Reply.status(500)])])
        assert client.post(f"{server.base_url}/chat/completions", json=ASK).status_code == 500
        pid = server.pid
    assert not Path(f"/proc/{pid}").exists()


def test_the_command_prints_its_port_and_reads_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"rules": [{"match": "hi", "replies": ["quota"]}], "replies": ["echo"]}))
    command = [sys.executable, "-m", "guardflow.testing.server", "--port", "0", "--script", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            response = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=ASK, timeout=120)
        finally:
            process.kill()
    assert response.json()["error"]["code"] == "insufficient_quota"


def test_the_command_says_what_is_wrong_with_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"replies": ["qouta"]}')
    command = [sys.executable, "-m", "guardflow.testing.server", "--script", str(script)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2
    assert "there is no reply 'qouta'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_process_ends_with_the_one_that_started_it() -> None:
    code = (
        "import os; from guardflow.testing import FaultProcess\n"
        "server = FaultProcess().start(); print(server.pid, flush=True); os._exit(0)"
    )
    # Reading to the end waits for the last holder of the pipe: the server inherits stderr, and must end by itself.
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=300
    )
    assert int(ended.stdout) > 0


@pytest.mark.parametrize(
    "reply",
    [
        Reply.json({"a": 1}),
        Reply.rate_limited(retry_after=2).but(delay=0.5, headers={"x": "y"}),
        Reply.unsupported_param("temperature", then=Reply.slow(1, then=Reply.text("x"))),
        Reply.refusal("no", place="provider_fields").but(usage=Usage(1, 2, 1), model="served"),
        Reply.cut_body(7).but(usage="none"),
        Reply.dropped(),
        Reply.html(status=503),
        Reply.tool_call({"a": 1}),
        Reply.wrong_schema(),
    ],
)
def test_a_reply_survives_json(reply: Reply) -> None:
    assert reply_from_json(json.loads(json.dumps(reply_to_json(reply)))) == reply


@pytest.mark.parametrize(
    ("spec", "reply"),
    [
        ("echo", Reply.echo()),
        ({"reply": "json", "value": [1], "delay": 0.1}, Reply.json([1]).but(delay=0.1)),
        ({"reply": "status", "code": 500, "headers": {"a": "b"}}, Reply.status(500, headers={"a": "b"})),
        ({"reply": "quota", "headers": {"a": "b"}}, Reply.quota().but(headers={"a": "b"})),
        ({"reply": "text", "text": "x", "usage": {"input": 1}}, Reply.text("x").but(usage=Usage(1))),
        ({"reply": "slow", "seconds": 2, "then": "quota"}, Reply.slow(2, then=Reply.quota())),
        ({"content": "x"}, Reply.text("x")),
    ],
)
def test_a_script_names_constructors_and_their_arguments(spec: object, reply: Reply) -> None:
    assert reply_from_json(spec) == reply


@pytest.mark.parametrize(
    "spec", ["nope", 7, {"reply": "text", "txt": "x"}, {"contnt": "x"}, {"reply": "text"}]
)
def test_a_wrong_reply_is_refused(spec: object) -> None:
    with pytest.raises(UsageError):
        reply_from_json(spec)


@pytest.mark.parametrize(
    "spec", [7, {"reples": []}, {"rules": [{"match": "a", "replies": []}]}, {"rules": [{}]}]
)
def test_a_wrong_script_is_refused(spec: object) -> None:
    with pytest.raises(UsageError):
        Script.from_json(spec)


def test_a_script_may_be_a_list_of_replies() -> None:
    script = Script.from_json(["quota", {"reply": "text", "text": "x"}])
    assert [script.reply(ASK) for _ in range(3)] == [Reply.quota(), Reply.text("x"), Reply.text("x")]


def test_every_constructor_can_be_named_in_a_script() -> None:
    made = {name for name, value in vars(Reply).items() if isinstance(value, classmethod)}
    assert made == set(CONSTRUCTORS)
    assert not made & {field.name for field in fields(Reply)}
