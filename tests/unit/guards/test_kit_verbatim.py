"""Quotes: every real one is found where it is, no corrupted one is, spelling and typography are forgiven."""

import random
import re
import unicodedata
from collections.abc import Callable
from pydoc_data.topics import topics

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, HttpUrl

from guardflow.errors import StageError
from guardflow.guards import GuardContext
from guardflow.guards.kit import Match, Miss, Quoted, find_quote, quotes_verbatim, search_quote
from guardflow.guards.kit.text import normalize, splits_word
from guardflow.values import Finding

MANUAL = "\n\n".join(topics[name] for name in sorted(topics))[:300_000]
"""Real English prose with numbers: the language reference that comes with Python."""
SENTENCES = [
    s for s in re.findall(r"(?<=[.\n] )[A-Z][^.\n]*(?:\n[^.\n]+)*\.(?=\s)", MANUAL) if 60 <= len(s) <= 300
]
WORDS = sorted({w for s in SENTENCES for w in re.findall(r"\b[a-z]{5,}\b", s)})
TEXT = st.text(st.sampled_from("abc ABC é\u0301 123.,-'’“\n\u00a0\u00ad\u200bﬁ½²漢字и"), max_size=60)
sentences = st.sampled_from(SENTENCES)
TYPOGRAPHY: list[Callable[[str], str]] = [
    lambda quote: quote.replace('"', "“"),
    lambda quote: quote.replace("'", "’"),
    lambda quote: quote.replace("-", "–"),
    lambda quote: quote.replace(" ", "\u00a0"),
    lambda quote: "\u00ad".join(quote[i : i + 4] for i in range(0, len(quote), 4)),
    lambda quote: unicodedata.normalize("NFD", quote),
    lambda quote: f"“...{quote}”",
]


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_corpus_is_there() -> None:
    assert len(SENTENCES) > 150 and sum(bool(re.search(r"\d", s)) for s in SENTENCES) >= 10


# --- normal forms -----------------------------------------------------------------------------------------


@given(TEXT)
def test_normal_forms_are_stable_and_lead_back_into_the_original(text: str) -> None:
    normal = normalize(text)
    assert normalize(normal.text).text == normal.text
    assert "  " not in normal.text and not set(normal.text) & set("\u00ad\u200b’“\u00a0\n")
    before = 0
    for i in range(len(normal.text)):
        start, end = normal.span(i, i + 1)
        assert before <= start < end <= len(text)
        assert (
            normalize(text[start:end]).text.strip() in ("", normal.text[i])
            or len(normalize(text[start:end]).text) > 1
        )
        before = start


def test_superscripts_and_fractions_stay_what_they_are() -> None:
    assert normalize("10² ½ H₂O ﬁne").text == "10² ½ H2O fine"
    assert find_quote("the area is 102 m", "the area is 10² m") is None


# --- real quotes are found --------------------------------------------------------------------------------


@given(TEXT, st.data())
def test_every_substring_between_word_boundaries_is_found_where_it_is(
    source: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, len(source)))
    quote = source[start:end].strip()
    assume(any(c.isalnum() for c in quote))
    start = source.index(quote, start)
    assume(not splits_word(source, start) and not splits_word(source, start + len(quote)))
    match = find_quote(quote, source)
    assert match is not None and match.exact and match.score == 100.0
    assert source[match.start : match.end] == quote


@given(sentences, st.data())
@settings(max_examples=60, deadline=None)
def test_typography_is_evened_out_and_offsets_cut_out_the_original(
    sentence: str, data: st.DataObject
) -> None:
    quote = flat(sentence)
    for change in data.draw(st.lists(st.sampled_from(TYPOGRAPHY), unique=True)):
        quote = change(quote)
    match = find_quote(quote, MANUAL)
    assert match is not None and match.exact
    assert flat(MANUAL[match.start : match.end]).rstrip('."') == flat(sentence).rstrip('."')


@pytest.mark.parametrize(
    "quote",
    [
        "The committee recieved the final report from Zürich on Monday",  # a swap of two letters
        "the committee received the final report from Zürich on Monday",  # a small first letter
        "The committee received final report from Zürich on Monday",  # an article
        "The committee received the final report from Zurich on Monday",  # an accent
        "The committee received the final re-port from Zürich, on Monday",  # a hyphen, a comma
        "The commit tee received the final report from Zürich on Monday",  # split by a line break
    ],
)
def test_spelling_is_forgiven(quote: str) -> None:
    source = "Minutes. The committee received the final report from Zürich on Monday. It adjourned."
    match = find_quote(quote, source)
    assert match is not None and not match.exact
    assert source[match.start : match.end] == "The committee received the final report from Zürich on Monday"


