"""The other guards of the kit: numbers, links, lengths, patterns, secrets."""

import re
import subprocess
import sys
import time
from decimal import Decimal
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, HttpUrl

from guardflow.errors import StageError
from guardflow.guards import Guard, GuardContext, check
from guardflow.guards.kit import (
    find_links,
    find_secrets,
    length,
    must_match,
    must_not_match,
    no_secrets,
    numbers_from,
    redact,
    urls_allowed,
)
from guardflow.guards.kit.numerals import numerals
from guardflow.guards.paths import select, texts
from guardflow.values import Finding


def found(guard: Guard[object, object], value: object, given: object = None) -> list[Finding]:
    return list(guard(value, GuardContext(given)))


# --- numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("1,000 1000 1 000 1'000 1_000 1\u00a0000 1.000.000", "1000 and 1000000"),
        ("1.5 million", 1500000),
        ("1500000", "about 1.5 million"),
        ("20k and 7 billion", "20,000; 7bn"),
        ("12%", "12 percent"),
        ("a loss of 5", "-5"),
        ("2.50", 2.5),
        ("-3.5 %", Decimal("-3.5")),
        ("Q3 and GPT-4", "q3 of GPT-4"),
        ("version 3.11.7", "3.11.7"),
        ("1e6", "1000000"),
        ("items 1,2,3", [1, 2, 3]),
        ("rows 5 100", "5 and 100"),
        ("no numbers at all, not one", ""),
        ("1,5 Liter", "1.5"),
        ("1,00,000 rupees", 100000),
        ("in 2024-05-01", "2024, 5 and 1"),
        ("$1,234.50", "1234.5"),
        ("No.5", 5),
    ],
)
def test_numbers_of_the_source_are_accepted_in_any_notation(answer: str, source: object) -> None:
    assert found(numbers_from(), {"text": answer}, {"facts": source}) == []


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("1001", 1000),
        ("1.5 million", "1.5 billion"),
        ("1.5 million", "1.5"),
        ("1.5", "1.5 million"),
        ("-5", "5"),
        ("-$5", "$5"),
        ("1", "1,000"),
        ("1.000", "1000"),
        ("3.11.8", "3.11.7"),
        ("Q4", "Q3"),
        ("No.5", "No.6"),
        ("x 2", True),
        ("10²", "102"),
        ("999", "9"),
        ("15", "1.5"),
        ("5 100", "5 and 200"),
    ],
)
def test_numbers_that_are_not_in_the_source_are_found(answer: str, source: object) -> None:
    findings = found(numbers_from(), {"text": answer}, {"facts": source})
    assert findings and findings[0].at == ("text",)


def test_numeric_fields_are_looked_at_where_a_pattern_names_them() -> None:
    answer = {"claims": [{"value": 5.0}, {"value": 6}], "confidence": 0.9}
    assert found(numbers_from(), answer, "five is 5") == []
    assert [f.at for f in found(numbers_from("claims[*].value"), answer, "5")] == [("claims", 1, "value")]


def test_allowed_rounded_and_localised_numbers() -> None:
    assert found(numbers_from(allow=[100, "Q3"]), "100 in Q3", "") == []
    assert found(numbers_from(rounded=True), "1.2 million, 33 %, 0.3", [1234567, 33.3333, 0.25]) == []
    assert len(found(numbers_from(rounded=True), "1.3 million, 34 %", [1234567, 33.3333])) == 2
    assert found(numbers_from(decimal=","), "1.500 Stück zu 2,5", [1500, 2.5]) == []
    assert found(numbers_from(source="kept.*"), "7", {"kept": {"a": 7}, "other": 8}) == []
    assert len(found(numbers_from(source="kept.*"), "8", {"kept": {"a": 7}, "other": 8})) == 1


def test_a_function_may_give_the_source() -> None:
    def total(given: dict[str, int]) -> int:
        return sum(given.values())

    assert list(numbers_from(source=total)("5", GuardContext({"a": 2, "b": 3}))) == []


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from([",", "", "_", "'", " "]))
def test_every_number_is_read_back_whatever_its_grouping(number: Decimal, mark: str) -> None:
    (numeral,) = numerals(f"it is {number:,} now".replace(",", mark))
    assert numeral.value == number


