"""What CSS hides from a reader: inline styles and the plain rules of a page's own style sheets.

`guardflow.sources.clean` asks it about every element. It knows single selectors (``p``, ``.a``, ``p.a#b``), not
combinators, and no linked sheets. When in doubt, text counts as visible.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Declarations = Mapping[str, str]
Rgb = tuple[int, int, int]
Ground = Rgb | Literal["image"]
"""What text is written on: a plain colour, or something that cannot be compared with one."""

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_RULE = re.compile(r"(?<![^{};])([^{};]++)\{([^{}]*+)\}")
_AT_BLOCK = re.compile(r"@[^{};@]*+[;{]")
_SHOWN_MEDIA = re.compile(r"@(?:media\s+(?:screen|all)|layer|supports)\b[^{]*\{\s*\Z", re.IGNORECASE)
_COMPOUND = re.compile(r"([a-z][a-z0-9-]*|\*)?((?:[.#][\w-]+)*)", re.IGNORECASE)
_LENGTH = re.compile(r"(-?\d*\.?\d+)(px|em|rem|ex|ch|pt|pc|cm|mm|in|vw|vh|%|)")
_PIXELS = {"px": 1.0, "": 1.0, "em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0, "pt": 4 / 3, "pc": 16.0, "cm": 37.8, "mm": 3.78, "in": 96.0, "vw": 12.8, "vh": 8.0, "%": 12.8}  # fmt: skip
_NAMED: dict[str, Rgb] = {
    "white": (255, 255, 255),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "ghostwhite": (248, 248, 255),
    "whitesmoke": (245, 245, 245),
    "floralwhite": (255, 250, 240),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "silver": (192, 192, 192),
    "lightgray": (211, 211, 211),
    "lightgrey": (211, 211, 211),
    "navy": (0, 0, 128),
    "orange": (255, 165, 0),
}
_FAR = 500.0
"""Pixels outside the window from which on nothing is seen."""
_TINY = 2.0
"""Pixels of a letter that cannot be read."""
_MOST_RULES = 20_000
_MOST_ALIKE = 200
"""Rules kept for one tag, class or id: beyond that a page is made to be slow."""
_MOST_CLASSES = 50
_MOST_VALUE = 400


def declarations(style: str) -> Declarations:
    """The declarations of a ``style`` attribute; of two for one property, the one that wins."""
    found: dict[str, str] = {}
    important: set[str] = set()
    for part in _COMMENT.sub("", style).split(";"):
        name, colon, value = part.partition(":")
        name, value = name.strip().lower(), value.strip().lower()[:_MOST_VALUE]
        strong = value.endswith("important")
        if colon and name and (strong or name not in important):
            found[name] = value.rpartition("!")[0].strip() if strong else value
            important.update({name} if strong else ())
    return found


@dataclass(slots=True)
class Styles:
    """The rules of a page's style sheets, by what they select."""

    _rules: defaultdict[str, list[tuple[str, frozenset[str], Declarations]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, sheet: str) -> None:
        """Read a sheet; rules for print and for other screens are left out."""
        for selectors, body in _shown_rules(_COMMENT.sub("", sheet)):
            declared = declarations(body)
            for selector in selectors.split(",") if declared else ():
                compound = _COMPOUND.fullmatch(selector.strip())
                if compound is None or compound.group() in ("", "*"):
                    continue
                tag = (compound[1] or "*").lower()
                marks = frozenset(re.findall(r"[.#][\w-]+", compound[2]))
                key = min(marks) if marks else tag
                if len(self._rules[key]) < _MOST_ALIKE:
                    self._rules[key].append((tag, marks, declared))

    def of(self, tag: str, identity: str, classes: Sequence[str], style: str) -> Declarations:
        """What applies to an element: rules in the order of their sheets, then its own style."""
        if not self._rules:
            return declarations(style) if style else {}
        own = {f".{name}" for name in classes[:_MOST_CLASSES]}
        if identity:
            own.add(f"#{identity}")
        found: dict[str, str] = {}
        for key in (tag, *sorted(own)):
            for wanted, marks, declared in self._rules.get(key, ()):
                if wanted in ("*", tag) and marks <= own:
                    found.update(declared)
        if style:
            found.update(declarations(style))
        return found


def _shown_rules(sheet: str) -> Iterator[tuple[str, str]]:
    """Rules outside of blocks, and inside of those that hold on every screen."""
    at = count = 0
    while at < len(sheet) and count < _MOST_RULES:
        block = _AT_BLOCK.search(sheet, at)
        for rule in _RULE.finditer(sheet, at, block.start() if block else len(sheet)):
            count += 1
            yield rule[1].strip().lstrip("}").strip(), rule[2]
        if block is None:
            return
        at = block.end()
        if block.group().endswith("{") and not _SHOWN_MEDIA.search(block.group()):
            at = _after_block(sheet, at)


def _after_block(sheet: str, at: int) -> int:
    depth = 1
    for brace in re.compile(r"[{}]").finditer(sheet, at):
        depth += 1 if brace.group() == "{" else -1
        if not depth:
            return brace.end()
    return len(sheet)


def hides(declared: Declarations) -> bool:
    """Whether these declarations alone take an element out of sight: not shown, too small, or too far away."""
    get = declared.get
    if get("display") == "none" or get("visibility") in ("hidden", "collapse"):
        return True
    if get("content-visibility") == "hidden" or _number(get("opacity", "1")) <= 0.05:
        return True
    if _at_most(declared.get("font-size"), _TINY):
        return True
    return _font_shorthand_hides(get("font", "")) or _no_size(declared) or _far_away(declared)


def text_color(declared: Declarations) -> Rgb | Literal["none"] | None:
    """The text's colour; ``"none"`` if it is transparent, None if it is not declared or not known."""
    value = declared.get("-webkit-text-fill-color") or declared.get("color")
    return _color(value) if value else None


def background(declared: Declarations) -> Ground | None:
    """The background's colour; ``"image"`` if it is anything but a known plain colour, None if none is declared."""
    if declared.get("background-image", "none") != "none":
        return "image"
    value = declared.get("background-color") or declared.get("background")
    if not value or value in ("none", "inherit", "initial", "unset"):
        return None
    found = _color(value)
    return None if found == "none" else found or "image"


def named_color(value: str) -> Rgb | None:
    """The colour of an attribute such as ``bgcolor``, if it is a known plain one."""
    found = _color(value.lower())
    return None if found == "none" else found


def alike(one: Rgb, other: Rgb) -> bool:
    """Whether nobody can tell two colours apart when one is written on the other."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) <= 36


def _number(text: str) -> float:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return 1.0


def _pixels(text: str) -> float | None:
    match = _LENGTH.fullmatch(text.strip())
    return float(match[1]) * _PIXELS[match[2]] if match else None


def _at_most(text: str | None, most: float) -> bool:
    size = _pixels(text) if text else None
    return size is not None and size <= most


def _font_shorthand_hides(font: str) -> bool:
    """``font: 0/0 a`` and ``font: 1px serif``; a number without a unit is a weight, unless it is zero."""
    sizes = (part.partition("/")[0] for part in font.split())
    return any(_at_most(size, _TINY) for size in sizes if size == "0" or not size.isdigit())


def _no_size(declared: Declarations) -> bool:
    clipped = declared.get("overflow", declared.get("overflow-x", "")).startswith(("hidden", "clip"))
    small = any(_at_most(declared.get(name), 1.0) for name in ("width", "height", "max-width", "max-height"))
    if small and clipped:
        return True
    if _at_most(declared.get("width"), 0.0) and _at_most(declared.get("height"), 0.0):
        return True
    clip = declared.get("clip", "").replace(",", " ")
    if clip.startswith("rect(") and all(_at_most(n, 1.0) for n in clip[5:].rstrip(")").split()):
        return True
    path = declared.get("clip-path", "")
    inset = re.match(r"inset\(\s*(\d+(?:\.\d+)?)%", path)
    if (inset and float(inset[1]) >= 50) or re.match(r"circle\(\s*0", path):
        return True
    transform = f"{declared.get('transform', '')} scale({declared.get('scale', '1')})"
    return re.search(r"scale[xy]?\(\s*0?\.?0*\s*[,)]", transform) is not None


def _far_away(declared: Declarations) -> bool:
    moved = [declared.get(name) for name in ("text-indent", "margin-left", "margin-top", "margin-right")]
    if declared.get("position") in ("absolute", "fixed", "relative"):
        sides = [declared.get(side) for side in ("left", "top", "right", "bottom")]
        if any((size := _pixels(value)) is not None and size >= 4 * _FAR for value in sides if value):
            return True
        moved += sides
    for arguments in re.findall(r"translate(?:x|y|3d)?\(([^)]*)\)", declared.get("transform", "")):
        moved += arguments.split(",")
    return any(_at_most(value, -_FAR) for value in moved)


def _color(value: str) -> Rgb | Literal["none"] | None:
    value = value.strip()
    if value in _NAMED:
        return _NAMED[value]
    if value == "transparent":
        return "none"
    if match := re.fullmatch(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", value):
        digits = match[1]
        if len(digits) <= 4:
            digits = "".join(digit * 2 for digit in digits)
        if digits[6:] == "00":
            return "none"
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    if match := re.fullmatch(r"(rgb|hsl)a?\(([^()]*)\)", value):
        return _function_color(match[1], re.findall(r"-?\d*\.?\d+%?", match[2]))
    return None


def _function_color(kind: str, numbers: list[str]) -> Rgb | Literal["none"] | None:
    if len(numbers) < 3:
        return None
    if len(numbers) > 3 and _number(numbers[3]) <= 0.05:
        return "none"
    if kind == "hsl":  # only the ends matter here: white and black
        light = _number(numbers[2])
        return (255, 255, 255) if light >= 0.98 else (0, 0, 0) if light <= 0.02 else None
    red, green, blue = (
        min(255, max(0, round(255 * _number(n) if n.endswith("%") else float(n)))) for n in numbers[:3]
    )
    return red, green, blue
