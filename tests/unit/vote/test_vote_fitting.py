"""Types whose JSON does not have the fields of the type: what is not there is no agreement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, field_serializer, model_serializer
from pydantic.dataclasses import dataclass as pydantic_dataclass
from voting import FAST, cast, take

from guardflow import Vote, exact, majority
from guardflow.flow.codec import Codec
from guardflow.vote import Decided, Undecided


class City(BaseModel):
    name: str
    people: int


class AsText(BaseModel):
    city: str
    people: int

    @model_serializer
    def written(self) -> str:
        return f"{self.city}:{self.people}"


class OtherKeys(BaseModel):
    city: str
    people: int

    @model_serializer
    def written(self) -> dict[str, Any]:
        return {"c": self.city, "p": self.people}


class FieldAsText(BaseModel):
    title: str
    city: City

    @field_serializer("city")
    def written(self, city: City) -> str:
        return city.name


class AnnotatedAsText(BaseModel):
    title: str
    city: Annotated[City, PlainSerializer(lambda city: city.name)]


@pydantic_dataclass(config=ConfigDict(serialize_by_alias=True, validate_by_name=True))
class Aliased:
    city: str = Field(alias="City")


class Holder(BaseModel):
    texts: list[AsText]


BERN, BASEL = City(name="Bern", people=1), City(name="Basel", people=2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (AsText(city="Bern", people=1), AsText(city="Basel", people=1)),
        (OtherKeys(city="Bern", people=1), OtherKeys(city="Basel", people=1)),
        (FieldAsText(title="x", city=BERN), FieldAsText(title="x", city=BASEL)),
        (AnnotatedAsText(title="x", city=BERN), AnnotatedAsText(title="x", city=BASEL)),
        (Aliased(city="Bern"), Aliased(city="Basel")),
        (Holder(texts=[AsText(city="Bern", people=1)]), Holder(texts=[AsText(city="Basel", people=1)])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_ballots_do_not_agree_because_both_lack_the_fields(one: object, other: object) -> None:
    output = type(one)
    dump = Codec(output, owner="the test").dump
    assert not isinstance(take(Vote(FAST), output, cast(dump(one), dump(other))), Decided)
    same = take(Vote(FAST), output, cast(dump(one), dump(one)))
    assert isinstance(same, Decided)
    assert same.value == dump(one)


def test_only_what_lacks_its_fields_votes_as_one() -> None:
    values = [
        {"title": title, "city": city} for title, city in [("a", "Bern"), ("b", "Bern"), ("b", "Basel")]
    ]
    standing = take(Vote(FAST, rule=majority(3)), FieldAsText, cast(*values))
    assert isinstance(standing, Decided)
    assert standing.value == {"title": "b", "city": "Bern"}
    assert set(standing.agreement.fields) == {"$.title", "$.city"}


def test_fields_together_go_on_without_the_one_that_is_not_there() -> None:
    vote = Vote(FAST, whole=("title", "city"))
    values = [{"title": "a", "city": "Bern"}, {"title": "a", "city": "Basel"}]
    assert take(vote, FieldAsText, cast(*values)) == Undecided(2)


def test_a_dataclass_whose_types_cannot_be_looked_up_votes_as_one() -> None:
    @dataclass
    class Inner:
        size: int

    @dataclass
    class Outer:
        inner: Inner

    Outer.__annotations__["inner"] = "Nowhere"
    vote = Vote(FAST)
    assert take(vote, Outer, cast({"inner": {"size": 1}}, {"inner": {"size": 2}})) == Undecided(2)
    assert vote.bind(Outer).shape.units[0].nodes[0].matcher is exact  # type: ignore[union-attr]  # a leaf
