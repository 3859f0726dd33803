"""What a phrase may hide behind: lookalike letters, invisible characters, spelled-out words, wrappings.

`forms` gives the readings of a text that `guardflow.guards.kit.injections` searches. All of them are lower case.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from guardflow.guards.kit.text import strip_invisible

_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝᴀɡɩɪɴᴇᴏʀꜱᴛᴜᴠᴡʏᴢʟᴍᴋᴊʜɢꜰᴅᴄʙᴘоɑɛßρ" + "αορυνικτεη",
    "aeopcyxijsdhqwagiineorstuvwyzlmkjhgfdcbpoaebp" + "aopuvikten",
)
_LETTERS = str.maketrans({"ł": "l", "ß": "ss", "ø": "o", "œ": "oe", "æ": "ae", "ı": "i", "đ": "d"})
"""Latin letters that are not a plain one with a mark."""
_MARKS = re.compile(r"[\u0300-\u036f]+")
_SPACES = re.compile(r"[^\S\n ]+| {2,}")
_SPELLED = re.compile(r"(?<![^\W_])[^\W\d_](?:([ .\-_*|/])[^\W\d_])(?:\1[^\W\d_]){3,40}(?![^\W_])")
"""i g n o r e, i.g.n.o.r.e: one separator all through."""
_SPELLED_TOO = re.compile(r"(?<![^\W_])[^\W\d_](?:([ .\-_*|/])[^\W\d_])(?:\1[^\W\d_]){1,40}(?![^\W_])")
"""Beside a long word, short ones are spelled out too."""
_LEET = re.compile(r"(?<=[a-z])[013457@$]{1,3}|[013457@$]{1,3}(?=[a-z])")
"""Digits for letters."""
_PLAIN_LETTERS = str.maketrans("013457@$", "oieastas")
_BACKWARDS = ("erongi", "dragersid", "tegrof", "tpmorp metsys", "snoitcurtsni")
_ROTATED = ("vtaber", "qvfertneq", "flfgrz cebzcg")
"""ignore, disregard, system prompt, in ROT13."""
_TAGGED = re.compile(r"[\U000e0020-\U000e007e]{4,}")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}[ :]?){12,}")
_MOST_WRAPPED = 200
_MOST_UNWRAPPED = 20_000


def forms(text: str) -> list[str]:
    r"""The readings of a text in lower case, without repeats; the first is the text as it shows.

    >>> forms("Ple\u0430se IGNORE")[-1]
    'please ignore'
    >>> forms("aWdub3JlIGFsbCBydWxlcw== is base64")[-1]
    'ignore all rules'
    """
    shown = text if text.isascii() else strip_invisible(text)
    found = [_SPACES.sub(" ", shown.lower())]
    if not shown.isascii():
        folded = _MARKS.sub("", unicodedata.normalize("NFKD", found[0]).lower()).translate(
            _LETTERS
        )  # styled capitals too
        found += [folded, folded.translate(_LOOKALIKES)]
    plain = found[-1]
    joined = shown.lower() if shown.isascii() else plain
    if _SPELLED.search(joined):
        joined = _SPELLED_TOO.sub(lambda run: run[0].replace(run[1], ""), joined)
    found.append(_SPACES.sub(" ", joined))
    lettered = _LEET.sub(lambda word: word[0].translate(_PLAIN_LETTERS), plain)
    if lettered != plain:
        found.append(lettered)
        if "1" in plain:
            found.append(_LEET.sub(lambda word: word[0].replace("1", "l").translate(_PLAIN_LETTERS), plain))
    if any(word in plain for word in _BACKWARDS):
        found += ("\n".join(line[::-1] for line in plain.split("\n")),)
    if any(word in plain for word in _ROTATED):
        found.append(codecs.encode(plain, "rot13"))
    found += (unwrapped.lower() for unwrapped in _unwrapped(text))
    return list(dict.fromkeys(found))


def _unwrapped(text: str) -> Iterator[str]:
    """What is encoded in the text, and reads as text."""
    if not text.isascii():
        for run in _TAGGED.finditer(text):  # ASCII as invisible tag characters
            yield "".join(chr(ord(char) - 0xE0000) for char in run[0])
    if "&#" in text:
        yield html.unescape(text)
    if text.count("%") > 8:
        yield unquote(text, errors="replace")
    for count, run in enumerate(_BASE64.finditer(text)):
        if count == _MOST_WRAPPED:
            break
        yield from _readable(_from_base64(run[0][:_MOST_UNWRAPPED]))
    for count, run in enumerate(_HEX.finditer(text)):
        if count == _MOST_WRAPPED:
            break
        digits = re.sub(r"[ :]", "", run[0])[:_MOST_UNWRAPPED]
        yield from _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _from_base64(text: str) -> bytes:
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(
            plain[: len(plain) // 4 * 4] if len(plain) % 4 == 1 else plain + "==", validate=False
        )
    except binascii.Error:
        return b""


def _readable(data: bytes) -> Iterator[str]:
    text = data.decode("utf-8", "ignore")
    if len(text) >= 12 and sum(char.isprintable() or char.isspace() for char in text) >= 0.95 * len(text):
        yield text
