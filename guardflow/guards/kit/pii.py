"""Personal data in answers: addresses, telephone numbers, cards, accounts and national numbers.

Found by shape and check digits, offline. No finding of this guard, and nothing `mask_pii` returns, holds what
it has found. Names, street addresses and birthdays have no shape: it does not look for them.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar, cast, get_args

from pydantic import BaseModel, RootModel

from guardflow.errors import StageError
from guardflow.guards.core import Guard
from guardflow.guards.kit.checksums import luhn, mod_97
from guardflow.guards.kit.folding import fold
from guardflow.guards.kit.national import national_ids
from guardflow.guards.kit.phones import phones
from guardflow.guards.paths import leaves, texts
from guardflow.values import Finding, Path

OutT = TypeVar("OutT")

PiiKind = Literal["card", "iban", "national id", "email", "phone", "ip"]
"""What is looked for. Where two overlap, the earlier one names it."""
PII: tuple[PiiKind, ...] = ("card", "iban", "national id", "email", "phone")
"""What is looked for unless it is said otherwise: all but addresses of machines."""

_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL SD FK", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE",
        "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Characters of an account number, from the registry of ISO 13616."""
_IBAN = re.compile(r"(?<![^\W_])([A-Z]{2})\d{2}(?=[ -]?[A-Z0-9])", re.IGNORECASE)

_CARD = re.compile(
    r"(?<![\w])(?<!\d[-.])(?=(\d{12,19}(?!\w)|\d{4}([ .-])\d{4}\2\d{4}\2\d{4}(?:\2\d{3})?(?!\w)"
    r"|\d{4}([ .-])\d{6}\3\d{4,5}(?!\w)|(?<!\d[ -])\d(?:[ -]\d){12,18}(?!\w)))"
)
_CARD_ROW = re.compile(r"[\d .-]{12,}+")
"""What the number of a card is made of: only such rows are searched, which are few in prose."""
_CARD_LENGTHS = (
    (re.compile(r"4"), (13, 16, 19)),  # Visa
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"6011|64[4-9]|65"), (16, 19)),  # Discover
    (re.compile(r"30[0-5]|36|3[89]"), (14, 16)),  # Diners Club
    (re.compile(r"35(?:2[89]|[3-8])"), (16, 19)),  # JCB
    (re.compile(r"62"), (16, 17, 18, 19)),  # UnionPay
    (re.compile(r"220[0-4]"), (16,)),  # Mir
    (re.compile(r"50(?:18|20|38)|5893|6304|6759|676[1-3]"), (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
)

_AT = re.compile(r"@| ?[\[({] ?at ?[\])}] ?", re.IGNORECASE)
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.| ?[\[({] ?dot ?[\])}] ?)){1,6}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w-]|\.\w)",
    re.IGNORECASE,
)
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)

_SHORTEST_NUMBER = 7


class Personal(NamedTuple):
    """Where personal data is in a text, and what kind it is. It does not hold the data."""

    start: int
    end: int
    kind: PiiKind


def find_pii(text: str, *, kinds: Collection[PiiKind] = PII, label: str = "") -> list[Personal]:
    """The personal data in a text, in order.

    Cards pass Luhn's check and have a length that their issuer uses, accounts pass mod 97 and have their
    country's length, national numbers pass their country's rules (see `guardflow.guards.kit.national`).

    Args:
        text: where to look.
        kinds: what to look for.
        label: what the text is said to be, as a field's name: some numbers count only where they are named.

    >>> [p.kind for p in find_pii("Write to ada@lovelace.org or call +44 20 7946 0958.")]
    ['email', 'phone']
    >>> find_pii("Order 4111 1111 1111 1112 of 2024-05-01")
    []
    """
    folded = fold(text)
    plain = folded.text
    has_numbers = (
        sum(1 for _, _ in zip(re.finditer(r"\d", plain), range(_SHORTEST_NUMBER), strict=False)) >= 4
    )

    def named(at: int, words: str) -> bool:
        before = plain[max(0, at - 32) : at]
        if at < 32:
            before = f"{label.replace('_', ' ')} {before}"
        return re.search(rf"(?<![^\W_])(?:{words})(?![^\W_])[^\n]*\Z", before, re.IGNORECASE) is not None

    searched: dict[PiiKind, Callable[[], Iterable[tuple[int, int]]]] = {
        "card": lambda: _cards(plain),
        "iban": lambda: _ibans(plain),
        "national id": lambda: national_ids(plain, named),
        "email": lambda: _emails(plain),
        "phone": lambda: phones(plain, named),
        "ip": lambda: _addresses(plain),
    }
    found: list[tuple[int, int, int, PiiKind]] = [
        (start, order, end, kind)
        for order, (kind, search) in enumerate(searched.items())
        if kind in kinds and (has_numbers or kind in {"email", "ip"})
        for start, end in search()
    ]
    return [Personal(*folded.span(start, end), kind) for start, end, kind in _apart(sorted(found))]


