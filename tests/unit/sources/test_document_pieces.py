"""Documents, sentences and passages: every offset cuts out what it says."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardflow.hashing import content_hash
from guardflow.sources.documents import Document, document, passages, sentences

PROSE = st.one_of(
    st.text(),
    st.text(alphabet="aB1.!? \n\t-*|\"'”)(。！…#>é\u2028", max_size=200),
    st.lists(
        st.sampled_from(
            [
                "Dr. Smith",
                "e.g. this",
                "It rose 3.5 %. ",
                "\n\n",
                "\n- item",
                "これは。",
                "1. x",
                "Why?",
                "\n| a | b |\n",
            ]
        )
    ).map(" ".join),
)


def texts(text):
    return [sentence.text for sentence in sentences(text)]


@given(PROSE)
def test_sentences_are_cut_out_of_the_text_in_order_and_nothing_is_lost(text):
    end = 0
    for sentence in sentences(text):
        assert text[sentence.start : sentence.end] == sentence.text
        assert sentence.text == sentence.text.strip() != ""
        assert not text[end : sentence.start].strip()
        assert sentence.start >= end
        end = sentence.end
    assert not text[end:].strip()


@given(PROSE, st.integers(1, 60))
def test_passages_are_cut_out_of_the_text_in_order_and_nothing_is_lost(text, target):
    source = document("a", text, title="A")
    end = 0
    for passage in passages(source, target):
        assert source.text[passage.start : passage.end] == passage.text != ""
        assert passage.document_id == source.id
        assert not source.text[end : passage.start].strip() and passage.start >= end
        assert passage.end - passage.start <= max(target, 2 * target)
        assert (passage.sentences[0].start, passage.sentences[-1].end) == (passage.start, passage.end)
        for sentence in passage.sentences:
            assert source.text[sentence.start : sentence.end] == sentence.text
        end = passage.end
    assert not source.text[end:].strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Who met Mr. X. No. 5 is alive.", ["Dr. Who met Mr. X. No. 5 is alive."]),
        ("See e.g. Smith et al. 2020, p. 5. Then go.", ["See e.g. Smith et al. 2020, p. 5.", "Then go."]),
        ("It is 3.5 m long, i.e. short. Yes.", ["It is 3.5 m long, i.e. short.", "Yes."]),
        ("J. R. R. Tolkien wrote. He did.", ["J. R. R. Tolkien wrote.", "He did."]),
        ("The U.S. Senate sat. It rose.", ["The U.S. Senate sat.", "It rose."]),
        ("Apples, pears etc. Then more.", ["Apples, pears etc.", "Then more."]),
        ("On Jan. 5 it rose. Then it fell.", ["On Jan. 5 it rose.", "Then it fell."]),
        ("Apples, pears etc. and more.", ["Apples, pears etc. and more."]),
        ("Am 3. März kam z.B. Hans. Er ging.", ["Am 3. März kam z.B. Hans.", "Er ging."]),
        (
            "Im 19. Jahrhundert war es bzw. blieb es so. Ja.",
            ["Im 19. Jahrhundert war es bzw. blieb es so.", "Ja."],
        ),
        ("It began in 1990. It ended.", ["It began in 1990.", "It ended."]),
        ('"Why?" she asked. "Go!"', ['"Why?" she asked.', '"Go!"']),
        ("He said “No.” She left.", ["He said “No.”", "She left."]),
        ("Wait... what? Then... Nothing.", ["Wait... what?", "Then...", "Nothing."]),
        ("これは文です。次の文！「はい。」終わり", ["これは文です。", "次の文！", "「はい。」", "終わり"]),
        ("यह वाक्य है। दूसरा।", ["यह वाक्य है।", "दूसरा।"]),
        ("كيف حالك؟ بخير.", ["كيف حالك؟", "بخير."]),
        ("Title\n\nText here.", ["Title", "Text here."]),
        ("A wrapped\nline goes on. Next.", ["A wrapped\nline goes on.", "Next."]),
        (
            "List:\n- one. Two\n- three\n1. four\n2) five",
            ["List:", "- one.", "Two", "- three", "1. four", "2) five"],
        ),
        ("| a. b | c |\n| d | e |\nText.", ["| a. b | c |", "| d | e |", "Text."]),
        ("# Head\nBody.", ["# Head\nBody."]),
        ("Body.\n# Head", ["Body.", "# Head"]),
        ("Page one\fPage two", ["Page one", "Page two"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_sentences_end_where_a_reader_says(text, expected):
    assert texts(text) == expected


def test_hostile_texts_are_cut_in_linear_time():
    started = time.process_time()
    for piece in (".", ". ", "'", "\n", " \n", "a.", "|", "!'", "。", "1. ", "(", "- "):
        text = piece * 100_000
        assert "".join(texts(text)).replace(" ", "") or not text.strip()
    assert time.process_time() - started < 20  # of seconds; in quadratic time each piece takes minutes


def test_passages_fill_up_to_the_target_and_close_at_paragraphs():
    text = "\n\n".join(f"Paragraph {i}. " + "It says the same thing again. " * 3 for i in range(20))
    found = passages(document("a", text, title="A"), 300)
    assert all(len(passage.text) <= 300 for passage in found)
    assert sum(len(passage.text) >= 150 for passage in found) >= len(found) - 1
    assert all(passage.text.startswith("Paragraph") for passage in found)


def test_a_sentence_without_end_is_cut_at_white_space():
    text = "word " * 100
    found = passages(document("a", text, title="A"), 50)
    assert all(len(passage.text) <= 100 and passage.text.startswith("word") for passage in found)
    assert len(passages(document("a", "x" * 1000, title="A"), 50)) == 10
    with pytest.raises(ValueError, match="at least one"):
        passages(document("a", text, title="A"), 0)


def test_a_document_is_named_by_its_text_and_cannot_change():
    one = document("a", "Same.", title="A", flags=["x", "y", "x"])
    assert one.id == document("b", "Same.", title="B").id == content_hash(b"Same.")
    assert one.id != document("a", "Other.", title="A").id
    assert one.flags == ("x", "y")
    with pytest.raises(ValidationError):
        one.text = "changed"
    assert Document.model_validate_json(one.model_dump_json()) == one
