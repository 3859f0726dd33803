"""Schemas as grammars, texts that cannot be turns, and headers of GGUF files: the pure parts of the embedded model."""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from guardflow.errors import ConfigError
from guardflow.models.local.gguf import read_header
from guardflow.models.local.grammar import Neutral, could_begin, grammar
from guardflow.values import Schema

CONTROL = ("<|im_start|>", "<|im_end|>", "<s>", "<<", "<|", "< |")


class Leaf(BaseModel):
    pattern: str = Field(pattern=r"^[a-z]+$", max_length=9)
    look: str = Field(json_schema_extra={"pattern": r"^(?!x)\w"})
    child: "Leaf | None" = None


def parsed(text: str) -> dict[str, object]:
    head, _, body = text.partition("%json ")
    assert head == "%llguidance {}\nstart: "
    return json.loads(body)


def schema_of(json_schema: dict[str, object]) -> Schema:
    return Schema("S", json_schema, "h")


# --- grammars ---------------------------------------------------------------------------------------


def test_a_grammar_keeps_shape_and_limits_and_leaves_words_out() -> None:
    made = parsed(grammar(schema_of(Leaf.model_json_schema())))
    leaf = made["$defs"]["Leaf"]
    assert leaf["properties"]["pattern"] == {"type": "string", "maxLength": 9, "pattern": "^[a-z]+$"}
    assert leaf["properties"]["look"] == {"type": "string"}  # lookahead is not regular
    assert leaf["properties"]["child"] == {"anyOf": [{"$ref": "#/$defs/Leaf"}, {"type": "null"}]}
    assert leaf["additionalProperties"] is False


def test_a_loose_grammar_keeps_the_shape_only() -> None:
    made = parsed(grammar(schema_of(Leaf.model_json_schema()), strictness="loose"))
    assert made["$defs"]["Leaf"]["properties"]["pattern"] == {"type": "string"}
    assert made["$defs"]["Leaf"]["required"] == ["pattern", "look"]


def test_properties_may_be_called_like_keywords() -> None:
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string", "title": "T"}, "pattern": {"type": "integer"}},
    }
    assert parsed(grammar(schema_of(schema)))["properties"] == {
        "title": {"type": "string"},
        "pattern": {"type": "integer"},
    }


def test_an_open_map_stays_open() -> None:
    open_map = {
        "type": "object",
        "additionalProperties": {"type": "integer", "title": "n"},
        "properties": {"a": {}},
    }
    assert parsed(grammar(schema_of(open_map)))["additionalProperties"] == {"type": "integer"}


def test_one_of_becomes_any_of() -> None:
    made = parsed(grammar(schema_of({"oneOf": [{"type": "null"}, {"type": "integer", "minimum": 0}]})))
    assert made["anyOf"] == [{"type": "null"}, {"type": "integer", "minimum": 0}]
    assert "oneOf" not in made


@pytest.mark.parametrize(
    ("text", "possible"), [("", True), (" \n", True), ('{"a', True), ("Sure, here", False), ("[1", False)]
)
def test_an_answer_that_ignores_its_schema_shows_at_once(text: str, possible: bool) -> None:
    assert could_begin(schema_of({"type": "object", "properties": {}}), text) is possible
    assert could_begin(schema_of({"type": "string"}), text)


# --- control tokens ---------------------------------------------------------------------------------

hostile = st.lists(st.sampled_from((*CONTROL, "[INST]", "<", "|", " ", "im_end", "|>", "s>", "a"))).map(
    "".join
)


@given(hostile)
def test_no_control_token_survives(text: str) -> None:
    neutral = Neutral(CONTROL)
    made = neutral(text)
    assert not [marker for marker in (*CONTROL, "[INST]", "</s>") if marker in made]
    assert made.replace(" ", "") == text.replace(" ", "")
    assert neutral(made) == made


@given(st.text())
def test_other_text_is_left_alone(text: str) -> None:
    assert Neutral(("<|im_end|>",))(text) == text or "<" in text or "[" in text


# --- headers ----------------------------------------------------------------------------------------


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def header(*, chat: bool = True) -> bytes:
    fields = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.context_length") + struct.pack("<II", 4, 2048),
        text("llama.rope.freq_base") + struct.pack("<If", 6, 1e4),
        text("tokenizer.ggml.tokens")
        + struct.pack("<IIQ", 9, 8, 4)
        + b"".join(map(text, ("a", "<|im_end|>", "<unk>", "b"))),
        text("tokenizer.ggml.token_type") + struct.pack("<IIQ4i", 9, 5, 4, 1, 3, 2, 1),
    ]
    if chat:
        fields.append(text("tokenizer.chat_template") + struct.pack("<I", 8) + text("{{ messages }}"))
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, len(fields)) + b"".join(fields)


def test_a_header_says_what_matters(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(header() + b"tensors")
    read = read_header(path)
    assert (read.architecture, read.context, read.chat) == ("llama", 2048, True)
    assert read.control == ("<|im_end|>", "<unk>")
    path.write_bytes(header(chat=False))
    assert not read_header(path).chat


def test_a_damaged_header_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path, whole = tmp_path / "a.gguf", header()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ConfigError, match=r"a\.gguf"):
            read_header(path)


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=len(header())))
def test_no_bytes_make_it_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.gguf"
    whole = header()
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    try:
        read_header(path)
    except ConfigError:
        pass


def test_a_base_model_is_refused(tmp_path: Path) -> None:
    from guardflow.models.local.engine import Engine

    path = tmp_path / "base.gguf"
    path.write_bytes(header(chat=False))
    with pytest.raises(ConfigError, match=r"no chat template.*-Instruct"):
        Engine(path, 512)


def test_a_model_that_llama_cpp_cannot_load_is_named(tmp_path: Path) -> None:
    from guardflow.models.local.engine import Engine

    path = tmp_path / "hollow.gguf"
    path.write_bytes(header())
    with pytest.raises(ConfigError, match=r"cannot load.*hollow\.gguf"):
        Engine(path, 512)