# --- corrupted quotes are refused -------------------------------------------------------------------------


@given(sentences.filter(lambda s: re.search(r"\d", s)), st.data())
@settings(max_examples=80, deadline=None)
def test_a_changed_digit_is_refused(sentence: str, data: st.DataObject) -> None:
    digit = data.draw(st.sampled_from(list(re.finditer(r"\d", sentence))))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != digit.group()]))
    quote = flat(sentence[: digit.start()] + other + sentence[digit.end() :])
    assume(flat(quote) not in flat(MANUAL))
    assert find_quote(quote, MANUAL) is None


@given(sentences, st.sampled_from(["not", "never", "no", "hardly"]), st.data())
@settings(max_examples=80, deadline=None)
def test_an_inserted_negation_is_refused(sentence: str, word: str, data: st.DataObject) -> None:
    words = flat(sentence).split(" ")
    words.insert(data.draw(st.integers(1, len(words) - 1)), word)
    assert find_quote(" ".join(words), MANUAL) is None


@given(sentences.filter(lambda s: re.search(r"\b(not|never|no)\b", s)))
@settings(max_examples=40, deadline=None)
def test_a_negation_left_out_is_refused(sentence: str) -> None:
    assert find_quote(flat(re.sub(r"\b(not|never|no)\b ?", "", sentence, count=1)), MANUAL) is None


def test_an_exchanged_word_is_refused() -> None:
    random.seed(3)
    for sentence in SENTENCES[:60]:
        words = flat(sentence).split(" ")
        places = [i for i, w in enumerate(words) if re.fullmatch(r"[a-z]{5,}", w)]
        if places:
            place = random.choice(places)
            words[place] = random.choice([w for w in WORDS if w[:3] != words[place][:3]])
            assert find_quote(" ".join(words), MANUAL) is None


SOURCE = (
    "Revenue at Contoso in Austria did not fall: it increased by 12 % to €1,500 million in Q3 2024, from -3.5 % before. "
    "The valve can't be opened under load, it is non-toxic, and it is possible to run up to 1 000 units at >5 bar. "
    "Die Pumpe darf nicht im Leerlauf betrieben werden, sie ist aber ohne Wartung lauffähig."
)


@pytest.mark.parametrize(
    ("quote", "why"),
    [
        ("it increased by 13 % to €1,500 million in Q3 2024", "number"),
        ("it increased by 12 to €1,500 million in Q3 2024", "sign or unit"),
        ("it increased by 12 % to $1,500 million in Q3 2024", "sign or unit"),
        ("it increased by 12 % to €1,500 billion in Q3 2024", "number"),
        ("it increased by 12 % to €1.500 million in Q3 2024", "number"),
        ("it increased by 12 % to €1,500 million in Q4 2024", "number"),
        ("it decreased by 12 % to €1,500 million in Q3 2024", "sense"),
        ("Revenue at Contoso in Australia did not fall: it increased", "name"),
        ("Revenue at Contoso in Austria did fall: it increased by", "negation"),
        ("in Q3 2024, from 3.5 % before", "number"),
        ("The valve can be opened under load, it is non-toxic", "negation"),
        ("it is impossible to run up to 1 000 units at >5 bar", "words"),
        ("it is possible to run up to 100 units at >5 bar", "number"),
        ("it is possible to run up to 1 000 units at <5 bar", "sign or unit"),
        ("Die Pumpe darf im Leerlauf betrieben werden, sie ist aber ohne", "negation"),
        ("sie ist aber mit Wartung lauffähig", ""),
        ("Revenue at Contoso ... increased by 12 %", ""),
    ],
)
def test_each_way_to_corrupt_a_quote_is_refused_with_its_reason(quote: str, why: str) -> None:
    found = search_quote(quote, SOURCE)
    assert isinstance(found, Miss), found
    assert why in found.reason
    assert not why or found.nearest in SOURCE


