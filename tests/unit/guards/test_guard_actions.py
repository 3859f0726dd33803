"""What guards' actions do to a value."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from guarded import (
    CTX,
    Answer,
    Plain,
    Prose,
    Quote,
    Rows,
    Table,
    answer,
    checked,
    flags,
    no_bad,
    title_is_upper,
)
from pydantic import TypeAdapter

from guardflow.errors import GuardCrashed
from guardflow.guards import Checked, check, guard
from guardflow.guards.report import SHOWN
from guardflow.values import Finding, Path

pytestmark = pytest.mark.anyio


async def test_a_value_without_findings_passes_as_it_is() -> None:
    value = answer()
    result = await checked(value, flags().reject(), flags().drop())
    assert result == Checked(value) and result.value is value and result.action == "pass"


async def test_no_guards_is_a_pass() -> None:
    assert (await checked(answer())).action == "pass"


@pytest.mark.parametrize("action", ["reject", "refuse", "error"])
async def test_a_finding_ends_in_its_action_and_names_its_guard(action: str) -> None:
    result = await checked(answer(), getattr(no_bad, action)())
    assert result.action == action and not result.changed
    assert [(f.guard, f.where(), f.evidence) for f in result.findings] == [
        ("bad_quotes", "$.body.quotes[1]", "bad"),
        ("bad_quotes", "$.body.quotes[3]", "bad"),
    ]


async def test_a_warning_passes_and_is_kept() -> None:
    result = await checked(answer(), no_bad.warn())
    assert result.action == "pass" and result.findings == () and len(result.warnings) == 2


async def test_the_most_severe_action_decides_and_its_findings_come_first() -> None:
    levels = ["error", "refuse", "reject", "fix", "drop", "warn"]

    def use(level: str) -> Any:
        named = guard(name=level)(lambda value: [Finding(level, at=("tags", 0))])
        return named.fix(lambda v, f: v) if level == "fix" else getattr(named, level)()

    for n, level in enumerate(levels[:3]):
        result = await checked(answer(), *[use(name) for name in reversed(levels[n:])])
        assert result.action == level
        assert [f.guard for f in result.findings] == levels[n:5]
        assert [f.guard for f in result.warnings] == ["warn"]


async def test_drop_removes_items_of_nested_lists_at_their_own_indices() -> None:
    result = await checked(answer(), no_bad.drop())
    assert result.action == "pass" and result.changed and result.findings == ()
    assert [q.text for q in result.value.body.quotes] == ["good", "fine"]
    assert [f.where() for f in result.repaired] == ["$.body.quotes[1]", "$.body.quotes[3]"]


@pytest.mark.parametrize(
    ("paths", "change"),
    [
        ([("note",)], {"note": None}),
        ([("tags",)], {"tags": []}),
        ([("grade",)], {"Grade": "C"}),
        ([("Grade",)], {"Grade": "C"}),
        ([("tags", 1), ("tags", 0)], {"tags": []}),
        ([("more",)], {"more": ...}),
        ([("more", 0)], {"more": [2]}),
        (
            [("body", "quotes", 0, "page"), ("body", "quotes", 1)],
            {
                "body": {
                    "kind": "prose",
                    "quotes": [
                        {"text": "good", "page": None},
                        {"text": "fine", "page": None},
                        {"text": "bad", "page": None},
                    ],
                }
            },
        ),
        (
            [("body", "quotes", 0), ("body", "quotes", 0, "page")],
            {
                "body": {
                    "kind": "prose",
                    "quotes": [
                        {"text": "bad", "page": 2},
                        {"text": "fine", "page": None},
                        {"text": "bad", "page": None},
                    ],
                }
            },
        ),
    ],
)
async def test_drop_on_optional_defaulted_extra_and_overlapping_paths(
    paths: list[Path], change: dict[str, Any]
) -> None:
    for order in (paths, paths[::-1]):
        result = await checked(answer(), flags(*order).drop())
        assert result.action == "pass" and result.changed
        expected = answer().model_dump(by_alias=True) | change
        assert result.value.model_dump(by_alias=True) == {k: v for k, v in expected.items() if v is not ...}


async def test_drop_works_in_the_other_branch_of_a_union_and_in_mappings() -> None:
    value = Answer(title="t", body=Table(cells={"a": [1, 2, 3], "b": [4]}))
    result = await checked(value, flags(("body", "cells", "b"), ("body", "cells", "a", 0)).drop())
    assert result.value.body == Table(cells={"a": [2, 3]})


async def test_drop_works_on_root_models_dataclasses_dicts_and_tuples() -> None:
    rows = await checked(Rows([Quote(text="a"), Quote(text="b")]), flags((0,)).drop())
    assert rows.value == Rows([Quote(text="b")])
    rooted = await checked(Rows([Quote(text="a"), Quote(text="b")]), flags(("root", 1)).drop())
    assert rooted.value == Rows([Quote(text="a")])
    paths: list[Path] = [("left",), ("right",), ("rows", 1), ("more",)]
    plain = await checked(Plain("n", [1, 2, 3], 8, 9, [1]), flags(*paths).drop())
    assert plain.value == Plain("n", [1, 3], None, 2, [])
    adapter = TypeAdapter(dict[int, tuple[int, ...]])
    mapped = await check(
        {1: (1, 2), 2: (3,)}, [flags((1, 0), (2,)).drop()], CTX, revalidate=adapter.validate_python
    )
    assert mapped.value == {1: (2,)}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (("title",), "field 'title' is required"),
        ((), "whole value"),
        (("body", "quotes", 0, "text"), "'text' is required"),
    ],
)
async def test_what_cannot_be_dropped_is_a_reject_that_says_why(path: Path, why: str) -> None:
    result = await checked(answer(), flags(path).drop())
    assert result.action == "reject" and not result.changed
    assert result.findings[0].at == path and why in result.findings[0].message
    assert [f.message for f in result.findings[1:]] == ["wrong"]


async def test_a_drop_that_leaves_an_invalid_value_is_a_reject() -> None:
    value = Answer(title="t", body=Prose(quotes=[Quote(text="bad")]))
    result = await checked(value, no_bad.drop())
    assert result.action == "reject" and result.value is value
    assert "at least 1 item" in result.findings[0].message


@pytest.mark.parametrize(
    "path", [("nope",), ("body", "quotes", 9), ("body", "quotes", -1), ("title", 0), ("body", "quotes", "0")]
)
async def test_a_drop_of_what_is_not_there_is_a_crash_but_a_reject_is_not(path: Path) -> None:
    with pytest.raises(GuardCrashed, match=r"'flags'.*stage 'answer'.*wants '\$.*dropped.*indices"):
        await checked(answer(), flags(path).drop())
    assert (await checked(answer(), flags(path).reject())).action == "reject"


async def test_more_findings_than_are_shown_are_all_dropped() -> None:
    value = Answer(title="t", body=Prose(quotes=[Quote(text="good"), *[Quote(text="bad")] * 130]))
    result = await checked(value, no_bad.drop())
    assert result.action == "pass" and len(result.value.body.quotes) == 1
    assert len(result.repaired) == SHOWN + 1


async def test_a_fix_gets_a_copy_and_the_signed_findings_and_its_result_is_used() -> None:
    seen: list[Sequence[Finding]] = []

    def upper(value: Answer, findings: Sequence[Finding]) -> Answer:
        seen.append(findings)
        value.tags.append("mutated")
        return value.model_copy(update={"title": value.title.upper()})

    result = await checked(answer(), title_is_upper.fix(upper))
    assert result.value.title == "T" and result.value.tags == ["a", "b", "mutated"]
    assert seen == [(Finding("not upper case", at=("title",), guard="title_is_upper"),)]


async def test_what_a_fix_made_is_guarded_again_by_all_guards() -> None:
    @guard
    def title_is_short(value: Answer) -> Iterator[Finding]:
        if len(value.title) > 3:
            yield Finding("too long")

    longer = title_is_upper.fix(lambda v, f: v.model_copy(update={"title": "TOO LONG"}))
    result = await checked(answer(), title_is_short.reject(), longer)
    assert result.action == "reject" and result.changed and result.value.title == "TOO LONG"
    assert [f.message for f in result.findings] == ["too long"]
    assert [f.guard for f in result.repaired] == ["title_is_upper"]


async def test_a_fix_that_makes_an_invalid_value_is_a_reject() -> None:
    broken = title_is_upper.fix(lambda v, f: v.model_copy(update={"title": 7}))
    result = await checked(answer(), broken)
    assert result.action == "reject" and result.value == answer()
    assert "the fix of guard 'title_is_upper' leaves an invalid value" in result.findings[0].message
    assert result.findings[0].at == ("title",)