@given(st.text(max_size=80))
def test_reading_numerals_never_fails(text: str) -> None:
    for numeral in numerals(text):
        assert text[numeral.start : numeral.end] == numeral.text


# --- links ------------------------------------------------------------------------------------------------

ALLOWED = urls_allowed(hosts=["docs.python.org", "*.example.org"], source="urls")
GIVEN = {"urls": ["https://a.org/x?id=1", "http://b.org:8080/y/"]}


@pytest.mark.parametrize(
    "text",
    [
        "see https://docs.python.org/3/library/re.html#re.match.",
        "see [the docs](https://docs.python.org/3/), (https://docs.python.org/3/).",
        "www.example.org is not it, but https://www.example.org/ is"[11:],
        "https://a.org/x?id=1#part",
        "https://a.org:443/x?id=1",
        "https://A.ORG/x?id=1",
        "http://b.org:8080/y",
        "[id]: https://a.org/x?id=1",
        '<a href="https://a.org/x?id=1">x</a>',
        "e.g. node.js, README.md, main.py, U.S.A. and 3.5",
        "Note: data: we found; a@b.org is mail",
        "path/to/file.py and src/x.rs",
        "[anchor](#part)",
    ],
)
def test_links_that_are_allowed_and_what_is_no_link(text: str) -> None:
    assert found(ALLOWED, {"text": text}, GIVEN) == []


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.com/?q=secret",
        "http://docs.python.org.evil.com/",
        "https://docs.python.org@evil.com/",
        "https://user:pw@docs.python.org/",
        "https:\\\\evil.com",
        "https:/\\evil.com",
        "//evil.com/x",
        "[x](//evil.com)",
        "[x](/\\evil.com)",
        "[x](evil.com)",
        "evil.com/leak",
        "www.evil.zz",
        "go to evil.com now",
        "sub.evil.co.uk",
        "![x](https://docs.python.org/a.png)",
        '<img src="https://docs.python.org/a.png">',
        "<img src=//evil.com/a>",
        "<iframe src='https://evil.com'>",
        "<div style=\"background:url('https://evil.com/a')\">",
        '<img srcset="https://docs.python.org/a 1x, https://evil.com/b 2x">',
        "javascript:alert(1)",
        "[x](java\nscript:alert(1))".replace("\n", "\u200b"),
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html;base64,AAAA)",
        "data:text/html,hello",
        "[x](vbscript:x)",
        "ftp://docs.python.org/x",
        "file:///etc/passwd",
        "[x]: https://evil.com/ref",
        "<https://evil.com/auto>",
        "[https://docs.python.org](https://www.example.org/)",
        "https://a.org/x?id=1&leak=2",
        "https://a.org/x",
        "https://b.org/y",
        "https://docs.python.org:8443/",
        "https://docs.pythоn.org/",
        "https://example.org/",
        "[a [nested] b](https://evil.com)",
        "h\u00adttps://evil.com/",
        "https://[::1]/",
        "https://docs.python.org%2eevil.com/",
        "https://evil.com:x/",
        "1https://evil.com/",
        "a" * 40 + "https://evil.com/",
        "x.//evil.com/",
    ],
)
def test_links_that_are_not_allowed(text: str) -> None:
    assert found(ALLOWED, {"text": text}, GIVEN), find_links(text)


def test_images_may_be_allowed_from_allowed_places() -> None:
    lenient = urls_allowed(hosts=["docs.python.org"], images=True)
    assert found(lenient, "![x](https://docs.python.org/a.png)") == []
    assert len(found(lenient, "![x](https://evil.com/a.png)")) == 1


class Card(BaseModel):
    link: HttpUrl
    pages: list[HttpUrl] = []


def test_url_fields_are_texts_too_in_the_answer_and_in_the_source() -> None:
    given = Card(link=HttpUrl("https://a.org/1"), pages=[HttpUrl("https://a.org/2")])
    guard = urls_allowed(source="pages[*]")
    assert found(guard, Card(link=HttpUrl("https://a.org/2")), given) == []
    assert [f.at for f in found(guard, Card(link=HttpUrl("https://evil.com/")), given)] == [("link",)]


