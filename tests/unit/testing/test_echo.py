"""Instances of schemas: what they are made from, they fit, whatever the seed."""

import datetime
import re
import uuid
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import Annotated, Any, Literal, Union

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, ValidationError

from guardflow.errors import UsageError
from guardflow.testing.echo import broken_instance, instance
from guardflow.testing.pattern import matching

SEEDS = st.integers(0, 2**64 - 1)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["leaf"]
    value: Annotated[float, Field(gt=0, lt=1)]


class Node(BaseModel):
    kind: Literal["node"]
    children: list[Annotated[Union["Node", Leaf], Field(discriminator="kind")]] = Field(max_length=3)


class Everything(BaseModel):
    text: str
    short: Annotated[str, Field(min_length=2, max_length=5)]
    long: Annotated[str, Field(min_length=100)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{3,5}$")]
    either: Annotated[str, Field(pattern=r"^(foo|ba[rz])+\s?$")]
    small: Annotated[int, Field(ge=-3, le=3)]
    negative: Annotated[int, Field(lt=0)]
    even: Annotated[int, Field(multiple_of=2, gt=10)]
    ratio: Annotated[float, Field(ge=0.25, le=0.75)]
    money: Decimal
    flag: bool
    nothing: None
    colour: Colour
    level: Literal[1, 2, "three"]
    maybe: int | None = None
    day: datetime.date
    moment: datetime.datetime
    time: datetime.time
    span: datetime.timedelta
    id: uuid.UUID
    url: AnyUrl
    four: IPv4Address
    six: IPv6Address
    pair: tuple[int, str]
    numbers: Annotated[list[int], Field(min_length=3, max_length=4)]
    words: Annotated[set[Colour], Field(min_length=2)]
    table: dict[str, int]
    enough: Annotated[dict[str, Leaf], Field(min_length=2)]
    tree: Node
    anything: Any


@given(SEEDS)
@settings(max_examples=150, deadline=None)
def test_an_instance_of_every_kind_of_field_is_valid(seed: int) -> None:
    Everything.model_validate(instance(Everything.model_json_schema(), seed))


@given(SEEDS)
@settings(max_examples=150, deadline=None)
def test_a_broken_instance_is_never_valid(seed: int) -> None:
    for model in (Everything, Leaf, Node):
        with pytest.raises(ValidationError):
            model.model_validate(broken_instance(model.model_json_schema(), seed))


SCALARS = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(
        lambda a, b: {"type": "integer", "minimum": min(a, b), "maximum": max(a, b)},
        st.integers(),
        st.integers(),
    ),
    st.builds(
        lambda a, n: {"type": "string", "minLength": a, "maxLength": a + n},
        st.integers(0, 30),
        st.integers(0, 9),
    ),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(), min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, st.none() | st.integers() | st.text()),
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda s, a: {"type": "array", "items": s, "minItems": a}, inner, st.integers(0, 3)),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda fields, some: {"type": "object", "properties": fields, "required": [*fields][:some]},
            st.dictionaries(st.text(max_size=5), inner, max_size=3),
            st.integers(0, 3),
        ),
        st.builds(lambda s: {"type": "object", "additionalProperties": s, "minProperties": 2}, inner),
        st.builds(lambda s: {"allOf": [s]}, inner),
    ),
    max_leaves=6,
)


@given(SCHEMAS, SEEDS)
@settings(max_examples=200, deadline=None)
def test_an_instance_of_any_schema_fits_it(schema: dict[str, Any], seed: int) -> None:
    jsonschema.validate(instance(schema, seed), schema)


def test_equal_seeds_make_equal_values_and_others_differ() -> None:
    schema = Everything.model_json_schema()
    assert instance(schema, 1) == instance(schema, 1)
    assert len({str(instance(schema, seed)) for seed in range(20)}) == 20


def test_optional_fields_are_filled_until_it_gets_deep() -> None:
    class Chain(BaseModel):
        next: "Chain | None" = None

    value, depth = (
        instance({"$ref": "#/$defs/C", "$defs": {"C": {"properties": {"n": {"$ref": "#/$defs/C"}}}}}, 1),
        0,
    )
    while isinstance(value, dict) and value:
        value, depth = value["n"], depth + 1
    assert 1 <= depth < 10
    Chain.model_validate(instance(Chain.model_json_schema(), 1))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no integer fits"),
        ({"type": "string", "pattern": "a(?!a)a"}, "no text for the pattern"),
        ({"type": "string", "pattern": "("}, "no regular expression"),
        ({"type": "array", "items": {"const": 1}, "minItems": 2, "uniqueItems": True}, "different items"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "refers to itself"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no finite instance"),
    ],
)
def test_a_schema_without_an_instance_says_so(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        instance(schema, 1)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}$", r"[^a-z ]+", r"^(ab|cd)?e*$", r"(?i)^hello\b.*", r"^(\w)\1$", r"^\S+@\S+\.\w{2,}$",
        r"^a{2,3}?$", r"^(?=.*\d)[a-z\d]{3}$", r"^[\s\-_]\W\D$", "",
    ],
)  # fmt: skip
@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_text_matches_its_pattern(pattern: str, seed: int) -> None:
    assert re.search(pattern, matching(pattern, Random(seed)))


@given(seed=SEEDS)
@settings(max_examples=30)
def test_a_text_keeps_to_its_length(seed: int) -> None:
    text = matching("^[a-c]+$", Random(seed), low=3, high=6)
    assert 3 <= len(text) <= 6
