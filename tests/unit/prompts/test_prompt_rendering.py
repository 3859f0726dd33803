"""Rendering: roles, whitespace, strictness, identity of inputs."""

import dataclasses
import subprocess
import sys
from typing import Annotated

import pytest
from pydantic import BaseModel, computed_field

from guardflow.errors import MissingInput, PromptError, TemplateError, UnknownInput, UsageError
from guardflow.prompts import Prompt, inline_prompt, variables_of
from guardflow.values import Message


class Page(BaseModel):
    title: str
    tags: set[str] = set()
    _private: str = "hidden"

    @computed_field
    @property
    def words(self) -> int:
        return len(self.title.split())

    @property
    def broken(self) -> str:
        raise ValueError("no such luck")


def render(text: str, **variables: object) -> list[tuple[str, str]]:
    prompt = inline_prompt(text, list(variables))
    return [(message.role, message.content) for message in prompt.render(variables).messages]


def test_messages_keep_their_order_and_roles() -> None:
    text = """
    {% message "system" %}Rules.{% endmessage %}
    {% message 'user' %}Q{% endmessage %}{% message "assistant" %}A{% endmessage %}
    {% message "user" %}{{ q }}{% endmessage %}
    """
    assert render(text, q="?") == [("system", "Rules."), ("user", "Q"), ("assistant", "A"), ("user", "?")]


def test_a_body_without_messages_is_one_user_message() -> None:
    assert render("\n\nAsk: {{ q }}\n", q=" x ") == [("user", "Ask:  x ")]


def test_messages_may_stand_in_loops_and_conditions() -> None:
    text = """
    {% if rules %}{% message "system" %}{{ rules }}{% endmessage %}{% endif %}
    {% for shot in shots %}
      {% message "user" %}{{ shot.q }}{% endmessage %}
      {% message "assistant" %}{{ shot.a }}{% endmessage %}
    {% else %}
      {% message "user" %}none{% endmessage %}
    {% endfor %}
    """
    shots = [{"q": "1?", "a": "1"}, {"q": "2?", "a": "2"}]
    assert render(text, rules="", shots=shots) == [
        ("user", "1?"), ("assistant", "1"), ("user", "2?"), ("assistant", "2"),
    ]  # fmt: skip
    assert render(text, rules="R", shots=[]) == [("system", "R"), ("user", "none")]


def test_the_templates_own_whitespace_is_cut_at_the_edges_of_a_message_and_nowhere_else() -> None:
    text = '{% message "user" %}\n\n  One\n\n  {{ q }}\n{# note #}\n{% endmessage %}'
    assert render(text, q="\n x \n") == [("user", "One\n\n  \n x \n")]


def test_whitespace_of_data_at_the_edges_is_kept() -> None:
    assert render('{% message "user" %}\n{{ q }}\n{% endmessage %}', q="\n \t") == [("user", "\n \t")]


def test_lines_that_only_hold_a_tag_leave_no_trace() -> None:
    text = "Pages:\n{% for p in pages %}\n- {{ p }}\n{% endfor %}\nEnd."
    assert render(text, pages=["a", "b"]) == [("user", "Pages:\n- a\n- b\nEnd.")]
    assert render(text.replace("{%", "  {%"), pages=["a", "b"]) == [("user", "Pages:\n- a\n- b\nEnd.")]


def test_nothing_is_escaped_for_html() -> None:
    assert render("<b>{{ q }}</b> {{ d | tojson }}", q="a & <b>", d={"k": "<&'"}) == [
        ("user", """<b>a & <b></b> {"k":"<&'"}""")
    ]


def test_tojson_knows_models_and_indents() -> None:
    assert render("{{ p | tojson(indent=2) }}", p=Page(title="a b")) == [
        ("user", '{\n  "title": "a b",\n  "tags": [],\n  "words": 2\n}')
    ]


def test_macros_filters_and_set_blocks_may_shape_plain_text() -> None:
    text = "{% macro m(x) %}[{{ x }}]{% endmacro %}{% set s %}{{ q }}{% endset %}{{ m(s | upper) }}"
    assert render(text, q="a") == [("user", "[A]")]


def test_an_input_may_have_the_name_of_a_builtin() -> None:
    assert render("{{ range }} {{ dict }}", range="last week", dict="Oxford") == [
        ("user", "last week Oxford")
    ]
    assert render("{% for i in range(n) %}{{ i }}{% endfor %}", n=3) == [("user", "012")]


def test_sets_come_in_sorted_order() -> None:
    tags = {f"tag{n:02}" for n in range(20)}
    expected = ",".join(sorted(tags))
    assert render("{{ t | join(',') }}", t=tags) == [("user", expected)]
    assert render(
        "{% for p in ps %}{{ p.tags | join(',') }}{% endfor %}", ps=[Page(title="", tags=tags)]
    ) == [("user", expected)]


@pytest.mark.parametrize("expression", ["p.nope", "p.title.nope", "p['nope']", "ps[3]", "p.nope.deeper"])
def test_what_is_undefined_is_an_error_with_its_line(expression: str) -> None:
    prompt = inline_prompt(
        f"{{% if ps %}}\n{{{{ p.title }}}}\n{{{{ {expression} }}}}{{% endif %}}", ["p", "ps"]
    )
    with pytest.raises(TemplateError, match=r"^prompt 'inline':3: "):
        prompt.render({"p": Page(title="t"), "ps": [1]})


