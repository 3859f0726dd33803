"""What reaches the terminal: results on stdout, everything else on stderr, and nothing that could act on it.

Text from models, pages and databases passes `clean` before it is printed.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from guardflow.errors import GuardflowError, SinkError
from guardflow.hashing import JSON

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

SCHEMA_VERSION = 1

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[@-Z\\-_])"
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """The text without terminal escapes, control characters (but line ends and tabs) and bidi controls."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n"))).encode("utf-8", "replace").decode()


def line(text: str) -> str:
    """The text as one clean line: a line end in data must not look like a line of ours."""
    return " ".join(clean(text).split())


def cell(text: object, *, style: str = "") -> Text:
    """One clean line for a table or a tree; markup in it stays text."""
    from rich.text import Text

    return Text(line(str(text)), style=style)


def print_result(text: str) -> None:
    """Print a result to stdout."""
    _emit(clean(text).rstrip("\n"))


def print_json(document: dict[str, JSON]) -> None:
    """Print one JSON document to stdout. Escapes stay escaped, so nothing in it can act on a terminal."""
    _emit(json.dumps({"schema_version": SCHEMA_VERSION, **document}, ensure_ascii=True, indent=2))


def _emit(text: str) -> None:
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # nobody reads on: `main` ends quietly
    except OSError as error:
        forget_stdout()
        raise SinkError(
            f"stdout cannot be written: {error.strerror}",
            hint="the run is kept: see `guardflow runs list`, and resume it to have its result again",
        ) from error


def forget_stdout() -> None:
    """Let what is left in the buffer go nowhere: else the interpreter fails once more when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_closed_streams() -> None:
    """Lead standard streams that were closed (``>&-``) nowhere, so that no database takes their number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", encoding="utf-8"))


def console() -> Console:
    """The console on stderr; honours NO_COLOR, TERM=dumb and CI."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def table_console() -> Console:
    """The console on stdout, for results that are tables. Not cut to 80 columns when piped."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=200)


def say(text: str) -> None:
    """One line for the person, on stderr."""
    sys.stderr.write(clean(text) + "\n")


def fail(error: GuardflowError) -> None:
    """Tell what happened, why, and what to do."""
    say("error: " + clean(error.message).replace("\n", "\n  "))
    if error.hint:
        say("  try: " + clean(error.hint).replace("\n", "\n  "))


def cost(nano_usd: int, unpriced: int) -> str:
    """What calls cost, when the price of some of them is unknown."""
    if not unpriced:
        return money(nano_usd)
    return f"{money(nano_usd)} + {count(unpriced, 'call')} of unknown price" if nano_usd else "unknown price"


def count(number: int, noun: str) -> str:
    """``1 call``, ``2 calls``, ``12,345 tokens``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def money(nano_usd: int | None) -> str:
    """An amount as people read it; an unknown one is never 0."""
    if nano_usd is None:
        return "unknown price"
    usd = nano_usd / 1_000_000_000
    return "0 USD" if nano_usd == 0 else f"{usd:.4f} USD" if usd >= 0.0001 else "<0.0001 USD"
