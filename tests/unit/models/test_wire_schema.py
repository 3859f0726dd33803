"""A stage's schema in the forms providers take."""

import json
from collections.abc import Iterator
from datetime import date
from enum import Enum
from typing import Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field, RootModel

from guardflow.hashing import JSON, value_hash
from guardflow.models.wire_schema import instruction, wire_name, wire_schema
from guardflow.values import Schema


class Tone(Enum):
    CALM = "calm"
    LOUD = "loud"


class Quote(BaseModel):
    text: str = Field(min_length=1, max_length=500, pattern="^.+$")
    day: date | None = None


class Answer(BaseModel):
    """An answer."""

    title: str = Field("untitled", description="its title")
    kind: Literal["a", "b"]
    tone: Tone = Tone.CALM
    score: float = Field(ge=0, le=1)
    quotes: list[Quote] = Field(min_length=1, max_length=5)
    best: Quote = Field(description="the best one")
    either: Quote | int


class Node(BaseModel):
    name: str
    children: list["Node"]


class Open(BaseModel):
    labels: dict[str, int]


class Pair(BaseModel):
    both: tuple[int, str]


class Anything(BaseModel):
    value: object


def schema_of(model: type[BaseModel]) -> Schema:
    made: dict[str, JSON] = model.model_json_schema()
    return Schema(model.__name__, made, value_hash(made))


def objects(node: object) -> Iterator[dict[str, object]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for part in node.values():
            yield from objects(part)
    elif isinstance(node, list):
        for part in node:
            yield from objects(part)


@pytest.mark.parametrize("model", [Answer, Node, Quote])
def test_every_object_is_closed_and_every_property_required(model: type[BaseModel]) -> None:
    wire = wire_schema(schema_of(model))
    assert wire is not None and wire.strict
    found = list(objects(wire.schema))
    assert found
    for node in found:
        assert node["additionalProperties"] is False
        properties = node["properties"]
        assert isinstance(properties, dict)
        assert node["required"] == list(properties)
    jsonschema.Draft202012Validator.check_schema(wire.schema)


def test_what_fits_the_sent_schema_fits_the_model() -> None:
    wire = wire_schema(schema_of(Answer))
    assert wire is not None
    quote = {"text": "x", "day": None}
    value = {
        "title": "t",
        "kind": "a",
        "tone": "loud",
        "score": 0.5,
        "quotes": [quote],
        "best": quote,
        "either": 3,
    }
    jsonschema.validate(value, wire.schema)
    Answer.model_validate(value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, "more": 1}, wire.schema)


def test_what_strict_mode_may_refuse_is_told_in_words() -> None:
    wire = wire_schema(schema_of(Answer))
    assert wire is not None
    text = json.dumps(wire.schema)
    assert '"minLength"' not in text and '"pattern"' not in text and '"default"' not in text
    assert "maxLength 500, minLength 1" in text or "minLength 1, maxLength 500" in text
    assert '"minItems": 1' in text


def test_a_property_that_is_called_title_stays() -> None:
    wire = wire_schema(schema_of(Answer))
    assert wire is not None
    properties = wire.schema["properties"]
    assert isinstance(properties, dict)
    assert properties["title"] == {"type": "string", "description": "its title"}
    assert properties["best"] == {"$ref": "#/$defs/Quote"}


def test_a_recursive_root_is_spelled_out() -> None:
    wire = wire_schema(schema_of(Node))
    assert wire is not None
    assert wire.schema["type"] == "object"
    jsonschema.validate({"name": "a", "children": [{"name": "b", "children": []}]}, wire.schema)


@pytest.mark.parametrize("model", [Open, Pair, Anything])
def test_what_strict_mode_cannot_say_is_sent_as_it_is(model: type[BaseModel]) -> None:
    wire = wire_schema(schema_of(model))
    assert wire is not None
    assert not wire.strict
    assert wire.schema == model.model_json_schema()
    assert wire.response_format()["json_schema"] == {
        "name": wire.name,
        "schema": wire.schema,
        "strict": False,
    }


def test_a_root_that_is_no_object_cannot_be_enforced() -> None:
    class Numbers(RootModel[list[int]]):
        pass

    assert wire_schema(schema_of(Numbers)) is None


def test_the_stages_own_schema_is_not_touched() -> None:
    schema = schema_of(Answer)
    before = value_hash(schema.json)
    wire_schema(schema)
    assert value_hash(schema.json) == before


@pytest.mark.parametrize(
    ("name", "sent"), [("Answer[int]", "Answer_int"), ("x" * 80, "x" * 64), ("größe", "gr_e"), ("", "answer")]
)
def test_names_fit_the_providers_alphabet(name: str, sent: str) -> None:
    assert wire_name(name) == sent


def test_the_instruction_holds_the_whole_schema() -> None:
    schema = schema_of(Quote)
    told = instruction(schema)
    assert json.loads(told.split("\n", 1)[1]) == schema.json


def test_several_schemas_at_once_are_beyond_strict_mode() -> None:
    one: JSON = {"type": "object", "properties": {"a": {"type": "integer"}}}
    both: JSON = {"allOf": [one, one]}
    root: dict[str, JSON] = {"type": "object", "properties": {"x": {"allOf": [one]}}}
    single = wire_schema(Schema("S", root, "1"))
    assert single is not None and single.strict
    assert list(objects(single.schema))[1]["required"] == ["a"]
    several = wire_schema(Schema("S", {**root, "properties": {"x": both}}, "2"))
    assert several is not None and not several.strict
