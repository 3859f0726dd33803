"""A set is the same input in every process, although Python orders its items anew in each."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, field_serializer

from guardflow.flow.codec import Codec

WORDS = [f"word {n}" for n in range(20)]
ORDERED = sorted(WORDS)


class Inner(BaseModel):
    tags: frozenset[str] = frozenset(WORDS)
    name: str = "n"


class Aliased(BaseModel):
    tags: set[str] = Field(default=set(WORDS), serialization_alias="Tags")
    joined: set[str] = set(WORDS)

    @field_serializer("joined")
    def as_text(self, joined: set[str]) -> str:
        return ",".join(sorted(joined))


@dataclass
class Record:
    tags: set[str] = field(default_factory=lambda: set(WORDS))


class Outer(BaseModel):
    one: Inner = Inner()
    many: list[Inner] = [Inner(), Inner()]
    by_name: dict[str, set[str]] = {"a": set(WORDS), "b": set(WORDS)}
    record: Record = Record()
    pairs: set[tuple[str, int]] = {(word, 1) for word in WORDS}
    either: Inner | int = Inner()


def test_the_items_of_a_set_are_dumped_in_one_order_wherever_it_is() -> None:
    dumped = Codec(Outer, owner="stage 's'").dump(Outer())
    inner = {"tags": ORDERED, "name": "n"}
    assert dumped == {
        "one": inner,
        "many": [inner, inner],
        "by_name": {"a": ORDERED, "b": ORDERED},
        "record": {"tags": ORDERED},
        "pairs": [[word, 1] for word in ORDERED],
        "either": inner,
    }


def test_what_a_serializer_shapes_stays_as_it_is() -> None:
    dumped = Codec(Aliased, owner="stage 's'").dump(Aliased())
    assert isinstance(dumped, dict)
    assert dumped["joined"] == ",".join(ORDERED)


def test_a_value_with_sets_comes_back_equal() -> None:
    codec = Codec(Outer, owner="stage 's'")
    assert codec.load(codec.dump(Outer())) == Outer()


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_the_hash_is_the_same_in_every_process(seed: str) -> None:
    code = "import test_sets_in_inputs as t; print(t.digest())"
    env = {**os.environ, "PYTHONHASHSEED": seed}
    path = str(Path(__file__).parent)
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path,
        env={**env, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == digest()


def digest() -> str:
    codec = Codec(Outer, owner="stage 's'")
    return codec.hash(codec.dump(Outer()))
