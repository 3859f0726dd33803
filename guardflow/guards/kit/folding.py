"""One plain character for each written one: what the recognisers of numbers and addresses search.

Digits of every script become ASCII, wide and styled letters plain ones, dashes a hyphen and spaces a space;
what shows nothing is left out. Offsets lead back, so that a finding can be cut from the original.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

from guardflow.guards.kit.text import DASHES, strip_invisible

_NOT_PLAIN = re.compile(r"[^\n -~]")


class _Plain(dict[int, str]):
    """The plain form of a character, worked out when it is first seen."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = plain = _plain(char)
        return plain


def _plain(char: str) -> str:
    if char in DASHES:
        return "-"
    if char.isspace():
        return "\n" if char in "\n\r\v\f\u2028\u2029\x85" else " "
    if not strip_invisible(char):
        return ""
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    normal = unicodedata.normalize("NFKC", char)
    return normal if len(normal) == 1 else char


_PLAIN = _Plain()


@dataclass(frozen=True, slots=True)
class Folded:
    """A text in plain characters; `span` leads back to the original."""

    text: str
    _kept: list[int] | None
    """Where runs of kept characters start in ``text``; None if nothing was left out."""
    _shifts: list[int]
    """How much was left out before each run."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original offsets of ``text[start:end]``, which must not be empty."""
        if self._kept is None:
            return start, end
        first, last = bisect_right(self._kept, start) - 1, bisect_right(self._kept, end - 1) - 1
        return start + self._shifts[first], end + self._shifts[last]


def fold(text: str) -> Folded:
    """The plain form of a text.

    >>> folded = fold("tel\u200b \u0664\u0665\uff16")
    >>> folded.text, folded.span(4, 7)
    ('tel 456', (5, 8))
    """
    if _NOT_PLAIN.search(text) is None:
        return Folded(text, None, [])
    plain = text.translate(_PLAIN)
    if len(plain) == len(text):
        return Folded(plain, None, [])
    kept, shifts, done = [0], [0], 0
    for shows, run in itertools.groupby(text, lambda char: _PLAIN[ord(char)] != ""):
        count = sum(1 for _ in run)
        if shows:
            done += count
        elif kept[-1] == done:
            shifts[-1] += count
        else:
            kept.append(done)
            shifts.append(shifts[-1] + count)
    return Folded(plain, kept, shifts)
