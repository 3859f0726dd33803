"""Telephone numbers in a text: international ones by their country code, national ones by how they are grouped.

`guardflow.guards.kit.pii` searches with it. It knows no numbering plan but the North American one: whether a
number is in service, or could be, is not its question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

_CODES = frozenset(
    """
    1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66
    81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232
    233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258
    260 261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370
    371 372 373 374 375 376 377 378 379 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505
    506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 682
    683 685 686 687 688 689 690 691 692 850 852 853 855 856 880 886 960 961 962 963 964 965 966 967 968 970
    971 972 973 974 975 976 977 992 993 994 995 996 998
    """.split()  # noqa: SIM905 - a list of two hundred strings reads worse
)
"""Country codes of ITU-T E.164."""

LABELS = (
    r"tel|telephone|phone|mobile|mob|cell|fax|call|dial|ring|text|sms|whatsapp|telegram|signal|viber|hotline"
    r"|telefon|telefonnummer|handy|handynummer|rufnummer|mobil|téléphone|portable|appelez|teléfono|móvil"
    r"|celular|telefone|telemóvel|telefono|cellulare|telefoon|mobiel|puhelin|тел|телефон|звоните"
)
"""Words before a number that make it a telephone number."""
_OTHER = (
    r"isbn|issn|doi|orders?|invoice|ticket|ref|reference|version|sku|part|serial|tracking|case|po|batch|lot|model"
    r"|bestellung|bestellnummer|rechnung|facture|commande|pedido|factura|article|artikel|item|account|konto"
)
"""Words before a number that make it something else."""

_BETWEEN = r"(?: ?\(\d{1,5}\) ?| ?[-./] ?| )?"
_INTERNATIONAL = re.compile(
    rf"(?<![\w+])(?:\+ ?|(?<!\d[ -])00)(?=[1-9])(\d(?:{_BETWEEN}\d){{6,14}})(?![\w]|[-.,]\d)"
)
_NORTH_AMERICAN = re.compile(
    r"(?<![\w.+])(?<!\d-)(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d(?P<mark>[-.]))[2-9]\d\d[-. ]\d{4}(?![\w]|[-.,]\d)"
)
_TRUNK = re.compile(
    r"(?<![\w.,+/:])(?<!\d[- ])(?:\(0[1-9]\d{0,4}\)|0[1-9]\d{0,4})(?: ?[-./] ?| )?\d{2,8}(?:[-. ]\d{2,8}){0,4}"
    r"(?![\w]|[-.,/:]\d)"
)
_LABELLED = re.compile(r"(?<![\w+])\(?\d[\d ().\-/]{5,20}\d(?!\w)")
_ROW = re.compile(r"[\d ().\-/]{7,}+")
"""What any of these is made of, after its plus sign: only such rows are searched, which are few in prose."""
_DATED = re.compile(r"\d{1,2}([-./ ])\d{1,2}\1(?:19|20)\d\d")
_REGULAR = re.compile(r"(\d)\1{6}|0{5}|0?123456789")
"""Runs that round or made-up numbers have."""


def phones(text: str, named: Callable[[int, str], bool]) -> Iterator[tuple[int, int]]:
    """Where telephone numbers are in a folded text (see `guardflow.guards.kit.folding`).

    Args:
        text: where to look.
        named: whether one of some words stands shortly before an offset.
    """
    rows = [(max(0, row.start() - 1), row.end() + 2) for row in _ROW.finditer(text)]
    for found in _in_rows(_INTERNATIONAL, text, rows):
        if _international(re.sub(r"\D", "", found[1])) and not _REGULAR.search(found[1]):
            yield found.span()
    for found in _in_rows(_NORTH_AMERICAN, text, rows):
        if not named(found.start(), _OTHER):
            yield found.span()
    for found in _in_rows(_TRUNK, text, rows):
        digits = re.sub(r"\D", "", found[0])
        if (
            9 <= len(digits) <= 11
            and not _DATED.match(found[0])
            and not _REGULAR.search(found[0])
            and not named(found.start(), _OTHER)
        ):
            yield found.span()
    for found in _in_rows(_LABELLED, text, rows):
        digits = sum(char.isdecimal() for char in found[0])
        if 7 <= digits <= 15 and not _DATED.match(found[0]) and named(found.start(), LABELS):
            yield found.span()


def _in_rows(pattern: re.Pattern[str], text: str, rows: Sequence[tuple[int, int]]) -> Iterator[re.Match[str]]:
    for first, last in rows:
        yield from pattern.finditer(text, first, last)


def _international(digits: str) -> bool:
    code = next((digits[:n] for n in (1, 2, 3) if digits[:n] in _CODES), None)
    if code is None or not 8 <= len(digits) <= 15:
        return False
    if code == "1":
        return len(digits) == 11 and digits[1] in "23456789" and digits[4] in "23456789"
    return True