def test_a_condition_on_an_undefined_attribute_is_an_error_too() -> None:
    with pytest.raises(TemplateError, match="titel"):
        render("{% if p.titel %}x{% endif %}", p=Page(title="t"))


def test_what_an_input_raises_becomes_a_template_error_with_its_cause() -> None:
    with pytest.raises(TemplateError, match="prompt 'inline':1: no such luck") as caught:
        render("{{ p.broken }}", p=Page(title="t"))
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    "expression",
    ["p.__class__.__mro__", "p._private", "tags.append('x')", "''.__class__", "p.title.__init__.__globals__"],
)
def test_the_sandbox_refuses_internals_and_changes(expression: str) -> None:
    tags = ["a"]
    with pytest.raises(TemplateError):
        render(f"{{{{ {expression} }}}}{{{{ (p, tags) and '' }}}}", p=Page(title="t"), tags=tags)
    assert tags == ["a"]


def test_a_render_that_gives_no_message_is_an_error() -> None:
    with pytest.raises(TemplateError, match="no message came out"):
        render('{% if a %}{% message "user" %}x{% endmessage %}{% endif %}', a=False)


def test_a_missing_input_is_named_and_others_are_ignored() -> None:
    prompt = inline_prompt("{{ question }}", ["question"], name="qa/answer")
    assert prompt.render({"question": "q", "other": 1}).messages == (Message("user", "q"),)
    with pytest.raises(
        MissingInput, match=r"'qa/answer' needs the input 'question'.*did you mean 'questions'"
    ):
        prompt.render({"questions": "q"})


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="is not a share"):
        inline_prompt("{{ a }}", ["a"]).render({"a": ""}, shrink=share)


def test_an_unknown_variant_is_refused() -> None:
    prompt = inline_prompt("{{ a }}", ["a"])
    for use in (lambda: prompt.render({"a": ""}, variant="x"), lambda: prompt.hash("x")):
        with pytest.raises(PromptError, match="'inline' has no variant 'x'"):
            use()


def test_without_fences_canonical_and_sent_are_the_same() -> None:
    rendered = inline_prompt("{{ a }}", ["a"]).render({"a": "x"})
    assert rendered.canonical == rendered.messages
    assert rendered.prompt_hash == inline_prompt("{{ a }}", ["a"]).hash()


def test_a_prompt_is_frozen_and_hides_the_secret() -> None:
    prompt = inline_prompt("{{ a }}", ["a"], secret=b"hunter2")
    assert "hunter2" not in repr(prompt)
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.name = "other"  # type: ignore[misc]


def test_an_inline_prompt_is_prepared_once() -> None:
    assert inline_prompt("{{ a }}", ["a"]) is inline_prompt("{{ a }}", ["a"])
    assert inline_prompt("{{ a }}", ["a"]) is not inline_prompt("{{ a }}", ["a"], secret=b"other")


def test_variables_of_a_model_are_its_fields_as_they_are() -> None:
    page = Page(title="a b", tags={"x"})
    variables = variables_of(page)
    assert variables == {"title": "a b", "tags": {"x"}, "words": 2}
    assert variables["tags"] is page.tags


def test_variables_of_anything_else_is_the_input() -> None:
    pages = [Page(title="a")]
    assert variables_of(pages) == {"input": pages}
    assert variables_of("text") == {"input": "text"}


class Other(BaseModel):
    title: str


def declaring(*names: str) -> Prompt:
    return inline_prompt("".join(f"{{{{ {name} }}}}" for name in names), names, name="p")


@pytest.mark.parametrize(
    ("names", "input_type"),
    [
        (("title", "tags", "words"), Page),
        (("title",), Annotated[Page, "note"]),
        (("title",), Page | Other),
        (("input",), str),
        (("input",), list[Page]),
        (("input",), dict),
        ((), int),
    ],
)
def test_inputs_that_the_type_has_pass_the_check(names: tuple[str, ...], input_type: object) -> None:
    declaring(*names).check(input_type)


@pytest.mark.parametrize(
    ("name", "input_type", "says"),
    [
        (
            "titel",
            Page,
            r"'p' declares the input 'titel', but 'Page' has no such field: did you mean 'title'",
        ),
        ("tags", Page | Other, "has no such field"),
        ("broken", Page, "has no such field"),
        ("title", str, r"'str' is not a pydantic model: use one of 'input'"),
        ("input", Page, "has no such field"),
    ],
)
def test_inputs_that_the_type_lacks_fail_the_check(name: str, input_type: object, says: str) -> None:
    with pytest.raises(UnknownInput, match=says):
        declaring(name).check(input_type)


def test_hash_and_canonical_form_are_equal_in_every_process() -> None:
    code = (
        "from guardflow.prompts import inline_prompt\n"
        "p = inline_prompt('{{ a | fenced }} {{ b | join }} {{ a | tojson }}', ['b', 'a'])\n"
        "r = p.render({'a': {'x', 'y', 'z', 'w'}, 'b': {'x', 'y', 'z', 'w'}})\n"
        "print(r.messages, r.canonical, r.prompt_hash)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1