# --- length and patterns ----------------------------------------------------------------------------------


def test_lengths_between_their_bounds() -> None:
    value = {"text": "one two, three-four it's", "items": [1, 2, 3], "none": None}
    assert found(length("text", words=(4, 4), chars=(24, 24)), value) == []
    assert [f.message for f in found(length("text", words=(5, None)), value)] == [
        "has 4 words, at least 5 are needed"
    ]
    assert [f.message for f in found(length("items", items=(None, 2)), value)] == [
        "has 3 items, at most 2 are allowed"
    ]
    assert found(length("none", words=(1, 2)), value) == []
    with pytest.raises(StageError, match="has no words"):
        found(length("items", words=(1, 2)), value)
    with pytest.raises(StageError, match="has no items"):
        found(length("text", items=(1, 2)), value)


@pytest.mark.parametrize(
    "bounds", [{}, {"words": (None, None)}, {"words": (5, 2)}, {"words": (None, -1)}, {"chars": (-1, 3)}]
)
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, tuple[int | None, int | None]]) -> None:
    with pytest.raises(StageError):
        length("text", **bounds)  # type: ignore[arg-type]  # keyword names are in the parameters


def test_patterns() -> None:
    slug = must_match(r"[a-z]+(-[a-z]+)*", at="slugs[*]")
    assert [f.at for f in found(slug, {"slugs": ["a-b", "a b", "ab-"]})] == [("slugs", 1), ("slugs", 2)]
    clean = must_not_match(r"as an ai\b", flags=re.IGNORECASE)
    assert [f.evidence for f in found(clean, ["fine", "As an AI model", "an aide"])] == ["As an AI"]
    for guard in (must_match("a*", at="t", longest=10), must_not_match("b", at="t", longest=10)):
        assert [f.message for f in found(guard, {"t": "a" * 11})] == ["is longer than 10 characters"]
        assert found(guard, {"t": "a" * 10}) == []
    with pytest.raises(StageError, match="not a regular expression"):
        must_match("(", at="t")


# --- secrets ----------------------------------------------------------------------------------------------

A = "Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z"
SECRETS = {
    "AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
    "GitHub token": "ghp_" + A + "1234",
    "GitLab token": "glpat-" + A[:20],
    "Slack token": "xoxb-" + "123456789012-" + A[:20],
    "Slack webhook": "hooks.slack.com/services/" + "T00000000/B00000000/" + A[:24],
    "Google API key": "AIza" + A + "abc",
    "Anthropic key": "sk-ant-" + A,
    "OpenAI key": "sk-proj-" + A,
    "Stripe key": "sk_live_" + A[:24],
    "Hugging Face token": "hf_" + A,
    "npm token": "npm_" + A + "1234",
    "PyPI token": "pypi-" + A + A,
    "SendGrid key": "SG." + A[:22] + "." + A,
    "JSON web token": "eyJ" + A[:12] + ".eyJ" + A[:12] + "." + A,
    "private key": "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_every_kind_of_secret_is_found_and_never_told(kind: str) -> None:
    secret = SECRETS[kind]
    for text in (
        secret,
        f"the key is {secret}.",
        f"KEY={secret}",
        f'{{"k": "{secret}"}}',
        f"{secret[:9]}\u200b{secret[9:]}",
    ):
        findings = found(no_secrets(), {"a": [text]})
        assert findings and findings[0].at == ("a", 0)
        assert secret not in repr(findings) and secret[6:16] not in repr(findings)
    masked = redact(f"before {secret} after")
    assert secret[6:16] not in masked and masked.startswith("before ") and masked.endswith(" after")
    assert [s.kind for s in find_secrets(f"x {secret} y")] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        f'api_key = "{A}"',
        f"SECRET_TOKEN: {A}",
        f"password=>{A[:14]}",
        f"Authorization token: Bearer {A}",
        "postgres://user:hunter2secret@db/x",
        f"export DB_PASSWORD='{A[:12]}'",
    ],
)
def test_assigned_secrets_are_found(text: str) -> None:
    assert list(find_secrets(text))
    assert A[:12] not in redact(text) and "hunter2" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "The secret: never give up, the token economy.",
        "password: changeme-please",
        "api_key = your_api_key_here",
        "token = ${GITHUB_TOKEN}",
        "token=<your-token-goes-here>",
        "skill-based-matching-and-task-scheduling is a skill",
        "a hash 5d41402abc4b2a76b9719d911017c592 of something",
        "https://example.org/path?key=1",
        "tokens: 1234567890123",
    ],
)
def test_prose_and_placeholders_are_no_secrets(text: str) -> None:
    assert list(find_secrets(text)) == []
    assert redact(text) == text


