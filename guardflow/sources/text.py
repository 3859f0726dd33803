"""Bytes and characters from outside made into plain text: decoding, and nothing invisible left in it.

Every reader of this package calls it. What is taken out is reported as a flag; what a reader sees stays.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from guardflow.guards.kit.wordset import word_set

ENCODINGS = frozenset(
    codecs.lookup(name).name
    for name in word_set(
        "utf-8 utf-16-le utf-16-be cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 "
        "cp866 cp874 koi8-r koi8-u mac-roman mac-cyrillic gb2312 gbk gb18030 big5 big5hkscs euc-jp shift_jis cp932 "
        "iso2022_jp euc-kr cp949 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 "
        "iso8859-13 iso8859-14 iso8859-15 iso8859-16"
    )
)
"""What a page may declare. Not among them: utf-7 and the escapes, in which markup can hide."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r\f\x1b")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and the encoding it was in."""

    text: str
    encoding: str


def decode(data: bytes, declared: str | None = None) -> Decoded | None:
    """Read bytes as text; None if they are no text.

    A byte order mark decides; then valid UTF-8, which nothing else looks like; then what was declared; then
    UTF-16 by its zeros; then Windows-1252. Bytes that stand for nothing become U+FFFD. A character that is cut
    off at the end is dropped.

    Args:
        data: the bytes.
        declared: the encoding a header or the page itself names.

    >>> decode("Zürich".encode("cp1252"))
    Decoded(text='Zürich', encoding='cp1252')
    >>> decode(bytes(range(256))) is None
    True
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return Decoded(_incremental(data[len(mark) :], name, "replace"), name)
    sample = data[:8192]
    zeros = sample.count(0)
    if not zeros:
        try:
            text = _incremental(data, "utf-8", "strict")
        except UnicodeDecodeError:
            pass
        else:
            return Decoded(text, "utf-8") if not _is_binary(sample) else None
    if (name := known_encoding(declared)) and not (zeros and not name.startswith("utf-")):
        return Decoded(_incremental(data, name, "replace"), name)
    if zeros:
        return _utf16(data, sample)
    if _is_binary(sample):
        return None
    return Decoded(_incremental(data, "cp1252", "replace"), "cp1252")


def known_encoding(declared: str | None) -> str | None:
    """The codec of a declared encoding; None if there is none that a page may use."""
    if not declared:
        return None
    try:
        name = codecs.lookup(declared.strip("\"' \t\r\n")).name
    except (LookupError, ValueError):
        return None
    if name in ("ascii", "iso8859-1"):  # browsers read both as Windows-1252
        return "cp1252"
    if name == "utf-16":  # without a mark, which is looked at before
        return "utf-16-le"
    return name if name in ENCODINGS else None


def _incremental(data: bytes, name: str, errors: str) -> str:
    return codecs.getincrementaldecoder(name)(errors).decode(data, final=False)


def _is_binary(sample: bytes) -> bool:
    return len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) // 50


def _utf16(data: bytes, sample: bytes) -> Decoded | None:
    """UTF-16 without a mark: nearly every second byte of Western text is zero, always on the same side."""
    half = max(len(sample) // 2, 1)
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > 0.6 * half and even < 0.05 * half:
        name = "utf-16-le"
    elif even > 0.6 * half and odd < 0.05 * half:
        name = "utf-16-be"
    else:
        return None
    text = _incremental(data, name, "replace")
    return None if _is_binary(text[:4096].encode("utf-8", "replace")) else Decoded(text, name)


_JOINED = (
    r"\u0600-\u06ff\u0700-\u074f\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff\u0f00-\u0fff\u1000-\u109f"
    r"\u1780-\u17ff\u1800-\u18af"
)
_PICTURES = r"\u2600-\u27bf\ufe0f\U0001f000-\U0001faff"
# Joiners are letters' shapes in Persian, Hindi and others, and glue in emoji; anywhere else they hide something.
_JOINERS = rf"(?<![{_JOINED}{_PICTURES}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}{_PICTURES}])"
_SMUGGLING = r"\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff\ufe00-\ufe0d"
"""Bidi overrides, tag characters and selectors: what carries hidden or misleading text."""
_SMUGGLED = re.compile(f"[{_SMUGGLING}]")
_UNSEEN = re.compile(
    rf"{_JOINERS}|[{_SMUGGLING}\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    r"\u180b-\u180f\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff]"
)
_LINE_END = re.compile(r"\r\n?|[\x85\u2028\u2029\f]")
_TRAILING = re.compile(r"(?<![^\S\n])[^\S\n]+$", re.MULTILINE)
_MANY_BLANK = re.compile(r"\n{3,}")


def visible(text: str) -> tuple[str, tuple[str, ...]]:
    r"""The text without what nobody sees, and the flags that this raises.

    Taken out: zero-width characters, bidi controls, tag characters, selectors, C0 and C1 controls, lone
    surrogates. Joiners stay where a script or an emoji needs them. Lines end with ``\n``, at most one blank
    line stands between two paragraphs, and no white space stands at the end of a line.

    >>> visible("pay\u200b now\U000e0041\r\n")
    ('pay now', ('invisible-characters',))
    """
    text = _LINE_END.sub("\n", text)
    flags: tuple[str, ...] = ()
    if not text.isascii() or not text.isprintable():
        smuggled = _SMUGGLED.search(text) is not None
        text = _UNSEEN.sub("", text)
        flags = ("invisible-characters",) if smuggled else ()
    text = _TRAILING.sub("", text)
    return _MANY_BLANK.sub("\n\n", text).strip(), flags
