"""Read the numerals of a text: what they are worth, whatever way they are written.

Quote and number guards compare these values. Number words ("twelve") are not numerals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

DecimalMark = Literal[".", ","]

DIGITS = (
    r"(?:\d+(?:\.\d+){3,}|\d+\.\d+\.\d+(?![\d,])"  # 10.0.0.1, 3.11.7; groups of three are told apart below
    r"|\d{1,3}(?:[ '_]\d{3})+(?!\d)(?:[.,]\d+)?"  # 1 000 000,5  1'000  1_000
    r"|\d+(?:,\d+)+(?:\.\d+)?"  # 1,000.5  1,00,000  1,5
    r"|\d+(?:\.\d+)+(?:,\d+)?"  # 1.000,5  1.5
    r"|\d+)"
)
_NUMERAL = re.compile(
    rf"(?<!\w)(?P<sign>(?<![\w)\]])-(?:[$€£¥] ?)?)?(?P<digits>(?<!\d){DIGITS}|\.\d+)(?P<exponent>[eE][+-]?\d{{1,3}}(?!\w))?"
    r"(?:(?P<tight>[kKMB]|bn|tn|mn)(?![\w])|[ -]?(?P<scale>[A-Za-z]+)\b)?(?P<percent>\s?%)?"
)
_SCALES = {
    **dict.fromkeys(("thousand", "thousands", "tsd", "tausend", "mille"), 3),
    **dict.fromkeys(("million", "millions", "mn", "mio", "mln", "millionen", "millones", "milhões"), 6),
    **dict.fromkeys(
        ("billion", "billions", "bn", "mrd", "milliard", "milliards", "milliarden", "miliardi"), 9
    ),
    **dict.fromkeys(("trillion", "trillions", "tn"), 12),
}
_TIGHT = {"k": 3, "K": 3, "M": 6, "mn": 6, "B": 9, "bn": 9, "tn": 12}


@dataclass(frozen=True, slots=True)
class Numeral:
    """A numeral: as written, where, and what it is worth (percent signs left aside, scale words included).

    ``value`` is a string for what is not a quantity, as a version or an address. ``parts`` are other values
    for the same text: ``3 100`` may be one number or two, ``1,2,3`` is three.
    """

    text: str
    start: int
    end: int
    value: Decimal | str
    parts: tuple[Decimal, ...] = ()


def numerals(text: str, *, decimal: DecimalMark = ".") -> Iterator[Numeral]:
    """The numerals of a text in normal form (see `guardflow.guards.kit.text.normalize`), in order.

    Digits inside a word (``Q3``, ``H2O``) are part of the word and are left out.

    Args:
        text: where to look.
        decimal: the mark that decides what cannot be told from the shape: whether ``1.500`` is 1.5 or 1500.

    >>> [str(n.value) for n in numerals("1,000 or 1 000 or 20 million or -0.5% in 3.11.7")]
    ['1000', '1000', '2.0E+7', '-0.5', '3.11.7']
    """
    for found in _NUMERAL.finditer(text):
        digits, end = found["digits"], found.end("digits")
        value = value_of(digits, decimal=decimal)
        parts: tuple[Decimal, ...] = ()
        if found["exponent"] is not None and isinstance(value, Decimal):
            value, end = _shift(value, int(found["exponent"][1:])), found.end("exponent")
        elif " " in digits:
            parts = tuple(v for d in digits.split() if isinstance(v := value_of(d, decimal=decimal), Decimal))
        elif isinstance(value, str) and "," in digits:
            parts = tuple(
                v for d in digits.split(",") if isinstance(v := value_of(d, decimal=decimal), Decimal)
            )
        power = _TIGHT.get(found["tight"] or "") or _SCALES.get((found["scale"] or "").lower())
        if power and isinstance(value, Decimal):
            value = _shift(value, power)
            end = found.end("tight") if found["tight"] else found.end("scale")
            parts = ()
        if found["sign"] and isinstance(value, Decimal):
            value = value.copy_negate()
        yield Numeral(text[found.start() : end], found.start(), end, value, parts)


def value_of(digits: str, *, decimal: DecimalMark = ".") -> Decimal | str:
    """What digits with separators are worth; the digits themselves where they are no quantity.

    >>> value_of("1.234,5"), value_of("1,234.5"), value_of("1,5"), value_of("1.5.2")
    (Decimal('1234.5'), Decimal('1234.5'), Decimal('1.5'), '1.5.2')
    """
    if digits.isdecimal():
        return Decimal(digits)
    digits = re.sub(r"[ '_]", "", digits)
    comma, point = digits.rfind(","), digits.rfind(".")
    if comma >= 0 and point >= 0:
        group, mark = (",", ".") if point > comma else (".", ",")
        whole, _, fraction = digits.rpartition(mark)
        if mark in whole or not _grouped(whole, group):
            return digits
        return Decimal(f"{whole.replace(group, '')}.{fraction}")
    mark = "," if comma >= 0 else "."
    if mark not in digits:
        return Decimal(digits)
    whole, *rest = digits.split(mark)
    if len(rest) == 1 and (mark == decimal or not _grouped(digits, mark)):
        return Decimal(f"{whole or '0'}.{rest[0]}")
    return Decimal(digits.replace(mark, "")) if _grouped(digits, mark) else digits


def _grouped(digits: str, mark: str) -> bool:
    """Whether marks stand where thousands (or lakhs) are marked."""
    return (
        re.fullmatch(rf"[^\D0]\d{{0,2}}(?:{re.escape(mark)}\d{{2,3}})*{re.escape(mark)}\d{{3}}", digits)
        is not None
    )


def _shift(value: Decimal, power: int) -> Decimal:
    """Times ten to the power, exactly."""
    sign, digits, exponent = value.as_tuple()
    return Decimal((sign, digits, int(exponent) + power))
