"""What a run needs besides its input, made from it: so that a resumed run finds the same sources.

The command line calls it for ``run``, ``research`` and ``runs resume``; in Python, pass resources to the Runtime.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from guardflow import Corpus, WebFetcher

from .types import ResearchRequest

_TOLD = 10
"""Skipped files that are named; the rest is counted."""


def resources(request: ResearchRequest) -> list[object]:
    """The corpus of the request's folders, of guardflow's own guide if it names no source, and a fetcher for pages.

    Raises:
        UsageError: a folder is not there.
    """
    made: list[object] = []
    if request.corpus or not request.urls:
        folders = list(request.corpus) or [str(Path(str(files("guardflow"))) / "guide")]
        corpus = Corpus.open(folders)
        made.append(corpus)
        _tell([f"skipped {skipped.path!r}: {skipped.why}" for skipped in corpus.report.skipped])
        if not corpus.stats().documents:
            _tell([f"nothing to read in {', '.join(folders)}: no .md, .txt, .html or .pdf file with text"])
    if request.urls:
        made.append(WebFetcher())
    return made


def _tell(lines: list[str]) -> None:
    rest = [f"... and {len(lines) - _TOLD} more files"] if len(lines) > _TOLD else []
    for line in (*lines[:_TOLD], *rest):
        print(line, file=sys.stderr)  # noqa: T201  # the one place where skipped files are told before a run
