"""Words as the full-text index sees them. Languages that write without spaces get one around each character.

`guardflow.sources.corpus` and its index call it; document texts themselves stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPACED_OUT = re.compile(rf"(?<=[{_UNSPACED}])(?=\w)|(?<=\w)(?=[{_UNSPACED}])")
_ANY = re.compile(f"[{_UNSPACED}]")
_BETWEEN = re.compile(rf"(?<=[{_UNSPACED}]) (?=\w)|(?<=\w) (?=[{_UNSPACED}])")
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")


def spaced(text: str) -> str:
    """The text as it is indexed.

    >>> spaced("SQLite 全文検索")
    'SQLite 全 文 検 索'
    """
    return _SPACED_OUT.sub(" ", text) if not text.isascii() and _ANY.search(text) else text


def unspaced(text: str) -> str:
    """Undo `spaced`, for showing."""
    return _BETWEEN.sub("", text) if not text.isascii() else text


def search_words(query: str) -> list[str]:
    """The different words of a query, each as a quoted FTS5 string: whatever is in them, they are data.

    Where words are not spaced apart, every two characters that stand together are one.

    >>> search_words('NEAR("a" -b*) OR 全文検')
    ['"NEAR"', '"a"', '"b"', '"OR"', '"全 文"', '"文 検"']
    """
    text = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in query[:10_000])
    return [f'"{spaced(word)}"' for word in dict.fromkeys(_words(text))]


def _words(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        if _ANY.match(word) and len(word) > 2:
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield word
