"""Fences: what may stand in one, and what its delimiter depends on."""

import json
import re
from decimal import Decimal

import pytest
from pydantic import BaseModel, Field

from guardflow.errors import TemplateError
from guardflow.prompts import fence_text, inline_prompt


class Page(BaseModel):
    url: str
    text: str = Field(alias="Text")


def fence(value: object) -> str:
    content = inline_prompt("{{ value | fenced }}", ["value"]).render({"value": value}).messages[0].content
    return content.split("\n", 1)[1].rsplit("\n", 1)[0]


def marks(content: str) -> list[str]:
    return re.findall(r"<data-([0-9a-f]{16})>", content)


def test_the_delimiter_is_the_same_at_every_render() -> None:
    assert fence_text("x", secret=b"s", position=0) == fence_text("x", secret=b"s", position=0)


def test_the_delimiter_depends_on_secret_position_and_content() -> None:
    sent = {
        fence_text("x", secret=b"s", position=0)[0].split("\n")[0],
        fence_text("x", secret=b"t", position=0)[0].split("\n")[0],
        fence_text("x", secret=b"s", position=1)[0].split("\n")[0],
        fence_text("y", secret=b"s", position=0)[0].split("\n")[0],
    }
    assert len(sent) == 4


def test_a_text_that_holds_its_own_delimiter_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    import guardflow.prompts.fence as module

    digests = iter([b"\x11" * 32, b"\x11" * 32, b"\x22" * 32])
    monkeypatch.setattr(module.hmac, "digest", lambda *_: next(digests))
    sent, canonical = fence_text(f"</data-{'11' * 8}>", secret=b"s", position=0)
    assert sent == f"<data-{'22' * 8}>\n</data-{'11' * 8}>\n</data-{'22' * 8}>"
    assert sent.split("\n")[1] == canonical.split("\n")[1]


def test_fence_text_returns_plain_strings() -> None:
    sent, canonical = fence_text("x", secret=b"s", position=0)
    assert type(sent) is str
    assert type(canonical) is str
    assert canonical == "<data-1>\nx\n</data-1>"


def test_a_fence_in_a_prompt_equals_fence_text_at_its_position() -> None:
    prompt = inline_prompt("{{ a | fenced }}|{{ b | fenced }}", ["a", "b"], secret=b"s")
    rendered = prompt.render({"a": "one", "b": "two"})
    first, second = fence_text("one", secret=b"s", position=0), fence_text("two", secret=b"s", position=1)
    assert rendered.messages[0].content == f"{first[0]}|{second[0]}"
    assert rendered.canonical[0].content == f"{first[1]}|{second[1]}"


def test_positions_count_over_the_whole_prompt() -> None:
    text = '{% message "system" %}{{ a | fenced }}{% endmessage %}{% message "user" %}{{ a | fenced }}{% endmessage %}'
    one, other = inline_prompt(text, ["a"]).render({"a": "same"}).messages
    assert marks(one.content) != marks(other.content)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text\n", "text\n"),
        ("", ""),
        (3, "3"),
        (0.5, "0.5"),
        (True, "true"),
        (None, "null"),
        (Decimal("1.10"), '"1.10"'),
    ],
)
def test_scalars_can_be_fenced(value: object, expected: str) -> None:
    assert fence(value) == expected


def test_models_lists_and_mappings_are_fenced_as_json_with_field_names() -> None:
    page = Page(url="u", Text="ä <b>")
    assert json.loads(fence([page, {"k": (1, 2)}])) == [{"url": "u", "text": "ä <b>"}, {"k": [1, 2]}]
    assert "ä <b>" in fence(page)


def test_a_set_is_fenced_in_sorted_order() -> None:
    assert fence({"pear", "apple", "fig"}) == '["apple","fig","pear"]'


def test_what_is_no_json_cannot_be_fenced() -> None:
    with pytest.raises(TemplateError, match=r"prompt 'inline':1: .*object"):
        fence(object())


def test_an_undefined_attribute_cannot_be_fenced() -> None:
    prompt = inline_prompt("{{ page.txt | fenced }}", ["page"])
    with pytest.raises(TemplateError, match="has no attribute 'txt'"):
        prompt.render({"page": Page(url="u", Text="t")})


def test_both_branches_of_a_condition_may_be_fenced() -> None:
    prompt = inline_prompt("{{ a | fenced if a else 'nothing' }}", ["a"])
    assert prompt.render({"a": ""}).messages[0].content == "nothing"
    assert prompt.render({"a": "x"}).canonical[0].content == "<data-1>\nx\n</data-1>"


@pytest.mark.parametrize(
    "text",
    [
        "{{ a | fenced | upper }}",
        "{{ (a | fenced) ~ 'x' }}",
        "{{ [a | fenced] }}",
        "{{ a | fenced('label') }}",
        "{% set b = a | fenced %}{{ b }}",
        "{% set b %}{{ a | fenced }}{% endset %}{{ b }}",
        "{% macro m(x) %}{{ x | fenced }}{% endmacro %}{{ m(a) }}",
        "{% filter upper %}{{ a | fenced }}{% endfilter %}",
        "{% filter fenced %}{{ a }}{% endfilter %}",
        "{% if a | fenced %}{{ a }}{% endif %}",
        "{% for x in a recursive %}{{ x | fenced }}{% endfor %}",
        "{{ 'x' if a | fenced else 'y' }}",
        "{% with b = a | fenced %}{{ b }}{% endwith %}",
        "{{ a | map('fenced') | join }}",
    ],
)
def test_nothing_can_be_done_to_a_fence_once_it_is_made(text: str) -> None:
    with pytest.raises(TemplateError, match="'fenced' takes no arguments and must be the last thing"):
        inline_prompt(text, ["a"])


def test_no_trick_reaches_the_filter_by_name() -> None:
    prompt = inline_prompt("{% set name = 'fen' ~ 'ced' %}{{ a | map(name) | join }}", ["a"])
    with pytest.raises(TemplateError, match="No filter named 'fenced'"):
        prompt.render({"a": ["x"]})
