"""National identity, tax and insurance numbers: their shapes, and the rules that tell them from other numbers.

`guardflow.guards.kit.pii` searches with it. A number whose check is weak counts only after a word that names it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

from guardflow.guards.kit.checksums import luhn, mod_11_10, verhoeff, weighted


class Shape(NamedTuple):
    """A kind of number. ``label``: the words one of which has to stand shortly before it; "" is none."""

    country: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool]
    """Takes the letters and digits alone, in upper case."""
    label: str = ""


_DENSE = re.compile(r"\d(?>\D{0,2}\d){5,}+")
"""Every shape has six digits or more, and at most two other characters between one digit and the next: so only
such places are searched, which are few in prose."""
_BEFORE, _AFTER = 8, 4
"""Characters around the digits of a shape: its letters, and what is looked at beyond them."""


def national_ids(text: str, named: Callable[[int, str], bool]) -> Iterator[tuple[int, int]]:
    """Where the numbers are in a folded text (see `guardflow.guards.kit.folding`).

    Args:
        text: where to look.
        named: whether one of some words stands shortly before an offset.
    """
    places = [(max(0, run.start() - _BEFORE), run.end() + _AFTER) for run in _DENSE.finditer(text)]
    for shape in SHAPES:
        done = 0
        for first, last in places:
            for found in shape.pattern.finditer(text, max(first, done), last):
                start, done = found.span(1)
                plain = re.sub(r"[^A-Z0-9]", "", found[1].upper())
                if shape.valid(plain) and (not shape.label or named(start, shape.label)):
                    yield start, done


def _dated(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _us(n: str) -> bool:
    area, group, serial = n[:3], n[3:5], n[5:]
    return area not in {"000", "666"} and n[0] != "9" and group != "00" and serial != "0000"


def _uk(n: str) -> bool:
    return n[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def _spain(n: str) -> bool:
    digits = n[:-1].translate(str.maketrans("XYZ", "012"))
    return digits.isdecimal() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == n[-1]


_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21) * 2 + (2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)


def _italy(n: str) -> bool:
    odd = sum(_ODD[char] for char in n[:-1:2])
    even = sum(int(char) if char.isdecimal() else ord(char) - ord("A") for char in n[1:-1:2])
    return chr((odd + even) % 26 + ord("A")) == n[-1]


def _germany(n: str) -> bool:
    """The tax number: one digit of the first ten occurs two or three times, the others once at most."""
    counts = sorted(Counter(n[:10]).values(), reverse=True)
    return n[0] != "0" and counts[0] in {2, 3} and counts[1] == 1 and mod_11_10(n)


def _france(n: str) -> bool:
    body = n[:13].replace("2A", "19", 1).replace("2B", "18", 1) if n[5:7] in {"2A", "2B"} else n[:13]
    return body.isdecimal() and 97 - int(body) % 97 == int(n[13:])


def _netherlands(n: str) -> bool:
    return n != "000000000" and weighted(n, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _poland(n: str) -> bool:
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[int(n[2]) // 2]
    month = int(n[2:4]) % 20
    return (
        weighted(n, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
        and 1 <= month <= 12
        and _dated(century + int(n[:2]), month, int(n[4:6]))
    )


def _sweden(n: str) -> bool:
    short = n[-10:]
    day = int(short[4:6])  # 60 more in a coordination number
    return luhn(short) and _dated(2000 + int(short[:2]), int(short[2:4]), day - 60 * (day > 60))


def _finland(n: str) -> bool:
    """Of the form DDMMYYNNNC; the mark of the century is no part of it here."""
    digits = n[:6] + n[-4:-1]
    marks = "0123456789ABCDEFHJKLMNPRSTUVWXY"
    return _dated(2000 + int(n[4:6]), int(n[2:4]), int(n[:2])) and marks[int(digits) % 31] == n[-1]


def _norway(n: str) -> bool:
    return (
        weighted(n[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(n, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
        and 1 <= int(n[:2]) % 40 <= 31
        and 1 <= int(n[2:4]) % 40 <= 12
    )


def _belgium(n: str) -> bool:
    return int(n[2:4]) % 20 <= 12 and any(
        97 - int(century + n[:9]) % 97 == int(n[9:]) for century in ("", "2")
    )


def _switzerland(n: str) -> bool:
    return weighted(n, (1, 3) * 6 + (1,)) % 10 == 0


def _brazil(n: str) -> bool:
    checks = (weighted(n[:k], range(k + 1, 1, -1)) * 10 % 11 % 10 for k in (9, 10))
    return len(set(n)) > 1 and "".join(map(str, checks)) == n[9:]


def _portugal(n: str) -> bool:
    return weighted(n[:8], range(9, 1, -1)) * 10 % 11 % 10 == int(n[8])


def _china(n: str) -> bool:
    check = weighted(n[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    return "10X98765432"[check] == n[17] and _dated(int(n[6:10]), int(n[10:12]), int(n[12:14]))


def _turkey(n: str) -> bool:
    odd, even = weighted(n[:9:2], (1,) * 5), weighted(n[1:8:2], (1,) * 4)
    return (odd * 7 - even) % 10 == int(n[9]) and weighted(n[:10], (1,) * 10) % 10 == int(n[10])


def _south_africa(n: str) -> bool:
    return luhn(n) and _dated(2000 + int(n[:2]), int(n[2:4]), int(n[4:6]))


def _shape(country: str, pattern: str, valid: Callable[[str], bool], label: str = "") -> Shape:
    return Shape(
        country, re.compile(rf"(?<!\w)(?<!\d[-/.])({pattern})(?![\w]|[-./]\d)", re.IGNORECASE), valid, label
    )


_ANY = "id|identification|identity|tax|personal|national|insurance|social"
SHAPES = (
    _shape("US", r"\d{3}([- ])\d{2}\2\d{4}", _us),
    _shape("US", r"\d{9}", _us, "ssn|social security"),
    _shape("UK", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", _uk),
    _shape("ES", r"(?:[XYZ][- ]?\d{7}|\d{8}|\d{2}\.\d{3}\.\d{3})[- ]?[A-HJ-NP-TV-Z]", _spain),
    _shape("IT", r"[A-Z]{6} ?\d{2}[A-EHLMPRST]\d{2} ?[A-Z]\d{3}[A-Z]", _italy),
    _shape("DE", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", _germany),
    _shape("FR", r"[12478] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", _france),
    _shape("NL", r"\d{9}|\d{4}[. ]\d{2}[. ]\d{3}", _netherlands, "bsn|burgerservice|sofi"),
    _shape("PL", r"\d{11}", _poland),
    _shape("SE", r"(?:19|20)?\d{6}[-+]\d{4}|(?:19|20)\d{10}", _sweden),
    _shape("SE", r"\d{10}", _sweden, "personnummer|personnr|samordningsnummer"),
    _shape("FI", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", _finland),
    _shape("NO", r"\d{6} ?\d{5}", _norway),
    _shape("BE", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", _belgium),
    _shape("BE", r"\d{11}", _belgium, "rijksregister|registre national|niss|insz|national register"),
    _shape("CH", r"756\.?\d{4}\.?\d{4}\.?\d{2}", _switzerland),
    _shape("BR", r"\d{3}\.\d{3}\.\d{3}-\d{2}|\d{11}", _brazil),
    _shape("IN", r"[2-9]\d{3}([- ])\d{4}\2\d{4}", verhoeff),
    _shape("IN", r"[2-9]\d{11}", verhoeff, "aadhaar|aadhar|uidai|uid|आधार"),
    _shape("PT", r"[1-35689]\d{2} ?\d{3} ?\d{3}", _portugal, "nif|contribuinte"),
    _shape("CA", r"[1-79]\d{2}([- ]?)\d{3}\2\d{3}", luhn, "sin|social insurance|nas"),
    _shape("CN", r"[1-9]\d{5}(?:19|20)\d{9}[\dX]", _china),
    _shape("TR", r"[1-9]\d{10}", _turkey, f"tckn|kimlik|t\\.?c\\.?|{_ANY}"),
    _shape("ZA", r"\d{13}", _south_africa, f"rsa|south africa\\w*|{_ANY}"),
)