@pytest.mark.parametrize(
    ("quote", "source"),
    [
        ("able to run", "It is unable to run"),
        ("it grew by 1", "it grew by 12 %"),
        ("it grew by 3", "it grew by 3.5 %"),
        ("5 % last year", "it was 3.5 % last year"),
        ("5 % last year", "it was -5 % last year"),
        ("000 units", "it made 1 000 units"),
        ("it made 1", "it made 1 000 units"),
        ("the valve can", "the valve can't be opened"),
        ("toxic if burnt", "it is non-toxic if burnt"),
        ("cafe", "caf\u0065\u0301"),
        ("", "anything"),
        ("…", "anything …"),
        ("something", ""),
        ("a quote that is much longer than the source it is from", "the source"),
    ],
)
def test_a_quote_cut_through_a_word_or_numeral_and_an_empty_one_are_refused(quote: str, source: str) -> None:
    assert find_quote(quote, source) is None


def test_scripts_without_spaces_may_be_cut_anywhere_but_not_changed() -> None:
    source = "本製品は水中で使用しないでください。詳細は説明書を参照。"
    assert find_quote("使用しない", source) == Match(7, 12, exact=True, score=100.0)
    assert find_quote("本製品は水中で使用してください。詳細は説明書を参照", source) is None


def test_a_later_whole_occurrence_is_found_behind_a_cut_one() -> None:
    match = find_quote("able", "unable, able")
    assert match is not None and match.start == 8


# --- the guard --------------------------------------------------------------------------------------------


class Quote(BaseModel):
    url: str
    text: str


class Answer(BaseModel):
    quotes: list[Quote]


class Page(BaseModel):
    url: HttpUrl
    text: str


class Evidence(BaseModel):
    pages: list[Page]


EVIDENCE = Evidence(
    pages=[
        Page(url=HttpUrl("https://a.org/"), text="It is safe."),
        Page(url=HttpUrl("https://b.org/"), text=SOURCE),
    ]
)
ANSWER = Answer(
    quotes=[
        Quote(url="https://a.org/", text="It is safe"),
        Quote(url="https://a.org/", text="it increased by 13 % to €1,500 million"),
        Quote(url="https://a.org/", text="The valve can’t be opened"),
    ]
)


def test_the_guard_looks_in_all_sources_and_points_at_the_item() -> None:
    verbatim = quotes_verbatim("quotes[*].text", source="pages[*].text")
    assert list(verbatim(ANSWER, GuardContext(EVIDENCE))) == [
        Finding(
            "quote changes a number: it says '13' where the source says '12'",
            at=("quotes", 1),
            evidence="it increased by 13 % to €1,500 million",
            expected="it increased by 12 % to €1,500 million",
        )
    ]


def test_the_guard_may_be_told_the_source_of_each_quote() -> None:
    def cited(answer: Answer, evidence: Evidence) -> list[Quoted]:
        pages = {str(page.url): page.text for page in evidence.pages}
        return [Quoted(("quotes", i), q.text, [pages[q.url]]) for i, q in enumerate(answer.quotes)]

    assert [f.at for f in quotes_verbatim(cited)(ANSWER, GuardContext(EVIDENCE))] == [
        ("quotes", 1),
        ("quotes", 2),
    ]

    def texts_of(evidence: Evidence) -> list[str]:
        return [page.text for page in evidence.pages]

    verbatim = quotes_verbatim("quotes[*].text", source=texts_of)
    assert [f.at for f in verbatim(ANSWER, GuardContext(EVIDENCE))] == [("quotes", 1)]


def test_without_any_source_nothing_is_verbatim() -> None:
    verbatim = quotes_verbatim("quotes[*].text", source="pages[*].text")
    assert len(list(verbatim(ANSWER, GuardContext(Evidence(pages=[]))))) == 3


def test_a_misspelt_pattern_is_an_error_and_not_a_pass() -> None:
    with pytest.raises(StageError, match="has no 'qotes'"):
        list(quotes_verbatim("qotes[*].text", source="pages[*].text")(ANSWER, GuardContext(EVIDENCE)))
    with pytest.raises(StageError, match="'txt'"):
        list(quotes_verbatim("quotes[*].text", source="pages[*].txt")(ANSWER, GuardContext(EVIDENCE)))
    with pytest.raises(StageError, match="not a path pattern"):
        list(quotes_verbatim("quotes[", source="pages")(ANSWER, GuardContext(EVIDENCE)))


def test_the_version_follows_the_options() -> None:
    versions = {
        quotes_verbatim("quotes[*].text", source="pages[*].text", threshold=t).version
        for t in (93.0, 93.0, 95.0)
    }
    assert len(versions) == 2
