"""The part of a text that shows why a search found it: verbatim, short, and quick for any length of text.

`guardflow.sources.corpus` calls it. FTS5's own function takes minutes where a word stands a million times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SEARCHED = 400_000
"""Characters from the start of a text that are looked through."""
_MOST_PLACES = 200
_STEM = 5


def snippet(text: str, words: Sequence[str], *, width: int = 240) -> str:
    """The stretch of a text with the most different words of a query, white space evened out.

    Args:
        text: the document's text.
        words: the words, as they were searched for.
        width: about how many characters to show.

    >>> snippet("One two. " * 50 + "The harbours were rebuilt.", ["harbour", "rebuild"], width=30)
    '… The harbours were rebuilt.'
    """
    places = _places(text[:_SEARCHED], words)
    start = _best_start(places, width) if places else 0
    start = max(0, start - width // 4)
    if start:
        start = text.find(" ", start, start + 40) + 1 or start
    end = start + width
    if end < len(text):
        space = text.rfind(" ", max(start, end - 40), end)
        end = space if space > start else end
    shown = " ".join(text[start:end].split())
    return f"{'… ' if start else ''}{shown}{' …' if end < len(text) else ''}"


def _places(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where words begin that begin alike, and which ones; words are compared by their first letters."""
    beginnings = dict.fromkeys(word.casefold()[:_STEM] for word in words)
    if not beginnings:
        return []
    order = {beginning: at for at, beginning in enumerate(beginnings)}
    pattern = re.compile("|".join(map(re.escape, sorted(beginnings, key=len, reverse=True))))
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters grow when lowered: then places would not be the text's
        lowered = text
    found: list[tuple[int, int]] = []
    for match in pattern.finditer(lowered):
        found.append((match.start(), order[match.group()]))
        if len(found) >= _MOST_PLACES:
            break
    return found


def _best_start(places: list[tuple[int, int]], width: int) -> int:
    """The place from which most different words follow within the width; the first of equals."""
    best, most = places[0][0], 0
    for at, (start, _) in enumerate(places):
        different = len({word for place, word in places[at : at + 40] if place < start + width})
        if different > most:
            best, most = start, different
    return best
