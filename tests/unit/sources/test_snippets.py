"""What a hit shows is in the document, short, and has the words in it."""

import time

from hypothesis import given
from hypothesis import strategies as st

from guardflow.sources.snippets import snippet

FILLER = "Nothing of note happened here in those years. " * 40


def test_the_stretch_with_most_words_is_shown():
    text = f"{FILLER}A harbour. {FILLER}The harbours were rebuilt after the flood.\n\n{FILLER}"
    shown = snippet(text, ["harbour", "rebuilding", "flood"])
    assert "The harbours were rebuilt after the flood. Nothing" in shown
    assert shown.startswith("… ") and shown.endswith(" …") and len(shown) < 260


def test_a_text_without_the_words_is_shown_from_its_start():
    assert snippet("A short text.", ["zebra"]) == "A short text." == snippet("A short text.", [])
    assert snippet(FILLER, ["zebra"]).startswith("Nothing of note")


@given(st.text(), st.lists(st.text(min_size=1), max_size=4), st.integers(20, 300))
def test_what_is_shown_stands_in_the_text(text, words, width):
    shown = snippet(text, words, width=width)
    inner = shown.removeprefix("… ").removesuffix(" …")
    assert inner in " ".join(text.split()) or inner in ("…", "")
    assert len(shown) <= width + 4


def test_a_word_that_stands_a_million_times_takes_no_time():
    text = "ipsum " * 3_000_000
    started = time.process_time()
    assert "ipsum" in snippet(text, ["ipsum", "dolor"])
    assert time.process_time() - started < 2
