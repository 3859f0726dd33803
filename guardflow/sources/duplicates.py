"""Which documents say nearly the same: bottom-k sketches of word shingles, and clusters of them.

Pipelines count a cluster once, however often a text was syndicated. Pure; the same texts give the same clusters.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

SHINGLE = 5
"""Words a shingle holds."""
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")


@dataclass(frozen=True, slots=True)
class Sketch:
    """The ``k`` smallest hashes of a text's shingles, sorted; all of them if the text has no more."""

    k: int
    hashes: tuple[bytes, ...]


def sketch(text: str, *, k: int = 256) -> Sketch:
    """Bottom-k sketch (Cohen and Kaplan, PODC 2007) over shingles of five words, case and marks aside.

    Args:
        text: the text; one with fewer words than a shingle is one shingle.
        k: hashes to keep: the error of `similarity` is about ``1 / sqrt(k)`` at most.
    """
    words = _WORD.findall(text.casefold())
    if not words:
        return Sketch(k, ())
    last = max(1, len(words) - SHINGLE + 1)
    shingles = {"\0".join(words[i : i + SHINGLE]) for i in range(last)}
    hashes = sorted(
        blake2b(shingle.encode("utf-8", "replace"), digest_size=8).digest() for shingle in shingles
    )
    return Sketch(k, tuple(hashes[:k]))


def similarity(one: Sketch, other: Sketch) -> float:
    """The estimated Jaccard similarity of two texts' shingles, 0 to 1.

    >>> similarity(sketch("a b c d e f"), sketch("A, b; c d e. F!")), similarity(sketch("a"), sketch("b"))
    (1.0, 0.0)
    """
    if one.k != other.k:
        raise ValueError(f"sketches of {one.k} and {other.k} hashes cannot be compared: use one k")
    mine, theirs = set(one.hashes), set(other.hashes)
    smallest = sorted(mine | theirs)[: one.k]
    if not smallest:
        return 0.0
    return sum(value in mine and value in theirs for value in smallest) / len(smallest)


def clusters(texts: Iterable[str], *, threshold: float = 0.8, k: int = 256) -> list[tuple[int, ...]]:
    """Group near-copies: positions of the texts, the first of each group is what the others resemble.

    A text joins the group whose first text it resembles most, if that is at least ``threshold``; groups do
    not grow by chains. Texts without words stay alone.

    Args:
        texts: the texts, the preferred ones first.
        threshold: the least similarity, 0 to 1.
        k: hashes a sketch keeps.

    >>> clusters(["one two three four five six", "other words are here now too", "One two three four five, six."])
    [(0, 2), (1,)]
    """
    return cluster_sketches([sketch(text, k=k) for text in texts], threshold=threshold)


def cluster_sketches(sketches: Sequence[Sketch], *, threshold: float = 0.8) -> list[tuple[int, ...]]:
    """`clusters` for sketches that are there already."""
    groups: dict[int, list[int]] = {}
    holders: defaultdict[bytes, list[int]] = defaultdict(list)  # a hash -> the first texts that have it
    for at, mine in enumerate(sketches):
        shared = Counter(leader for value in mine.hashes for leader in holders[value])
        # What shares fewer hashes than this cannot be similar enough, so it is not compared.
        near = [leader for leader, count in shared.items() if count >= threshold * len(mine.hashes) / 2]
        best = max(near, key=lambda leader: (similarity(sketches[leader], mine), -leader), default=None)
        if best is not None and similarity(sketches[best], mine) >= threshold:
            groups[best].append(at)
            continue
        groups[at] = [at]
        for value in mine.hashes:
            holders[value].append(at)
    return [tuple(members) for members in groups.values()]
