"""Loading prompt files: every mistake is found before anything is spent, with its file and line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from guardflow.errors import PromptError, TemplateError, UnknownInput
from guardflow.prompts import Prompt, PromptLibrary, inline_prompt

Write = Callable[..., Path]


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "prompts"


@pytest.fixture
def load(prompts: Path) -> Callable[..., Prompt]:
    """Writes ``qa/answer.md`` (and other files by path), and loads it."""

    def write_and_load(text: str, **others: str) -> Prompt:
        write(prompts / "qa/answer.md", text)
        for path, content in others.items():
            write(prompts / path, content)
        return PromptLibrary([prompts], secret=b"s").load("qa/answer")

    return write_and_load


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


FULL = """---
description: answers from pages
inputs: [question, pages]
trim: [pages]
model: fast
params: {temperature: 0.2, max_tokens: 800}
variants:
  strict: {file: answer.strict.md}
  terse: {body: "{{ question }}? Briefly."}
---
{% message "system" %}You answer only from the pages.{% endmessage %}
{% message "user" %}{{ question }}
{% for p in pages %}{{ p | fenced }}{% endfor %}{% endmessage %}
"""
STRICT = "---\ndescription: no guessing\n---\nDo not guess: {{ question }} {{ pages | fenced }}\n"


def test_a_file_gives_everything_it_declares(load: Callable[..., Prompt], prompts: Path) -> None:
    prompt = load(FULL, **{"qa/answer.strict.md": STRICT})
    assert (prompt.name, prompt.description, prompt.model) == ("qa/answer", "answers from pages", "fast")
    assert (prompt.inputs, prompt.trim) == (("question", "pages"), ("pages",))
    assert (prompt.temperature, prompt.max_tokens) == (0.2, 800)
    assert prompt.variants == ("strict", "terse")
    assert prompt.path == prompts / "qa/answer.md"


def test_every_variant_renders_its_own_body(load: Callable[..., Prompt]) -> None:
    prompt = load(FULL, **{"qa/answer.strict.md": STRICT})
    values = {"question": "Why", "pages": ["p"]}
    assert [m.role for m in prompt.render(values).messages] == ["system", "user"]
    (terse,) = prompt.render(values, variant="terse").messages
    assert terse.content == "Why? Briefly."
    (strict,) = prompt.render(values, variant="strict").canonical
    assert strict.content == 'Do not guess: Why <data-5>\n["p"]\n</data-5>'


def test_the_smallest_file_needs_only_its_front_matter(load: Callable[..., Prompt]) -> None:
    prompt = load("---\n---\nSay hello.")
    assert (prompt.inputs, prompt.description, prompt.model, prompt.temperature) == ((), "", None, None)
    assert prompt.render({}).messages[0].content == "Say hello."


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(
    load: Callable[..., Prompt], prompts: Path
) -> None:
    text = "---\ninputs: [a]\n---\nOne\n{{ a }}\n"
    plain = load(text)
    write(prompts / "qa/answer.md", b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    windows = PromptLibrary([prompts]).load("qa/answer")
    assert windows.hash() == plain.hash()
    assert windows.render({"a": "x\r\ny"}).messages[0].content == "One\nx\r\ny"


HEAD = "---\ninputs: [question]\n---\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("Hello", 1, "begins with its front matter"),
        ("---\ninputs: []\nHello", 1, "the front matter has no end"),
        ("---\ninputs: [a\n---\nx", 2, "bad YAML"),
        ("---\na: b: c\n---\nx", 2, "bad YAML"),
        ("---\nwhen: 2020-99-99\n---\nx", 1, "bad YAML"),
        ("---\nx: !!python/object/apply:os.getcwd []\n---\nx", 2, "bad YAML"),
        ("---\n- a\n---\nx", 2, "not a mapping"),
        ("---\ndescription: x\ninput: [a]\n---\n{{ a }}", 3, "no key 'input': did you mean 'inputs'"),
        (
            "---\nparams:\n  temprature: 1\n---\nx",
            3,
            "no key 'params.temprature': did you mean 'temperature'",
        ),
        (
            "---\nparams: {top_p: 1}\n---\nx",
            2,
            "no key 'params.top_p': use one of 'max_tokens', 'temperature'",
        ),
        ("---\nparams: {temperature: hot}\n---\nx", 2, "'params.temperature': .* got 'hot'"),
        ("---\nparams: {temperature: 3}\n---\nx", 2, "less than or equal to 2"),
        ("---\nparams: {temperature: .nan}\n---\nx", 2, "finite"),
        ("---\nparams: {max_tokens: 0}\n---\nx", 2, "greater than or equal to 1"),
        ("---\nparams: {max_tokens: 1.5}\n---\nx", 2, "valid integer"),
        ("---\ninputs: question\n---\n{{ question }}", 2, "'inputs': .*list"),
        ("---\ninputs:\n  - a\n  - yes\n---\n{{ a }}", 4, "'inputs.1': .*string"),
        ("---\ninputs:\n  - a\n  - a\n---\n{{ a }}", 4, "inputs names 'a' twice"),
        ("---\ninputs: [a-b]\n---\nx", 2, "'a-b' cannot be the name of an input"),
        ("---\ninputs: [loop]\n---\n{{ loop }}", 2, "'loop' cannot be the name"),
        ("---\ninputs: [a]\ninputs: [a]\n---\n{{ a }}", 3, "'inputs' is there twice"),
        ("---\nparams:\n  max_tokens: 1\n  max_tokens: 2\n---\nx", 4, "'max_tokens' is there twice"),
        (
            "---\ninputs: [pages]\ntrim: [page]\n---\n{{ pages }}",
            3,
            "trim names 'page', .*did you mean 'pages'",
        ),
        ("---\nvariants: {a: {}}\n---\nx", 2, "variant 'a' needs a file or a body"),
        ("---\nvariants: {a: {file: b.md, body: c}}\n---\nx", 2, "and not both"),
        ("---\nvariants:\n  a: {fil: b.md}\n---\nx", 3, "no key 'variants.a.fil': did you mean 'file'"),
        ("---\nvariants:\n  a: {file: ../b.md}\n---\nx", 3, "is not beside the prompt"),
        ("---\nvariants:\n  a: {file: nope.md}\n---\nx", 3, "there is no file 'qa/nope.md'"),
        ("---\nmodel: ''\n---\nx", 2, "'model': .*at least 1 character"),
        (HEAD + "\n{{ question }", 5, "unexpected '}'"),
        (HEAD + "\n{{ question }}\n{% if %}", 6, "Expected an expression"),
        (HEAD + "{% message 'user' %}{{ question }}", 4, "endmessage"),
        (HEAD + "{% message %}{{ question }}{% endmessage %}", 4, "needs a literal role"),
        (HEAD + "{% message question %}{% endmessage %}", 4, "needs a literal role"),
        (HEAD + "{% message 'tool' %}{{ question }}{% endmessage %}", 4, "no message has the role 'tool'"),
        (HEAD + "{% message 'sytem' %}{{ question }}{% endmessage %}", 4, "did you mean 'system'"),
        (
            HEAD + "\n{% message 'user' %}{{ question }}{% endmessage %}\n\n\nmore",
            8,
            "text outside of any message",
        ),
        (HEAD + "\n{% message 'user' %}{% endmessage %}{{ question }}", 5, "text outside of any message"),
        (HEAD + "{% if question %}\nx{% message 'user' %}{% endmessage %}{% endif %}", 5, "text outside"),
        (
            HEAD + "{% message 'user' %}\n{% message 'user' %}{{ question }}{% endmessage %}{% endmessage %}",
            5,
            "inside",
        ),
        (HEAD + "{% set x %}{% message 'user' %}{{ question }}{% endmessage %}{% endset %}", 4, "captured"),
        (
            HEAD + "{% macro m() %}{% message 'user' %}{{ question }}{% endmessage %}{% endmacro %}",
            4,
            "captured",
        ),
        (
            HEAD + "{% filter upper %}{% endfilter %}{% message 'user' %}{{ question }}{% endmessage %}",
            4,
            "text outside",
        ),
        (HEAD + "{% extends 'a.md' %}{{ question }}", 4, "'extends' is not part of prompt files"),
        (HEAD + "{% import 'a.md' as a %}{{ question }}", 4, "'import' is not part"),
        (HEAD + "{% from 'a.md' import a %}{{ question }}", 4, "'from' is not part"),
        (HEAD + "{% block a %}{{ question }}{% endblock %}", 4, "'block' is not part"),
        (HEAD + "{% autoescape true %}{{ question }}{% endautoescape %}", 4, "'autoescape' is not part"),
        (HEAD + "{% do question %}", 4, "unknown tag 'do'"),
        (HEAD + "{{ self }}{{ question }}", 4, "'self' means nothing"),
        (
            HEAD + "\n{% if 0 %}{{ question | uper }}{% endif %}",
            5,
            "no filter named 'uper': did you mean 'upper'",
        ),
        (HEAD + "{{ question | fence }}", 4, "no filter named 'fence': did you mean 'fenced'"),
        (HEAD + "{{ question | safe }}", 4, "no filter named 'safe'"),
        (HEAD + "{{ question | random }}", 4, "no filter named 'random'"),
        (HEAD + "{{ question is sting }}", 4, "no test named 'sting': did you mean 'string'"),
        (HEAD + "{% include question %}", 4, "must name its file literally"),
        (HEAD + "{% include 'a.md' ignore missing %}{{ question }}", 4, "cannot be optional"),
        (
            HEAD + "{{ question }}\n{% include '../../secret.md' %}",
            5,
            "is not a path below the prompt folders",
        ),
        (HEAD + "{{ question }}\n{% include '/etc/passwd' %}", 5, "is not a path below the prompt folders"),
        (HEAD + "{{ question }}\n{% include 'partials/nope.md' %}", 5, "there is no file 'partials/nope.md'"),
        (HEAD + "{{ question }}\n\n{{ qestion }}", 6, "'qestion' is used but not declared"),
        (HEAD + "{{ question }}{% if 0 %}\n{{ other.x }}{% endif %}", 5, "'other' is used but not declared"),
        (
            "---\ninputs:\n  - question\n  - pages\n---\n{{ question }}",
            4,
            "'pages' is declared but never used",
        ),
        ("---\ninputs: [questoin]\n---\n{{ question }}", 4, "did you mean 'questoin'"),
    ],
)
def test_a_mistake_is_reported_where_it_is(
    load: Callable[..., Prompt], text: str, line: int, says: str
) -> None:
    with pytest.raises(PromptError, match=says) as caught:
        load(text)
    assert str(caught.value).startswith(f"prompts/qa/answer.md:{line}: ")


def test_template_mistakes_and_variable_mistakes_have_their_own_classes(load: Callable[..., Prompt]) -> None:
    with pytest.raises(TemplateError):
        load(HEAD + "{{ question")
    with pytest.raises(UnknownInput):
        load(HEAD + "{{ question }}{{ x }}")
    with pytest.raises(UnknownInput):
        load(HEAD + "x")


def test_a_file_that_is_not_utf8_is_refused_with_its_line(prompts: Path) -> None:
    write(prompts / "a.md", b"---\n---\nfine\ncaf\xe9\n")
    with pytest.raises(PromptError, match=r"prompts/a.md:4: not UTF-8 \(byte 0xe9\)"):
        PromptLibrary([prompts]).load("a")


def test_a_mistake_in_a_variant_is_reported_in_its_file(load: Callable[..., Prompt]) -> None:
    head = "---\ninputs: [a]\nvariants: {v: {file: answer.v.md}}\n---\n{{ a }}"
    for variant, says in [
        ("---\ndescription: x\n---\n\n{{ b }}", r"prompts/qa/answer.v.md:5: 'b' is used but not declared"),
        ("\n{{ b }}", r"prompts/qa/answer.v.md:2: 'b' is used but not declared"),
        ("---\ninputs: [a]\n---\n{{ a }}", r"prompts/qa/answer.v.md:2: front matter has no key 'inputs'"),
        ("{{ a", r"prompts/qa/answer.v.md:1: "),
    ]:
        with pytest.raises(PromptError, match=says):
            load(head, **{"qa/answer.v.md": variant})


def test_a_mistake_in_an_inline_variant_is_reported_at_its_line(load: Callable[..., Prompt]) -> None:
    with pytest.raises(PromptError, match=r"prompts/qa/answer.md:6: 'b' is used"):
        load("---\ninputs: [a]\nvariants:\n  v:\n    body: |\n      {{ b }}\n---\n{{ a }}")
    with pytest.raises(PromptError, match=r"prompts/qa/answer.md:4: 'b' is used"):
        load("---\ninputs: [a]\nvariants:\n  v: {body: '{{ b }}'}\n---\n{{ a }}")


def test_an_input_that_only_a_variant_uses_counts_as_used(load: Callable[..., Prompt]) -> None:
    prompt = load("---\ninputs: [a]\nvariants: {v: {body: '{{ a }}'}}\n---\nHello")
    assert prompt.render({"a": "x"}, variant="v").messages[0].content == "x"


def test_includes_share_text_and_see_the_variables(load: Callable[..., Prompt]) -> None:
    prompt = load(
        HEAD + '{% message "system" %}A {% include "partials/rules.md" %} Z{% endmessage %}',
        **{
            "partials/rules.md": "R({% include 'partials/deep.md' %})\n",
            "partials/deep.md": "{{ question | fenced }}",
        },
    )
    assert prompt.render({"question": "q"}).canonical[0].content == "A R(<data-1>\nq\n</data-1>) Z"


def test_a_file_may_be_included_twice(load: Callable[..., Prompt]) -> None:
    body = HEAD + "{{ question }}" + "{% include 'partials/p.md' %}" * 2
    assert load(body, **{"partials/p.md": "!"}).render({"question": "q"}).messages[0].content == "q!!"


def test_an_include_may_hold_whole_messages(load: Callable[..., Prompt]) -> None:
    prompt = load(
        HEAD + '{% include "partials/system.md" %}\n{% message "user" %}{{ question }}{% endmessage %}',
        **{"partials/system.md": '{% message "system" %}Rules.{% endmessage %}\n'},
    )
    assert [m.role for m in prompt.render({"question": "q"}).messages] == ["system", "user"]


def test_what_an_include_sets_stays_in_it(load: Callable[..., Prompt]) -> None:
    with pytest.raises(UnknownInput, match="'x' is used but not declared"):
        load(
            HEAD + "{% include 'partials/p.md' %}{{ x }}{{ question }}",
            **{"partials/p.md": "{% set x = 1 %}"},
        )


@pytest.mark.parametrize(
    ("partial", "line", "says"),
    [
        ("\n{{ other }}", 2, "'other' is used but not declared"),
        ("\n\n{{ other", 3, "unexpected end of template"),
        ("x\n{{ 1 | nope }}", 2, "no filter named 'nope'"),
        ("{% message 'user' %}{% endmessage %}", 1, "a message inside a message"),
        ("a\n{% include 'partials/p.md' %}", 2, "'partials/p.md' includes itself"),
    ],
)
def test_a_mistake_in_an_include_is_reported_in_its_file(
    load: Callable[..., Prompt], partial: str, line: int, says: str
) -> None:
    body = HEAD + "\n{% message 'user' %}{{ question }}{% include 'partials/p.md' %}{% endmessage %}"
    with pytest.raises(PromptError, match=says) as caught:
        load(body, **{"partials/p.md": partial})
    assert str(caught.value).startswith(f"prompts/partials/p.md:{line}: ")


def test_a_failure_at_render_is_reported_in_the_include_it_happened_in(load: Callable[..., Prompt]) -> None:
    body = HEAD + "\n{{ question }}{% include 'partials/p.md' %}\n{{ question.b }}"
    prompt = load(body, **{"partials/p.md": "x\n{% if question %}\n{{ question.a }}{% endif %}"})
    with pytest.raises(TemplateError, match=r"^prompts/partials/p.md:3: .*no attribute 'a'"):
        prompt.render({"question": "q"})
    with pytest.raises(TemplateError, match=r"^prompts/qa/answer.md:6: .*no attribute 'b'"):
        prompt.render({"question": ""})


def test_an_inline_prompt_has_no_includes() -> None:
    with pytest.raises(TemplateError, match="prompt 'inline':1: an inline prompt cannot include 'a.md'"):
        inline_prompt("{% include 'a.md' %}", [])


def test_an_inline_prompt_is_checked_like_a_file() -> None:
    with pytest.raises(UnknownInput, match="prompt 'judge':2: 'b' is used but not declared"):
        inline_prompt("{{ a }}\n{{ b }}", ["a"], name="judge")
    with pytest.raises(UnknownInput, match="the input 'b' is declared but never used"):
        inline_prompt("{{ a }}", ["a", "b"])


BASE = "---\ndescription: d\ninputs: [a, b]\ntrim: [a]\nmodel: fast\nparams: {temperature: 0.5}\n"
BODY = "---\n{{ a }} {{ b }} {% include 'partials/p.md' %}"
VARIANTS = "variants: {v: {body: '{{ a }}'}}\n"


@pytest.mark.parametrize(
    "changed",
    [
        (BASE.replace("trim: [a]", "trim: [a, b]") + BODY, "p"),
        (BASE.replace("fast", "strong") + BODY, "p"),
        (BASE.replace("0.5", "0.6") + BODY, "p"),
        (BASE.replace("{temperature: 0.5}", "{temperature: 0.5, max_tokens: 5}") + BODY, "p"),
        (BASE + BODY.replace("{{ a }} {{", "{{ a }}  {{"), "p"),
        (BASE + BODY + "\n", "p"),
        (BASE + BODY, "p "),
    ],
)
def test_the_hash_changes_with_all_that_matters(
    load: Callable[..., Prompt], changed: tuple[str, str]
) -> None:
    before = load(BASE + BODY, **{"partials/p.md": "p"}).hash()
    assert load(changed[0], **{"partials/p.md": changed[1]}).hash() != before


@pytest.mark.parametrize(
    "changed",
    [
        BASE.replace("description: d", "description: other") + BODY,
        BASE.replace("[a, b]", "[b, a]") + BODY,
        BASE + "# a comment\n" + BODY,
        BASE + VARIANTS + BODY,
    ],
)
def test_the_hash_stays_with_all_that_does_not_matter(load: Callable[..., Prompt], changed: str) -> None:
    before = load(BASE + BODY, **{"partials/p.md": "p"}).hash()
    assert load(changed, **{"partials/p.md": "p"}).hash() == before


def test_every_variant_has_its_own_hash(load: Callable[..., Prompt]) -> None:
    prompt = load(BASE + VARIANTS + BODY, **{"partials/p.md": "p"})
    assert prompt.hash("v") != prompt.hash()
    changed = load(BASE + VARIANTS + BODY, **{"partials/p.md": "other"})
    assert (changed.hash("v") == prompt.hash("v"), changed.hash() == prompt.hash()) == (True, False)


def test_the_hash_does_not_depend_on_the_folder_or_the_secret(tmp_path: Path) -> None:
    hashes = set[str]()
    for folder in ("one", "two"):
        write(tmp_path / folder / "a.md", "---\n---\nHi {% include 'partials/p.md' %}")
        write(tmp_path / folder / "partials/p.md", "there")
        hashes.add(PromptLibrary([tmp_path / folder], secret=folder.encode()).load("a").hash())
    assert len(hashes) == 1
