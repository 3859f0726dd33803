"""Check digits: the arithmetic by which a number tells that it was not made up or misread. Pure.

The recognisers of personal data use it; every function takes plain ASCII digits (or letters, where it says so).
"""

from __future__ import annotations

from collections.abc import Sequence


def luhn(digits: str) -> bool:
    """Luhn's formula (ISO/IEC 7812-1 annex B): cards, Swedish and Canadian numbers.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for i, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + i % 2)
        total += doubled - 9 * (doubled > 9)
    return total % 10 == 0


def mod_97(text: str) -> int:
    """The remainder by 97 of digits and letters, A=10 to Z=35 (ISO 7064, as IBAN uses it).

    >>> mod_97("3214282912345698765432161182")
    1
    """
    return int("".join(str(int(char, 36)) for char in text)) % 97


def mod_11_10(digits: str) -> bool:
    """The hybrid system MOD 11,10 of ISO 7064: German tax numbers.

    >>> mod_11_10("86095742719")
    True
    """
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of the digits times their weights.

    >>> weighted("111222333", (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11
    0
    """
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


_TIMES = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
"""Multiplication in the dihedral group of ten elements."""
_TURNED = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def verhoeff(digits: str) -> bool:
    """Verhoeff's check (1969), which finds every wrong digit and every swap of neighbours: Aadhaar.

    >>> verhoeff("2363"), verhoeff("2364")
    (True, False)
    """
    check = 0
    for i, digit in enumerate(reversed(digits)):
        check = _TIMES[check][_TURNED[i % 8][int(digit)]]
    return check == 0
