"""The text of a PDF, page after page, within bounds of time and size.

`guardflow.sources.reading` calls it. Broken files end in `Unreadable`, never in a traceback.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from datetime import date
from typing import IO

from .errors import Unreadable

MOST_PAGES = 5_000
MOST_SECONDS = 60.0
_DATE = re.compile(r"D?:?(\d{4})(\d{2})(\d{2})")


@dataclass(frozen=True, slots=True)
class PdfText:
    """The text, its pages parted by blank lines, and what the file says about itself."""

    text: str
    title: str
    published: date | None
    cut: bool


def read_pdf(stream: IO[bytes], *, most_chars: int, most_seconds: float = MOST_SECONDS) -> PdfText:
    """Extract the text of all pages; ``cut`` if there were more pages, characters or seconds than allowed.

    Raises:
        Unreadable: it is encrypted, broken, or holds no text (a scan).
    """
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of every flaw that it repairs
    # A file that anybody may open is decrypted by the reader itself; any other one raises.
    end = time.monotonic() + most_seconds
    pieces: list[str] = []
    total = broken = 0
    cut = False
    try:
        reader = PdfReader(stream, strict=False)
        count = len(reader.pages)
        for number in range(count):
            if number >= MOST_PAGES or total >= most_chars or time.monotonic() > end:
                cut = True
                break
            try:
                text = reader.pages[number].extract_text()
            except Exception:  # noqa: BLE001 - see below; the other pages may be whole
                broken += 1
                continue
            pieces.append(text[: most_chars - total])
            total += len(text)
        title = reader.metadata.title if reader.metadata else None
        made = reader.metadata.get("/CreationDate") if reader.metadata else None
    except Exception as error:  # a parser of hostile files raises whatever it trips over
        raise Unreadable(_reason(error)) from error
    if not any(piece.strip() for piece in pieces):
        raise Unreadable(
            f"none of its {broken} pages can be read" if broken else "it holds no text, only pictures"
        )
    return PdfText(
        "\n\n".join(pieces), str(title or "")[:300].strip(), _day(str(made or "")), cut or broken > 0
    )


def _reason(error: Exception) -> str:
    if type(error).__name__ in ("DependencyError", "FileNotDecryptedError", "WrongPasswordError"):
        return "it is encrypted"
    return f"it is a broken PDF ({type(error).__name__})"


def _day(made: str) -> date | None:
    found = _DATE.match(made)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None
