"""Shrinking: the declared inputs get smaller, the others and the caller's values stay."""

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from guardflow.prompts import PromptLibrary
from guardflow.prompts.shrink import cut

WORDS = "one two three four five six seven eight nine ten"


class Page(BaseModel):
    url: str
    text: str
    notes: list[str] = []


class Book(BaseModel):
    chapters: list[str]
    year: int


class Point(NamedTuple):
    x: int
    y: int


@dataclass(frozen=True)
class Row:
    label: str
    body: str


def test_text_is_cut_at_the_end_of_a_word() -> None:
    assert cut(WORDS, 0.5) == "one two three four five"
    assert cut(WORDS, 0.4) == "one two three four"
    assert cut("abcdef ghi", 0.8) == "abcdef"


def test_text_without_spaces_is_cut_where_it_is() -> None:
    assert cut("x" * 1000, 0.25) == "x" * 250
    assert cut("x", 0.1) == "x"
    assert cut("", 0.5) == ""


def test_ten_megabytes_without_a_space_are_cut() -> None:
    text = "x" * 10_000_000
    assert cut(text, 0.5) == text[:5_000_000]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7])
def test_a_list_keeps_its_first_items(share: float) -> None:
    items = list(range(10))
    assert cut(items, share) == items[: math.ceil(10 * share)]
    assert cut(tuple(items), share) == tuple(items[: math.ceil(10 * share)])


def test_a_share_that_is_not_exact_in_binary_keeps_no_item_more() -> None:
    assert cut(list(range(100)), 0.55) == list(range(55))


def test_a_single_item_is_cut_itself() -> None:
    assert cut([WORDS], 0.5) == ["one two three four five"]
    assert cut([WORDS, "x"], 0.25) == ["one two three four five"]


def test_where_no_item_is_dropped_the_last_one_is_cut() -> None:
    assert cut(["a b c d", WORDS], 0.75) == ["a b c d", "one two three four five"]


def test_of_a_model_the_longest_texts_are_cut() -> None:
    page = Page(url="https://example.org", text=WORDS)
    smaller = cut([page], 0.5)
    assert smaller == [Page(url="https://example.org", text="one two three")]
    assert page.text == WORDS


def test_mappings_and_dataclasses_are_cut_like_models() -> None:
    assert cut({"label": "x", "body": WORDS}, 0.5) == {"label": "x", "body": "one two three four five"}
    assert cut(Row("x", WORDS), 0.5) == Row("x", "one two three four five")


def test_a_model_without_text_has_its_lists_cut() -> None:
    assert cut(Book(chapters=["a", "b", "c", "d"], year=1), 0.5) == Book(chapters=["a", "b"], year=1)


def test_what_has_no_size_stays() -> None:
    assert cut(7, 0.5) == 7
    assert cut(None, 0.5) is None
    assert cut([], 0.5) == []
    assert cut({}, 0.5) == {}
    assert cut(Point(1, 2), 0.5) == Point(1, 2)


values = st.recursive(
    st.text(max_size=30)
    | st.integers()
    | st.builds(Page, url=st.text(max_size=5), text=st.text(max_size=50)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(values, st.floats(0.01, 0.99))
def test_nothing_is_ever_changed_in_place_or_grows(value: object, share: float) -> None:
    before = copy.deepcopy(value)
    smaller = cut(value, share)
    assert value == before
    assert type(smaller) is type(value)
    assert len(repr(smaller)) <= len(repr(value)) + 8  # repr may quote differently


@given(
    st.lists(st.text(alphabet="ab ", min_size=4, max_size=40), min_size=1, max_size=5), st.floats(0.05, 0.9)
)
def test_every_cut_of_text_takes_something_away(items: list[str], share: float) -> None:
    smaller = cut(items, share)
    assert isinstance(smaller, list)
    assert len("".join(smaller)) < len("".join(items))


def test_only_declared_inputs_are_trimmed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "---\ninputs: [kept, pages]\ntrim: [pages]\n---\n{{ kept }}|{{ pages | join }}"
    )
    prompt = PromptLibrary([tmp_path]).load("a")
    pages = ["1", "2", "3", "4"]
    assert prompt.render({"kept": WORDS, "pages": pages}, shrink=0.5).messages[0].content == f"{WORDS}|12"
    assert prompt.render({"kept": WORDS, "pages": pages}).messages[0].content == f"{WORDS}|1234"
    assert pages == ["1", "2", "3", "4"]
