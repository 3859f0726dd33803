"""What a cassette plays, refuses and remembers, request by request; runs are in tests/pipelines/test_cassettes.py."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from guardflow import CassetteError, Kind, Model, ModelCallError, NotRecorded
from guardflow.models.routing import Models
from guardflow.testing import Cassette, NetworkRefused, Recording, Scripted, Take, Tape, replaying, using
from guardflow.testing import cassette as cassette_module
from guardflow.testing.tape import tape_of
from guardflow.values import (
    Asked,
    Attempt,
    AttemptEnd,
    AttemptStart,
    CallKey,
    Completion,
    Message,
    Request,
    Reservation,
    Usage,
)

pytestmark = pytest.mark.anyio

FAST = Model("fast")
SMALL = Model(
    "openai/small", api_base="http://127.0.0.1:1/v1", output="json", max_tokens=50, role="fast", asked=FAST
)
HASH = "ab" * 20


def said(text: str) -> Take:
    return Take(Completion(text, finish_reason="stop", usage=Usage(3, 4)))


def failed(kind: Kind, **more: float) -> Take:
    return Take(None, kind, "it failed", more.get("retry_after"))


def tape(*takes: Take, model: Model = SMALL) -> Tape:
    return Tape((Recording(HASH, "plan", Asked(model, 50), takes, prompt="p1"),))


def request(hash: str = HASH, **changes: object) -> Request:
    asked = Request(SMALL, (Message("user", "hi"),), None, 50, None, 0, hash, stage="plan", prompt_hash="p1")
    return replace(asked, **changes)  # type: ignore[arg-type]


async def test_takes_are_given_in_order_and_the_last_answer_again() -> None:
    player = Cassette(tape(failed(Kind.RATE_LIMIT, retry_after=7.0), said("one"), said("two")))
    with pytest.raises(ModelCallError, match="it failed") as caught:
        await player.send(request())
    assert (caught.value.kind, caught.value.retry_after, caught.value.recorded) == (
        Kind.RATE_LIMIT,
        7.0,
        True,
    )
    assert len(player.unused) == 1
    assert [(await player.send(request())).text for _ in range(3)] == ["one", "two", "two"]
    assert player.unused == []
    assert player.count == 4


async def test_a_last_failure_is_not_given_again() -> None:
    player = Cassette(tape(failed(Kind.TIMEOUT)))
    with pytest.raises(ModelCallError):
        await player.send(request())
    with pytest.raises(NotRecorded, match="was made 1 times then, and is made once more now"):
        await player.send(request())


async def test_a_cancelled_request_that_somebody_waits_for_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cassette_module, "PATIENCE", 0.01)
    with pytest.raises(NotRecorded, match="was cancelled before its answer came"):
        await Cassette(tape(Take())).send(request())


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, "the text of its messages is another one"),
        ({"temperature": 0.7}, "temperature is 0.7 and was None"),
        ({"max_tokens": 100}, "max_tokens is 100 and was 50"),
        ({"sample": 1}, "sample is 1 and was 0"),
        ({"prompt_hash": "p2"}, "its prompt file, or the variant of it, is another one"),
        ({"model": replace(SMALL, name="openai/big")}, "model is 'openai/big' and was 'openai/small'"),
        ({"stage": "write"}, "it was recorded for stage 'plan'"),
    ],
)
async def test_a_miss_says_what_differs_from_the_nearest_recording(
    changes: dict[str, object], difference: str
) -> None:
    player = Cassette(tape(said("one")), name="qa.json")
    with pytest.raises(NotRecorded, match="is not on 'qa.json'") as caught:
        await player.send(request("cd" * 20, **changes))
    assert difference in caught.value.message
    assert player.misses == (caught.value,)
    assert "runs export" in caught.value.hint


async def test_an_empty_cassette_says_so() -> None:
    with pytest.raises(NotRecorded, match="holds no recording at all"):
        await Cassette(Tape()).send(request())


def test_a_role_is_the_model_that_it_was_and_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    player = Cassette(tape(said("one")))
    models = Models(clients=player.clients())
    resolved = models.resolve(FAST)
    assert resolved == SMALL
    assert resolved.asked == FAST
    assert models.client(resolved) is player
    assert models.resolve(resolved) == SMALL


def test_the_address_of_a_server_may_have_moved() -> None:
    asked = Model("openai/small", api_base="http://127.0.0.1:1/v1")
    player = Cassette(tape(said("x"), model=replace(SMALL, asked=asked, role=None)))
    moved = player.resolve(replace(asked, api_base="http://127.0.0.1:2/v1"))
    assert moved.api_base == "http://127.0.0.1:1/v1"


def test_one_name_asked_in_two_ways_stays_two_models() -> None:
    hot = replace(SMALL, temperature=0.9, asked=replace(FAST, temperature=0.9))
    first, second = tape(said("x")).recordings[0], tape(said("y"), model=hot).recordings[0]
    player = Cassette(Tape((first, replace(second, request="cd" * 20))))
    assert player.resolve(FAST).temperature is None
    assert player.resolve(replace(FAST, temperature=0.9)).temperature == 0.9
    assert player.resolve(replace(FAST, temperature=0.2)).temperature == 0.2


def test_a_model_that_was_never_asked_resolves_and_costs_nothing() -> None:
    resolved = Cassette(Tape()).resolve(Model("strong"))
    assert (resolved.price, resolved.role, resolved.output) == ("free", "strong", "json_schema")


async def test_a_script_inside_the_block_wins() -> None:
    with replaying(Cassette(tape(said("one")))) as player, using({FAST: Scripted("scripted")}):
        models = Models()
        assert models.client(models.resolve(FAST)) is not player
        assert models.client(models.resolve(Model("strong"))) is player


async def test_a_miss_takes_the_place_of_the_error_that_followed_from_it() -> None:
    async def test() -> None:
        with replaying(Cassette(Tape())) as player:
            with pytest.raises(NotRecorded):
                await player.send(request())
            raise AssertionError("the run failed")

    with pytest.raises(NotRecorded) as caught:
        await test()
    assert isinstance(caught.value.__cause__, AssertionError)


async def test_a_swallowed_miss_fails_at_the_end() -> None:
    with pytest.raises(NotRecorded), replaying(Cassette(Tape())) as player:
        with pytest.raises(NotRecorded):
            await player.send(request())


def test_what_was_not_asked_for_fails_when_that_is_wanted() -> None:
    with replaying(Cassette(tape(said("one")))):
        pass
    with pytest.raises(CassetteError, match=r"1 of 1 recordings.*stages: 'plan'"):
        with replaying(Cassette(tape(said("one"))), unused="fail"):
            pass


def test_nothing_reaches_a_server_that_listens_while_a_cassette_plays() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with replaying(Cassette(Tape())):
            with socket.socket() as client, pytest.raises(NetworkRefused, match="connected to"):
                client.connect(address)
            with pytest.raises(NetworkRefused, match="looked up 'example.org'"):
                socket.create_connection(("example.org", 80))
            ours, theirs = socket.socketpair()  # event loops need these
            ours.close(), theirs.close()
        with replaying(Cassette(Tape()), network="loopback"), socket.create_connection(address):
            pass
    assert "guarded" not in socket.socket.connect.__name__


# --- from the ledger to the tape -----------------------------------------------------------------------------

ASKED = Asked(SMALL, 50)


def attempt(id: int, end: AttemptEnd | None, *, n: int = 0, item: int = -1, **more: object) -> Attempt:
    start = AttemptStart(
        CallKey("r", 1, item),
        0,
        "answer",
        0,
        n,
        "plan",
        "start",
        "openai/small",
        HASH,
        "p1",
        Reservation(1, 1),
        0.0,
    )
    superseded = bool(more.pop("superseded", False))
    return Attempt(id, replace(start, **more), end, superseded=superseded)  # type: ignore[arg-type]


def ended(text: str | None = None, kind: Kind | None = None, **more: object) -> AttemptEnd:
    completion = None if text is None else Completion(text, request_id="new each time")
    return AttemptEnd(1.0, completion=completion, kind=kind, asked=ASKED, **more)  # type: ignore[arg-type]


def texts(*attempts: Attempt) -> list[object]:
    takes = [take for recording in tape_of([attempts]).recordings for take in recording.takes]
    return [take.completion.text if take.completion is not None else take.kind for take in takes]


def test_takes_are_in_order_of_time_and_calls_in_order_of_the_program() -> None:
    other = "cd" * 20
    rows = [
        attempt(3, ended("late"), n=1),
        attempt(1, ended(kind=Kind.RATE_LIMIT)),
        attempt(2, ended("early in time, second in the program"), item=1, request_hash=other),
        attempt(4, ended("first item"), item=0, request_hash="ef" * 20),
    ]
    made = tape_of([rows])
    assert [recording.request for recording in made.recordings] == [HASH, "ef" * 20, other]
    assert [take.kind for take in made.recordings[0].takes] == [Kind.RATE_LIMIT, None]
    assert made == tape_of([rows[::-1]])
    assert all(
        t.completion is None or t.completion.request_id is None for r in made.recordings for t in r.takes
    )


def test_history_that_the_run_no_longer_follows_is_left_out() -> None:
    assert texts(attempt(1, ended("old"), superseded=True), attempt(2, ended("new"))) == ["new"]
    assert texts(attempt(1, ended(kind=Kind.AUTH)), attempt(2, ended("new"), round=1)) == ["new"]
    assert texts(attempt(1, None), attempt(2, ended("new"))) == ["new"]


def test_a_hedge_that_lost_and_a_killed_request_are_left_out_where_the_answer_is_known() -> None:
    assert texts(attempt(1, ended(abandoned=True)), attempt(2, ended("won"), n=1)) == ["won"]
    assert texts(attempt(1, ended(abandoned=True))) == [None]
    assert texts(attempt(1, ended(kind=Kind.TIMEOUT, abandoned=True)), attempt(2, ended("x"), n=1)) == [
        Kind.TIMEOUT,
        "x",
    ]


async def test_what_storm_control_held_back_is_held_back_again() -> None:
    assert texts(attempt(1, ended(unsent=True)), attempt(2, ended("won"), n=1)) == ["won"]
    held = tape_of([[attempt(1, ended(kind=Kind.OVERLOADED, unsent=True))]])
    with pytest.raises(ModelCallError) as caught:
        await Cassette(held).send(request())
    assert caught.value.unsent


def test_answers_from_the_cache_count_where_nothing_was_sent_for_them() -> None:
    assert texts(attempt(1, ended("c", cached=True))) == ["c"]
    assert texts(attempt(1, ended("a")), attempt(2, ended("a", cached=True), item=2)) == ["a"]
    assert texts(attempt(1, ended("a")), attempt(2, ended("b"), item=2), attempt(3, ended("b"), item=3)) == [
        "a",
        "b",
    ]


def test_rows_of_an_older_guardflow_and_an_address_with_a_secret_are_refused() -> None:
    with pytest.raises(CassetteError, match="an older guardflow"):
        tape_of([[attempt(1, replace(ended("x"), asked=None))]])
    secret = replace(SMALL, api_base="http://host/[redacted]/v1")
    with pytest.raises(CassetteError, match="holds a secret"):
        tape(said("x"), model=secret).redacted(str)
    with pytest.raises(CassetteError, match="holds a secret"):
        tape(said("x")).redacted(lambda text: text.replace("127", "[redacted]"))
