"""Normal forms of text that remember where every character came from.

Quote and number guards compare normal forms and report offsets into the original. Nothing here judges.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

QUOTE_MARKS = dict.fromkeys("‘’‚‛′‹›`´ʼ＇", "'") | dict.fromkeys("“”„‟″«»＂", '"')
DASHES = dict.fromkeys("‐‑‒–—―−﹘﹣－", "-")
_SAME = QUOTE_MARKS | DASHES
"""Characters that writers, fonts and models exchange freely."""

_RUN = re.compile(
    r"[!-~]? *[^ -~][^!-~]*"  # anything but printable ASCII, with the ASCII character that a mark may modify
    r"|  +[^!-~]*"  # several spaces
    r"|[`]"
)
_JAMO = re.compile(r"[\u1160-\u11ff]")
_INVISIBLE = (
    r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_INVISIBLE_CHAR = re.compile(f"[{_INVISIBLE}]")
_SPECIAL = re.compile(rf"[{_INVISIBLE}]|[^\S ]\s*|\s\s+|[{re.escape(''.join(_SAME))}]")
"""What changes in a text that is in NFKC already."""


@dataclass(frozen=True, slots=True)
class Normal:
    """A text in normal form: NFKC, straight quotes, plain hyphens, single spaces, nothing invisible.

    ``text`` is the normal form. `span` leads back to the original.
    """

    text: str
    _starts: list[int]
    """Where pieces start in ``text``."""
    _origins: list[int]
    """Where the same pieces start in the original."""
    _ends: list[int]
    """Where they end in the original; -1 for a piece whose characters are the original ones, one by one."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original offsets of ``text[start:end]``, which must not be empty."""
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1) - 1
        begin, stop = self._origins[first], self._ends[last]
        if self._ends[first] < 0:
            begin += start - self._starts[first]
        if stop < 0:
            stop = self._origins[last] + end - self._starts[last]
        return begin, stop


def normalize(text: str) -> Normal:
    """The normal form of a text.

    >>> normal = normalize("a  “b”\u00ad c")
    >>> normal.text, normal.span(2, 5)
    ('a "b" c', (3, 6))
    """
    pieces: list[str] = []
    starts: list[int] = []
    origins: list[int] = []
    ends: list[int] = []
    length = done = 0

    def add(piece: str, origin: int, end: int) -> None:
        nonlocal length
        if piece[0] == " " and pieces and pieces[-1].endswith(" "):
            piece, origin = piece[1:], origin + (end < 0)
            if not piece:
                return
        pieces.append(piece)
        starts.append(length)
        origins.append(origin)
        ends.append(end)
        length += len(piece)

    for run in _RUN.finditer(text):
        if run.start() > done:
            add(text[done : run.start()], done, -1)
        at, group = run.start(), run.group()
        if unicodedata.is_normalized("NFKC", _INVISIBLE_CHAR.sub("", group)):
            for special in _SPECIAL.finditer(text, at, run.end()):
                if special.start() > at:
                    add(text[at : special.start()], at, -1)
                if normal := _normal_cluster(special.group()):
                    add(normal, special.start(), special.end())
                at = special.end()
            if at < run.end():
                add(text[at : run.end()], at, -1)
        else:
            for cluster in _clusters(group):
                if normal := _normal_cluster(cluster):
                    add(normal, at, at + len(cluster))
                at += len(cluster)
        done = run.end()
    if done < len(text):
        add(text[done:], done, -1)
    return Normal("".join(pieces), starts, origins, ends)


normalize_source = functools.lru_cache(maxsize=32)(normalize)
"""`normalize`, keeping the last few: many quotes are looked up in one source."""


def _clusters(run: str) -> list[str]:
    """Split before every character that does not combine with the one before it; nothing invisible comes between."""
    clusters: list[str] = []
    for char in run:
        if clusters and (unicodedata.combining(char) or _JAMO.match(char) or _INVISIBLE_CHAR.match(char)):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


@functools.lru_cache(maxsize=8192)
def _normal_cluster(cluster: str) -> str:
    cluster = _INVISIBLE_CHAR.sub("", cluster)
    if not cluster or cluster.isspace():
        return " " if cluster else ""
    # Superscripts, fractions and circled digits are numbers of their own: 10² is not 102.
    base = cluster[0]
    keep = unicodedata.category(base) == "No" and not "₀" <= base <= "₉"
    normal = cluster if keep else unicodedata.normalize("NFKC", _SAME.get(cluster, cluster))
    return re.sub(r"\s+", " ", "".join(_SAME.get(c, c) for c in normal))


def strip_invisible(text: str) -> str:
    """The text without what shows nothing: soft hyphens, zero-width and bidi characters, controls.

    >>> strip_invisible("pass\u200bword")
    'password'
    """
    return _INVISIBLE_CHAR.sub("", text)


_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


_UNSAID = re.compile(r"(?<!\w)(?:non|not|no|un|anti)[-‐‑]$", re.IGNORECASE)
_GROUP_BEFORE = re.compile(r"(?<!\d)\d{1,3}[ \u00a0\u2009\u202f]?$")
_GROUP_AFTER = re.compile(r"[ \u00a0\u2009\u202f]?\d{3}(?!\d)")


def splits_word(text: str, at: int) -> bool:
    """Whether a cut at this offset goes through a word, a numeral with its sign, or a composed character.

    Scripts that are written without spaces may be cut anywhere between their letters.

    >>> splits_word("unable", 2), splits_word("an able", 2), splits_word("12%", 2), splits_word("3.5", 1)
    (True, False, False, True)
    """
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before.isalnum() and after.isalnum():
        return not (_UNSPACED.match(before) or _UNSPACED.match(after))
    if unicodedata.category(after)[0] == "M":
        return True
    ahead, behind = text[at + 1 : at + 2], text[at - 2 : at - 1] if at > 1 else ""
    if after in ".,'’":  # 3|.5  can|'t
        return (before.isdigit() and ahead.isdigit()) or (
            after in "'’" and before.isalpha() and ahead.isalpha()
        )
    if before in ".,'’":  # 3.|5  can'|t
        return (behind.isdigit() and after.isdigit()) or (
            before in "'’" and behind.isalpha() and after.isalpha()
        )
    if before in "-−–‐‑":  # -|5, but not 3-|5; non-|toxic
        sign = after.isdigit() and not behind.isalnum() and behind not in (")", "]")
        return sign or (after.isalpha() and _UNSAID.search(text, max(0, at - 6), at) is not None)
    if before.isspace() or after.isspace():  # 1 |000, 1| 000
        return (
            _GROUP_AFTER.match(text, at) is not None
            and _GROUP_BEFORE.search(text, max(0, at - 5), at) is not None
        )
    return False
