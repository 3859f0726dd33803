"""Any text and any JSON value comes back from a cell as it went in."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.errors import DatabaseError
from guardflow.store.cells import Document, from_cell, from_json_cell, to_cell, to_json_cell

HOSTILE = st.text(st.characters(codec=None) | st.sampled_from("\x00\x1a\ud800\udfff\ud83d\ude00a"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | HOSTILE,
    lambda inner: st.lists(inner) | st.dictionaries(HOSTILE, inner),
    max_leaves=12,
)


@given(HOSTILE)
def test_text_comes_back_exactly(text: str) -> None:
    assert from_cell(to_cell(text)) == text


@given(HOSTILE)
def test_a_cell_holds_nothing_a_database_refuses(text: str) -> None:
    assert b"\x00" not in to_cell(text).encode("utf-8")


@given(HOSTILE, HOSTILE)
def test_different_texts_have_different_cells(one: str, other: str) -> None:
    assert (to_cell(one) == to_cell(other)) == (one == other)


@given(VALUES)
def test_json_comes_back_exactly(value: object) -> None:
    back = from_json_cell(to_json_cell(value), what="it")
    assert back == value
    assert json.dumps(back) == json.dumps(value)  # 1 and 1.0 and True stay apart, and so do key orders


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", object()])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        to_json_cell(value)


@pytest.mark.parametrize("cell", ["", "{", "NaN", "[Infinity]", pickle.dumps([1], protocol=0).decode()])
def test_a_cell_that_holds_no_json_is_a_typed_error(cell: str) -> None:
    with pytest.raises(DatabaseError, match="run 'x' is damaged"):
        from_json_cell(cell, what="run 'x'")


def test_a_document_ignores_keys_of_a_newer_version() -> None:
    assert Document({"text": "a", "invented_later": 3}, what="it").text("text") == "a"


@pytest.mark.parametrize(
    ("method", "value"),
    [("text", 1), ("text", None), ("text_or_none", 1), ("whole", True), ("whole", 1.0), ("whole_or_none", "1"),
     ("number", None), ("number", True), ("number_or_none", "1.5"), ("flag", 1), ("list", {}),
     ("document_or_none", [])],
)  # fmt: skip
def test_a_document_refuses_wrong_types(method: str, value: object) -> None:
    with pytest.raises(DatabaseError, match="damaged"):
        getattr(Document({"field": value}, what="it"), method)("field")
