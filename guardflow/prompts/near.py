"""“Did you mean …?” for every name a prompt file can get wrong."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A hint that names what is close to ``name``, else what there is, else ``otherwise``.

    >>> did_you_mean("temprature", ["temperature", "max_tokens"])
    "did you mean 'temperature'?"
    """
    options = sorted(set(known))
    close = get_close_matches(name, options, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(option) for option in close)}?"
    if options and len(options) <= 12:
        return f"use one of {', '.join(repr(option) for option in options)}"
    return otherwise
