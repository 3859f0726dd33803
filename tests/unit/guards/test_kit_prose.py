"""The language of answers, and answers that go round in circles."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.errors import StageError
from guardflow.guards.kit import LANGUAGES, find_repetition, guess_language, language, no_repetition

ENGLISH = "The river rose by two metres in a night, and the people had to leave their houses."
GERMAN = "Der Fluss stieg in einer Nacht um zwei Meter, und die Leute mussten ihre Häuser verlassen."


def test_a_text_that_changes_its_language_is_found_though_most_of_it_is_right() -> None:
    assert list(language("en")(f"{ENGLISH} {ENGLISH}")) == []
    (found,) = language("en")(f"{ENGLISH} {ENGLISH} {GERMAN}")
    assert found.message == "is partly in German, not in English; write it in English"
    assert list(language("en", tolerate=0.5)(f"{ENGLISH} {ENGLISH} {GERMAN}")) == []
    assert list(language("en", "de")(f"{ENGLISH} {GERMAN}")) == []


def test_findings_stand_where_the_text_is() -> None:
    answer = {"title": "OK", "parts": [ENGLISH, GERMAN]}
    assert [f.at for f in language("en")(answer)] == [("parts", 1)]
    assert list(language("en", at="title")(answer)) == []


@pytest.mark.parametrize("codes", [(), ("xx",), ("en", "sw"), ("EN",)])
def test_a_language_it_does_not_know_is_refused(codes: tuple[str, ...]) -> None:
    with pytest.raises(StageError):
        language(*codes)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(StageError, match="cannot tolerate"):
        language("en", tolerate=1)


@given(st.text(max_size=300))
def test_whatever_it_guesses_it_knows(text: str) -> None:
    guess = guess_language(text)
    assert guess.language is None or guess.language in LANGUAGES
    assert guess.words >= 0


@given(
    st.lists(st.sampled_from(["red", "green", "blue", "one", "two"]), min_size=1, max_size=8),
    st.integers(4, 9),
)
def test_a_stretch_that_follows_itself_is_found_with_how_often(words: list[str], times: int) -> None:
    found = find_repetition(" ".join(words * times))
    loops = [repetition for repetition in found if repetition.kind == "loop"]
    if len(words) * times >= 12:
        assert loops and loops[0].times >= times and len(loops[0].phrase.split()) <= len(words)
    else:
        assert not loops or loops[0].times >= 4


@given(st.permutations([f"word{chr(97 + i)}" for i in range(26)]))
def test_words_that_are_all_different_are_no_repetition(words: list[str]) -> None:
    assert find_repetition(" ".join(words)) == ()


def test_each_bound_can_be_moved() -> None:
    text = f"{ENGLISH} And so it goes. {GERMAN} And so it goes. Then came more rain. And so it goes."
    assert list(no_repetition()(text)) == []
    assert [f.evidence for f in no_repetition(sentences=3)(text)] == ["and so it goes"]
    twice = "it rains and it pours today " * 2
    assert list(no_repetition()(twice)) == []
    assert [f.evidence for f in no_repetition(loops=2)(twice)] == ["it rains and it pours today"]


@pytest.mark.parametrize("bounds", [{"loops": 1}, {"sentences": 1}, {"share": 0}, {"share": 1.5}])
def test_bounds_that_cannot_hold_are_refused(bounds) -> None:
    with pytest.raises(StageError, match="cannot hold"):
        no_repetition(**bounds)


@pytest.mark.parametrize(
    "piece", ["a", "ab ", "哈", "。", "`", "<", "der die ", "a b a c ", "aaaaaaaaaaaaaaaaaaab"]
)
def test_hostile_texts_are_read_in_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        started = time.process_time()
        find_repetition(text)
        list(language("en")(text))
        return time.process_time() - started

    small = seconds(20_000)
    assert seconds(100_000) < 5 * 2.5 * small + 0.15
