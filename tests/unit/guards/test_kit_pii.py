"""Personal data: check digits hold, findings are masked, and no text takes long."""

import asyncio
import json
import re
import time
from dataclasses import dataclass

import pytest
from guarded import answer, checked
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel

from guardflow.errors import StageError
from guardflow.guards.kit import PII, find_pii, mask_pii, no_pii
from guardflow.guards.kit.checksums import luhn, mod_11_10, mod_97, verhoeff
from guardflow.guards.kit.folding import fold
from guardflow.guards.kit.national import SHAPES

DIGITS = st.text("0123456789", min_size=8, max_size=18)
PUBLISHED = {
    "ES": "12345678Z", "IT": "RSSMRA85T10A562S", "DE": "86095742719", "FR": "255081416802538", "NL": "111222333",
    "PL": "44051401359", "SE": "8112189876", "FI": "131052308T", "CH": "7569217076985", "IN": "234123412346",
    "CN": "11010519491231002X", "TR": "10000000146", "BR": "52998224725", "BE": "85073003328", "ZA": "8001015009087",
    "CA": "130692544", "US": "123456789", "UK": "AB123456C",
}  # fmt: skip
"""Numbers that authorities and encyclopaedias give as examples."""
CHECKED = sorted(set(PUBLISHED) - {"US", "UK", "BR", "BE"})
"""Countries whose check digits notice every single wrong digit."""


def valid(country: str, number: str) -> bool:
    return any(shape.valid(number) for shape in SHAPES if shape.country == country)


def one_changed(digits: str) -> list[str]:
    return [
        digits[:i] + other + digits[i + 1 :]
        for i, digit in enumerate(digits)
        if digit.isdecimal()
        for other in "0123456789"
        if other != digit
    ]


@given(DIGITS)
@pytest.mark.parametrize("check", [luhn, verhoeff, mod_11_10])
def test_one_check_digit_fits_and_every_changed_digit_is_noticed(check, body: str) -> None:
    fitting = [body + digit for digit in "0123456789" if check(body + digit)]
    assert len(fitting) == 1
    assert not any(check(changed) for changed in one_changed(fitting[0]))


@given(DIGITS, st.data())
def test_verhoeff_notices_neighbours_that_changed_places(body: str, data) -> None:
    whole = next(body + digit for digit in "0123456789" if verhoeff(body + digit))
    i = data.draw(st.integers(0, len(whole) - 2))
    swapped = whole[:i] + whole[i + 1] + whole[i] + whole[i + 2 :]
    assert verhoeff(swapped) == (swapped == whole)


@given(st.text("0123456789", min_size=18, max_size=18), st.sampled_from(["", " ", "-"]))
def test_an_account_with_its_check_digits_is_found_and_a_changed_one_is_not(body: str, between: str) -> None:
    check = 98 - int(body + "131400") % 97  # DE is 13 14
    iban = f"DE{check:02}{body}"
    assert mod_97(iban[4:] + iban[:4]) == 1
    grouped = between.join(re.findall(".{1,4}", iban))
    assert [(p.kind, p.end - p.start) for p in find_pii(f"to {grouped}.", kinds=["iban"])] == [
        ("iban", len(grouped))
    ]
    for changed in one_changed(body)[::17]:
        assert find_pii(f"DE{check:02}{changed}", kinds=["iban"]) == []


@pytest.mark.parametrize("country", PUBLISHED)
def test_published_national_numbers_are_valid(country: str) -> None:
    assert valid(country, PUBLISHED[country])


@pytest.mark.parametrize("country", CHECKED)
def test_a_national_number_with_a_changed_digit_is_none(country: str) -> None:
    assert [n for n in one_changed(PUBLISHED[country]) if valid(country, n)] == []


@given(st.integers(0, 10**8 - 1))
def test_every_spanish_number_has_one_letter(number: int) -> None:
    assert sum(valid("ES", f"{number:08}{letter}") for letter in "ABCDEFGHJKLMNPQRSTVWXYZ") == 1


@given(st.text("abc １٢\u200b@.5\n’ﬁ", max_size=30), st.data())
def test_folding_leads_back_to_where_a_character_was(text: str, data) -> None:
    folded = fold(text)
    if folded.text:
        at = data.draw(st.integers(0, len(folded.text) - 1))
        start, end = folded.span(at, at + 1)
        assert fold(text[start:end]).text == folded.text[at] and end - start == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mail ada@lovelace.org now", "ada@lovelace.org"),
        ("j\u200bo@acme.io", "j\u200bo@acme.io"),
        ("card ٤١١١ ١١١١ ١١١١ ١١١١!", "٤١١١ ١١١١ ١١١١ ١١١١"),
        ("12 4111 1111 1111 1111 99", "4111 1111 1111 1111"),
        ("call +44 20 7946 0958, ok", "+44 20 7946 0958"),
    ],
)
def test_the_span_of_a_finding_is_that_of_the_original(text: str, found: str) -> None:
    assert [text[p.start : p.end] for p in find_pii(text)] == [found]