def _apart(found: Iterable[tuple[int, int, int, PiiKind]]) -> Iterator[tuple[int, int, PiiKind]]:
    """What overlaps is one thing, named by the kind that comes first in `PiiKind`."""
    held: tuple[int, int, int, PiiKind] | None = None
    for start, order, end, kind in found:
        if held is None:
            held = (start, order, end, kind)
        elif start < held[2]:
            held = (held[0], *min((held[1], max(end, held[2]), held[3]), (order, max(end, held[2]), kind)))
        else:
            yield held[0], held[2], held[3]
            held = (start, order, end, kind)
    if held is not None:
        yield held[0], held[2], held[3]


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for row in _CARD_ROW.finditer(text):
        for found in _CARD.finditer(text, row.start(), row.end() + 1):
            digits = re.sub(r"\D", "", found[1])
            issued = any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _CARD_LENGTHS)
            if issued and luhn(digits):
                yield found.span(1)


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for found in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(found[1].upper())
        if length is None:
            continue
        at, taken = found.start(), ""
        while at < len(text) and len(taken) < length:
            char = text[at]
            if char.isascii() and char.isalnum():
                taken += char.upper()
            elif char not in " -" or text[at - 1] in " -":
                break
            at += 1
        ends = not text[at : at + 1].isalnum()
        if len(taken) == length and ends and mod_97(taken[4:] + taken[:4]) == 1:
            yield found.start(), at


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for found in _AT.finditer(text):
        domain = _DOMAIN.match(text, found.end())
        if domain is None:
            continue
        at = max(0, found.start() - 64)
        local = _LOCAL.search(text[at : found.start()])
        if local is None:
            continue
        written = local[0].lstrip("!#$%&'*+/=?^`{|}~.-")
        if not written or written.endswith(".") or text[at + local.start() - 1 : at + local.start()] == "@":
            continue  # @user@host is the handle of a server, not a mailbox
        if written == "git" and text[domain.end() : domain.end() + 1] in {":", "/"}:
            continue  # a repository
        yield found.start() - len(written), domain.end()


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    for found in (*_IP4.finditer(text), *_IP6.finditer(text)):
        try:
            address = ipaddress.ip_address(found[0])
        except ValueError:
            continue
        if address.is_global:
            yield found.span()


# --- the guard ------------------------------------------------------------------------------------------------


def _mask(text: str, kinds: Collection[PiiKind], allowed: Collection[str], label: str) -> str:
    pieces: list[str] = []
    done = 0
    for personal in find_pii(text, kinds=kinds, label=label):
        if text[personal.start : personal.end].casefold() in allowed:
            continue
        pieces += (text[done : personal.start], f"[{personal.kind}]")
        done = personal.end
    return "".join(pieces) + text[done:]


