"""Turns of a conversation that a text makes up, and addresses that carry data away: found by how they are written.

`guardflow.guards.kit.injections` calls it on whole readings; what is said in words is for
`guardflow.guards.kit.orders`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guardflow.guards.kit.concepts import row_of
from guardflow.guards.kit.wordset import word_set

_MARKS: dict[str, re.Pattern[str]] = {
    "override": re.compile(
        r"ignore[a-z]{0,12}(?:previous|prior|above)[a-z]{0,12}(?:instruction|rule|prompt)"
    ),
    "role": re.compile(
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|begin_of_text)\|>|\[/?inst\]|<</?sys>>"
        r"|<(?:start|end)_of_turn>|^#{2,4} ?(?:instruction|response):[ \t]*$",
        re.MULTILINE,
    ),
    "tool": re.compile(r"<(?:tool_call|function_call|invoke|antml)\b"),
}
_SPEAKER = re.compile(
    r"^[ \t>*#\"'\[-]{0,12}(?:system|assistant|developer|ai)(?:[ \t](?:prompt|message|note|notice|override|update|instructions?|command))?"
    r"[\]*\"' \t]{0,4}(?:[:：]|(?<=\]))[ \t]*(\S.{0,300})",
    re.MULTILINE,
)
_ROLE = re.compile(r"\"role\"\s{0,4}:\s{0,4}\"(?:system|assistant|developer)\"(.{0,300})")
_TURN = re.compile(
    r"^[ \t>*#\"'\[-]{0,12}(user|human|assistant|ai|system)[\]*\"' \t]{0,4}[:：]([^\n]{0,300})", re.MULTILINE
)
_TAG = re.compile(
    r"<(/?)(system|assistant|human|user|document|context|instructions?|data|input|user_input|untrusted|tool_result)>"
)
_MOST_TAGS = 400
# The letters of the next two are concepts: `CONCEPTS` in `guardflow.guards.kit.concepts` is their key.
_SPEECH = re.compile(r"[YV1FOBML2γ]|[yx][^|]?r|r[^|]*P|N[A3]|md|A[^|]{0,2}[GE]")
"""What a line has that is spoken in a conversation with a model; a setting or a log has not."""
_TOLD = re.compile(r"[V1FOBLγ]|[yx][^|]?r|N[^|]{0,3}r|r[^|]*P|N[A3]|A[^|]{0,2}[GE6]|C")
"""What a made-up turn has; a harmless sample of a conversation has not."""
_IMAGE = re.compile(r"!\[[^\]\n]{0,100}\]\(\s*https?://[^)\s?]{0,300}\?([^)\n]{0,300})")
_LINK = re.compile(
    r"https?://[^\s)\"'>?]{0,300}\?[^\s\"'){\[<$]{0,100}=\s?(?:[{<\[$]|%7b|%5b){1,2}[a-z_ -]{0,40}"
    r"(?:chat|histor|conversation|summar|secret|password|prompt|context|messages|memory|user_?data|api_?key|token)"
)
_LOOKS = word_set(
    "w h width height size scale style color colour logo label branch v version format fit crop quality q auto dpr theme "
    "lang s raw job event workflow fm cache ssl ixlib svg service logocolor labelcolor maxage include_prereleases url"
)
"""What the address of a picture asks for when it asks how the picture looks; a number it may ask for too."""
_NUMBERS = re.compile(r"[\d.,:x_-]*")
_OPEN = re.compile(r"https?://[^\s)\"'>?]{0,300}\?[^\s\"')]{0,200}=(?=\s|$)")
"""An address whose last value is still to be put in."""
_ASIDE = re.compile(r"<!--(.{1,600}?)-->|^\[//\]: # [(\"'](.{1,600})$", re.MULTILINE | re.DOTALL)
_WHISPERED = re.compile(r"^[^|]{0,2}!?(?:[V1][^|]{0,3}[tTOBrE]|H[^|]?U|A[^|]?G|A[^|]{0,2}6|[5L])")
"""What nobody writes to colleagues in a comment that readers do not see."""
_DATA = re.compile(r"[{}\[\]<>$]|%7b|%5b|[a-z0-9+/_-]{60,}|(?:%20|\+|\s)[a-z]")


def made_up(reading: str) -> Iterator[tuple[str, str]]:
    """What is written as a turn of a conversation, or as an address that carries data, as kind and words."""
    for kind, marks in _MARKS.items():
        if mark := marks.search(reading):
            yield kind, mark[0].strip()
    if turn := _spoken(reading) or _pair(reading) or _broken_out(reading):
        yield "role", turn.strip()[:80]
    for aside in _ASIDE.finditer(reading):
        if _WHISPERED.search(_letters(aside[1] or aside[2])):
            yield "addressed", aside[0].strip()[:80]
            break
    if address := _carrying(reading):
        yield "exfiltration", address[:200]


def _letters(text: str) -> str:
    return row_of(text).letters


def _spoken(reading: str) -> str:
    """A line of the system or the assistant that says something to somebody."""
    for line in _SPEAKER.finditer(reading):
        if _SPEECH.search(_letters(line[1])):
            return line[0]
    for line in _ROLE.finditer(reading):
        if _TOLD.search(_letters(line[1])):
            return line[0]
    return ""


def _pair(reading: str) -> str:
    """A turn of the user's with one of the assistant's behind it, one of which gives orders or secrets away."""
    asked = ""
    told = False
    for line in _TURN.finditer(reading):
        if line[1] in ("user", "human"):
            asked = asked or line[0]
        elif asked and (told or _TOLD.search(_letters(line[2]))):
            return asked
        told = told or bool(_TOLD.search(_letters(line[2])))
        if line[1] in ("assistant", "ai") and re.match(
            r"\s*(?:sure|certainly|of course)\b.*\bhere\b", line[2]
        ):
            return line[0]
    return ""


def _broken_out(reading: str) -> str:
    """A tag that closes what was never opened, or that opens a turn, with words spoken behind it."""
    opened: set[str] = set()
    for count, tag in enumerate(_TAG.finditer(reading)):
        if count == _MOST_TAGS:
            return ""
        closes = tag[1] == "/"
        turns = tag[2] in ("system", "assistant", "human")
        if not closes:
            opened.add(tag[2])
        if (closes and tag[2] not in opened) or (turns and not closes):
            after = _letters(reading[tag.end() : tag.end() + 300])
            if _SPEECH.search(after) or "A" in after:
                return reading[tag.start() : tag.end() + 60]
    return ""


def _carrying(reading: str) -> str:
    """A picture or link whose address has a place for what is secret."""
    for image in _IMAGE.finditer(reading):
        for asked in image[1].split("&"):
            name, _, value = asked.partition("=")
            if _DATA.search(value) or (name not in _LOOKS and not _NUMBERS.fullmatch(value)):
                return image[0]
    for left in _OPEN.finditer(reading):
        if re.search(r"[UIC]", _letters(reading[max(0, left.start() - 100) : left.end() + 100])):
            return left[0]
    link = _LINK.search(reading)
    return link[0] if link else ""