def test_a_number_that_is_weakly_checked_counts_where_it_is_named() -> None:
    assert find_pii("lot 111222333") == []
    assert [p.kind for p in find_pii("BSN: 111222333")] == ["national id"]
    assert [f.at for f in no_pii()({"bsn": "111222333", "lot": "111222333"})] == [("bsn",)]


SECRET = {
    "mail": "ada@lovelace.org",
    "card": 4111111111111111,
    "by": {"bob@acme.io": ["+44 20 7946 0958", "DE89 3704 0044 0532 0130 00"]},
    "ssn": "123-45-6789",
}


def test_no_finding_holds_what_was_found() -> None:
    findings = list(no_pii()(SECRET))
    assert len(findings) >= 5
    told = " ".join(f"{f.message} {f.where()} {f.evidence} {f.expected}" for f in findings)
    for secret in ("lovelace", "acme", "4111", "7946", "3704", "6789"):
        assert secret not in told
    assert "[card, 16 characters]" in told and "has a key that is personal data" in told


class Person(BaseModel):
    name: str
    mail: str | None = None
    notes: list[str] = []


class People(RootModel[list[Person]]):
    pass


@dataclass
class Box:
    text: str
    count: int = 1


def test_a_masked_value_keeps_its_types_and_passes_the_guard() -> None:
    value = {
        "people": People([Person(name="Ada", mail="ada@lovelace.org", notes=["call 030 1234567 (tel.)"])]),
        "box": Box("mc 5555 5555 5555 4444"),
        "pair": ("a@b.de", 7),
    }
    masked = mask_pii()(value, [])
    assert masked["people"] == People([Person(name="Ada", mail="[email]", notes=["call [phone] (tel.)"])])
    assert masked["box"] == Box("mc [card]") and masked["pair"] == ("[email]", 7)
    assert list(no_pii()(masked)) == []
    assert value["box"].text.startswith("mc 5555")


def test_fix_masks_an_answer_of_a_frozen_model_with_aliases_and_it_passes() -> None:
    result = asyncio.run(
        checked(answer().model_copy(update={"note": "ask a@b.de"}), no_pii().fix(mask_pii()))
    )
    assert result.value.note == "ask [email]"
    assert result.value.grade == "A" and result.value.body == answer().body


def test_what_cannot_be_masked_stays_found() -> None:
    repair = no_pii().fix(mask_pii()).repair
    assert repair is not None
    assert list(no_pii()(repair({"card": 4111111111111111}, [])))


def test_what_is_allowed_stands_and_only_the_kinds_asked_for_are_found() -> None:
    text = "Help: support@acme.org, 8.8.8.8, 10.0.0.1 or +44 20 7946 0958"
    assert [p.kind for p in find_pii(text, kinds=(*PII, "ip"))] == ["email", "ip", "phone"]
    assert [f.evidence for f in no_pii(allow=["Support@acme.org"])(text)] == ["[phone, 16 characters]"]
    masked = mask_pii(allow=["support@ACME.org"])(f"{text}, eve@acme.org", [])
    assert masked == "Help: support@acme.org, 8.8.8.8, 10.0.0.1 or [phone], [email]"
    assert list(no_pii("other")({"other": "", "text": text})) == []


@pytest.mark.parametrize("kinds", [(), ("emial",), "email"])
def test_kinds_that_are_none_are_refused(kinds) -> None:
    with pytest.raises(StageError, match="cannot look for"):
        no_pii(kinds=kinds)
    with pytest.raises(StageError):
        mask_pii(kinds=kinds)


HOSTILE = (
    "1", "1 ", "a", "@", "a@", "a.b@c.", "AA11 ", "4111 ", "+1 ", "0123 ", "(0", "1.", "::", "4-", " [at] ", "\u200b1", "tel 0",
)  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=json.dumps)
def test_five_times_the_text_takes_about_five_times_as_long(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length]
        started = time.process_time()
        find_pii(text, kinds=(*PII, "ip"))
        return time.process_time() - started

    small = seconds(20_000)
    assert seconds(100_000) < 5 * 2.5 * small + 0.15


def test_a_megabyte_of_prose_is_searched_in_seconds() -> None:
    text = "The harbour was busy in spring 2024, with 1,200 ships and 30 ferries a day. " * 13_500
    started = time.process_time()
    assert find_pii(text) == []
    assert time.process_time() - started < 10