def no_pii(
    at: str | None = None,
    /,
    *,
    kinds: Collection[PiiKind] = PII,
    allow: Collection[str] = (),
    name: str = "no_pii",
) -> Guard[object, object]:
    """A guard: the answer holds no personal data (see `find_pii`), in texts, whole numbers and keys.

    Evidence says what was found and how long it is, never the thing itself. ``.fix(mask_pii())`` puts
    ``[email]`` in its place.

    Args:
        at: where to look, as a path pattern; None is everywhere.
        kinds: what to look for.
        allow: texts that may stand, as ``"support@acme.org"``; case does not count.
        name: what findings call the guard.

    Raises:
        StageError: there is no such kind.

    >>> guard = no_pii()
    >>> [(f.where(), f.message, f.evidence) for f in guard({"note": "ask ada@lovelace.org"})]
    [('$.note', 'holds an email address; leave it out', '[email, 16 characters]')]
    """
    wanted = _known(kinds, name)
    allowed = frozenset(text.casefold() for text in allow)

    def check(answer: object) -> Iterator[Finding]:
        for path, text in _written(answer, at):
            where = _told(path, wanted)
            if len(where) < len(path):
                yield Finding("has a key that is personal data", at=where)
            for start, end, kind in find_pii(text, kinds=wanted, label=_label(path)):
                if text[start:end].casefold() not in allowed:
                    yield Finding(
                        f"holds {_ARTICLES[kind]}; leave it out",
                        at=where,
                        evidence=f"[{kind}, {end - start} characters]",
                    )

    return Guard(check, name=name)


_ARTICLES: dict[PiiKind, str] = {
    "card": "a payment card's number",
    "iban": "a bank account's number",
    "national id": "what looks like a national identity, tax or insurance number",
    "email": "an email address",
    "phone": "what looks like a telephone number",
    "ip": "an IP address",
}


def _known(kinds: Collection[PiiKind], name: str) -> frozenset[PiiKind]:
    unknown = set(kinds) - set(get_args(PiiKind))
    if unknown or not kinds or isinstance(kinds, str):
        told = f"kinds={kinds!r}" if isinstance(kinds, str) or not kinds else f"kind {min(unknown)!r}"
        raise StageError(
            f"guard {name!r} cannot look for {told}",
            hint=f"give a tuple of {', '.join(map(repr, get_args(PiiKind)))}",
        )
    return frozenset(kinds)


def _label(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _written(value: object, at: str | None) -> Iterator[tuple[Path, str]]:
    """Every text, and whole numbers that are long enough to be personal data."""
    yield from texts(value, at)
    for where, leaf in leaves(value, at):
        if isinstance(leaf, int) and abs(leaf) >= 10**_SHORTEST_NUMBER:
            yield where, str(leaf)


def _told(path: Path, kinds: Collection[PiiKind]) -> Path:
    """The path up to the first key that is personal data itself."""
    for n, part in enumerate(path):
        if find_pii(str(part), kinds=kinds) if not isinstance(part, int) or part >= 10**7 else ():
            return path[:n]
    return path


def mask_pii(
    *, kinds: Collection[PiiKind] = PII, allow: Collection[str] = ()
) -> Callable[[OutT, Sequence[Finding]], OutT]:
    """What ``no_pii(...).fix`` takes: it puts ``[card]``, ``[email]``, ... in the place of personal data.

    Texts are masked wherever they stand, keys and numbers never: what is found there stays found.

    Args:
        kinds: what to mask; as the guard's.
        allow: texts that may stand; as the guard's.

    Raises:
        StageError: there is no such kind.

    >>> mask_pii()({"note": "ask ada@lovelace.org", "n": 3}, [])
    {'note': 'ask [email]', 'n': 3}
    """
    wanted = _known(kinds, "mask_pii")
    allowed = frozenset(text.casefold() for text in allow)

    def mask(text: str, label: str) -> str:
        return _mask(text, wanted, allowed, label)

    def repair(value: OutT, _: Sequence[Finding]) -> OutT:
        return cast("OutT", _masked(value, mask, ""))

    return repair


def _masked(value: object, mask: Callable[[str, str], str], label: str) -> object:
    if type(value) is str:
        return mask(value, label)
    if isinstance(value, RootModel):
        held = cast("RootModel[object]", value)
        return held.model_copy(update={"root": _masked(held.root, mask, label)})
    if isinstance(value, BaseModel):
        fields = {**{n: value.__dict__[n] for n in type(value).model_fields}, **(value.model_extra or {})}
        return value.model_copy(update={n: _masked(held, mask, n) for n, held in fields.items()})
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {key: _masked(held, mask, str(key)) for key, held in mapping.items()}
    if type(value) in {list, tuple, set, frozenset}:
        items = cast("Iterable[object]", value)
        make = cast("Callable[[Iterable[object]], object]", type(items))
        return make(_masked(item, mask, label) for item in items)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **{n: _masked(part, mask, n) for n, part in held.items()})
    return value
