"""Only rows of digits are searched for numbers. Nothing is lost by that: compared with a search of the whole text."""

from __future__ import annotations

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from guardflow.guards.kit import national, phones
from guardflow.guards.kit.pii import find_pii

NUMBERS = (
    "078-05-1120", "AB 12 34 56 C", "12345678Z", "12345678 X 1234567L", "RSSMRA85T10A562S", "86 095 742 719",
    "1 85 05 2A 006 084 36", "120464-3814", "+44 20 7946 0958", "(212) 555-0123", "1-212-555-0123",
    "(030) / 123 45 67", "+1 (415) 555-2671", "+49 (0) 30 - 1234567", "555 0123 44", "4111 1111 1111 1111",
)  # fmt: skip
PIECES = st.sampled_from((*NUMBERS, *" .-/+(),AX0159", "\n", " tel ", "ein "))
TEXTS = st.lists(PIECES, max_size=30).map("".join)


def anywhere(at: int, words: str) -> bool:
    return True


@given(TEXTS)
def test_the_shapes_of_national_numbers_are_found_as_in_the_whole_text(text: str) -> None:
    whole = [
        found.span(1)
        for shape in national.SHAPES
        for found in shape.pattern.finditer(text)
        if shape.valid(re.sub(r"[^A-Z0-9]", "", found[1].upper()))
    ]
    assert list(national.national_ids(text, anywhere)) == whole


@given(TEXTS)
def test_telephone_numbers_are_found_as_in_the_whole_text(text: str) -> None:
    row, phones_of = phones._ROW, lambda: list(phones.phones(text, anywhere))  # pyright: ignore[reportPrivateUsage]  # the shortcut under test
    found = phones_of()
    phones._ROW = re.compile(r"(?s).+")  # pyright: ignore[reportPrivateUsage]  # the whole text is one row
    try:
        assert found == phones_of()
    finally:
        phones._ROW = row  # pyright: ignore[reportPrivateUsage]  # put back


@given(TEXTS)
def test_what_stands_in_prose_is_found_as_it_is_alone(text: str) -> None:
    alone = [(p.start, p.end, p.kind) for p in find_pii(text)]
    far = "Nothing to be found here; " * 3
    moved = [(p.start - len(far), p.end - len(far), p.kind) for p in find_pii(f"{far}{text}\n{far}")]
    assert [kind for *_, kind in moved] == [kind for *_, kind in alone]


def test_a_megabyte_of_prose_takes_little_more_than_reading_it() -> None:
    """As much as a dozen scans for a digit, where each recognizer used to read every character."""
    prose = (
        "The tide at Port Kell rises 4.2 metres in spring (about 14 feet), and boats left in 1987. " * 11_000
    )

    def seconds(job: object) -> float:
        assert callable(job)
        before = time.process_time()
        job()
        return time.process_time() - before

    scan = min(seconds(lambda: re.findall(r"\w+", prose)) for _ in range(3))
    assert min(seconds(lambda: find_pii(prose)) for _ in range(3)) < 12 * scan
