"""Cassette files: what is written is read again, and what is damaged is refused by a typed error that teaches."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow import CassetteError, Kind, Model, Price
from guardflow.testing import Cassette, Recording, Take, Tape, tape_file
from guardflow.testing.tape_file import read_tape, tape_from, text_of, write_tape
from guardflow.values import Asked, Completion, Usage

texts = st.text(st.characters(), max_size=40)  # every code point, halves of surrogate pairs too
hashes = st.text("0123456789abcdef", min_size=40, max_size=40)
counts = st.integers(0, 10**9)
numbers = st.floats(0, 1e6)
maybe = st.none


def fields(name: st.SearchStrategy[str]) -> dict[str, st.SearchStrategy[Any]]:
    price = st.builds(Price, numbers, numbers, maybe() | numbers)
    return {
        "name": name,
        "api_base": maybe() | texts,
        "price": maybe() | st.just("free") | price,
        "output": maybe() | st.sampled_from(["json_schema", "json", "tools", "text"]),
        "max_tokens": maybe() | counts,
        "context": maybe() | counts,
        "temperature": maybe() | numbers,
        "timeout": maybe() | numbers,
        "role": maybe() | texts,
    }


names = st.sampled_from(["fast", "strong", "openai/x"]) | texts
models = st.builds(Model, **fields(names), asked=st.builds(Model, **fields(names)))
completions = st.builds(
    Completion,
    text=maybe() | texts,
    refusal=maybe() | texts,
    finish_reason=maybe() | texts,
    usage=maybe() | st.builds(Usage, counts, counts, counts),
    model=maybe() | texts,
    dropped=st.lists(texts, max_size=2).map(tuple),
)
failures = st.builds(
    Take,
    completion=maybe(),
    kind=st.sampled_from(list(Kind)),
    error=texts,
    retry_after=maybe() | numbers,
    dropped=st.lists(texts, max_size=2).map(tuple),
    unsent=st.booleans(),
)
takes = st.builds(Take, completion=completions) | failures | st.just(Take())
recordings = st.builds(
    Recording,
    request=hashes,
    stage=texts,
    asked=st.builds(Asked, models, counts, maybe() | numbers, counts, maybe() | hashes),
    takes=st.lists(takes, min_size=1, max_size=3).map(tuple),
    role=st.sampled_from(["answer", "guard", "match", "split"]),
    rung=texts,
    prompt=texts,
)
tapes = st.builds(Tape, st.lists(recordings, max_size=4, unique_by=lambda r: r.request).map(tuple), texts)


@given(tapes)
def test_a_tape_survives_its_file_whatever_the_models_said(tape: Tape) -> None:
    text = text_of(tape)
    found = tape_from(text.encode("utf-8"), what="t")
    assert found == tape
    assert [r.asked.model.asked for r in found.recordings] == [r.asked.model.asked for r in tape.recordings]
    assert text_of(found) == text


HOSTILE = '\x1b]8;;http://evil\x07 \u202e \u2028 \x00 \ud800 {{ x }} </script> "quotes" \\ \u200b \U000e0041'


def example(text: str = "hello") -> Tape:
    model = Model("openai/x", asked=Model("fast"))
    take = Take(Completion(text, usage=Usage(1, 2)))
    return Tape((Recording("ab" * 20, "plan", Asked(model, 50), (take,)),), "qa")


def test_hostile_text_comes_back_as_it_was_and_cannot_act_or_hide_in_a_review(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "t.json"
    write_tape(file, example(HOSTILE))
    written = file.read_text("utf-8")
    assert not set(written) & set("\x1b\x07\u202e\u2028\x00\u200b\U000e0041")
    completion = read_tape(file).recordings[0].takes[0].completion
    assert completion is not None and completion.text == HOSTILE


def test_other_languages_stay_readable() -> None:
    assert "Grüße, 你好" in text_of(example("Grüße, 你好"))


def test_a_file_is_its_owners_only_and_replaced_only_if_it_is_a_cassette(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    write_tape(file, example("one"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    Cassette(example("two")).save(file)
    assert "two" in file.read_text()
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    with pytest.raises(CassetteError, match="is no cassette that could be replaced"):
        write_tape(notes, example())
    assert notes.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.md", "t.json"]


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CassetteError, match="cannot be written"):
        write_tape(tmp_path / "file" / "t.json", example())


def test_a_missing_and_a_huge_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CassetteError, match="cannot be read.*runs export RUN --cassette"):
        read_tape(tmp_path / "none.json")
    with pytest.raises(CassetteError, match="cannot be read"):
        read_tape(tmp_path)
    file = tmp_path / "t.json"
    write_tape(file, example())
    monkeypatch.setattr(tape_file, "MOST_BYTES", 10)
    with pytest.raises(CassetteError, match="is larger than"):
        read_tape(file)


def damaged(change: Callable[[Any], object]) -> bytes:
    document = json.loads(text_of(example()))
    change(document)
    return json.dumps(document).encode()


DAMAGE: dict[str, Callable[[Any], object]] = {
    "is of version 2": lambda d: d.update(schema_version=2),
    "is of version None": lambda d: d.pop("schema_version"),
    "'kind' is not": lambda d: d.pop("kind"),
    "a field 'extra'": lambda d: d.update(extra=1),
    "'calls' is not a list": lambda d: d.update(calls={}),
    "'the whole' is not an object": lambda d: d["calls"].append("x"),
    "'request' is not a hash": lambda d: d["calls"][0].update(request="../../etc"),
    "twice": lambda d: d["calls"].append(d["calls"][0]),
    "'model' is not one of": lambda d: d["calls"][0].update(model="other"),
    "'takes' is not a list with": lambda d: d["calls"][0].update(takes=[]),
    "'text' is not a text": lambda d: d["calls"][0]["takes"][0].update(text=3),
    "'text' is not there": lambda d: d["calls"][0]["takes"][0].pop("text"),
    "'failure' is not one of": lambda d: d["calls"][0]["takes"].append({"failure": "TRANSIENT"}),
    "'retry_after' is not a number": lambda d: d["calls"][0]["takes"].append(
        {"failure": "TIMEOUT", "retry_after": -1}
    ),
    "'max_tokens' is not a whole": lambda d: d["calls"][0].update(max_tokens=True),
    "'role' is not one of": lambda d: d["calls"][0].update(role=["answer"]),
    "'is' is not the model": lambda d: d["models"]["fast"].pop("is"),
    "'price' is not one of": lambda d: d["models"]["fast"].update(price="cheap"),
    "'input and output' is not two numbers": lambda d: d["models"]["fast"].update(price={"input": 1}),
}


@pytest.mark.parametrize("says", DAMAGE)
def test_damage_is_named_and_refused(says: str) -> None:
    with pytest.raises(CassetteError, match="t.json") as caught:
        tape_from(damaged(DAMAGE[says]), what="t.json")
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(text_of(example()).encode()[:-20], id="cut off"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"schema_version": NaN}', id="NaN"),
        pytest.param(b"9" * 10_000, id="a number without end"),
    ],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(CassetteError, match="is cut off, or is not JSON"):
        tape_from(data, what="t.json")