def test_a_secret_as_a_key_is_found_and_its_path_does_not_tell() -> None:
    secret = SECRETS["AWS access key"]
    findings = found(no_secrets(), {"env": {secret: {"x": SECRETS["GitHub token"]}}})
    assert [f.at for f in findings] == [("env",), ("env",)] and secret not in repr(findings)


def test_overlapping_secrets_are_masked_to_the_end_of_the_last() -> None:
    masked = redact("xoxb-" + "1234567890-glpat-" + A[:16] + "_" + A[16:])
    assert masked.count("characters") == 2 and A[20:] not in masked


def test_several_secrets_in_one_text_are_all_masked() -> None:
    text = " and ".join(SECRETS.values())
    masked = redact(text)
    assert all(secret not in masked for secret in SECRETS.values())


@pytest.mark.parametrize(
    "hostile",
    [
        "api_key=" * 4000,
        "a" * 50_000 + "=",
        "-----BEGIN PRIVATE KEY-----" * 2000,
        "[" * 20_000,
        "a." * 20_000,
        "![" * 10_000,
        "1," * 20_000,
        "eyJ" * 10_000,
        "http://" * 5000,
        "(" * 20_000,
        "-" * 20_000,
        "a://" * 8000,
        "[a](" * 8000,
        "token" * 8000,
        " " * 50_000,
    ],
)
def test_hostile_texts_take_no_time(hostile: str) -> None:
    started = time.process_time()
    for guard in (no_secrets(), urls_allowed(), numbers_from()):
        found(guard, hostile)
    assert time.process_time() - started < 2.0


# --- where guards look ------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


def test_patterns_select_nodes_and_everything_that_is_text_is_read() -> None:
    value = {"a": [{"b": "x"}, {"b": None}], "c": {"d": b"y", "e": Colour.RED, "f": 1, "g": {"z"}}}
    assert list(texts(value)) == [
        (("a", 0, "b"), "x"),
        (("c", "d"), "y"),
        (("c", "e"), "red"),
        (("c", "g"), "z"),
    ]
    assert [leaf.at for leaf in select(value, "a[*].b")] == [("a", 0, "b"), ("a", 1, "b")]
    assert [leaf.at for leaf in select(value, "a[1]")] == [("a", 1)]
    assert [leaf.at for leaf in select(value, "c.*")] == [("c", k) for k in "defg"]
    assert list(select(value, "nope.b")) == [] and list(select(value, "a[7]")) == []
    with pytest.raises(StageError, match="a str has no 'x'"):
        list(select(value, "a[0].b.x"))
    for wrong in ("", "a..b", "a[", "a[x]", ".a", "[*]x"):
        with pytest.raises(StageError, match="not a path pattern"):
            list(select(value, wrong))


@pytest.mark.anyio
async def test_kit_guards_run_in_check_with_every_action() -> None:
    value = {"log": ["fine", f"key {SECRETS['GitHub token']}"]}
    result = await check(
        value,
        [no_secrets().drop(), length("log", items=(1, 5)).reject()],
        GuardContext(None),
        revalidate=lambda v: v,
    )  # type: ignore[arg-type,return-value]
    assert result.action == "pass" and result.value == {"log": ["fine"]}


def test_importing_the_kit_loads_no_rapidfuzz() -> None:
    code = "import sys, guardflow.guards.kit; print(*(m for m in sys.modules if m in ('rapidfuzz', 'litellm', 'instructor', 'sqlalchemy', 'dbos')))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()
        == ""
    )
