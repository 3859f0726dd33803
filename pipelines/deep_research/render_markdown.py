"""The report as Markdown. The same report gives the same bytes.

Everything from outside is escaped: no text can become a link, an image, a heading or HTML. The only addresses are those
of the table of sources.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from . import wording
from .types import Fact, Report, Section, Source

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#^$])")
_LINKED = re.compile(r"(?i)(?<=[a-z]):(?=//)|(?<=\bwww)\.|@|(?<=mailto):|(?<=xmpp):")
_LINE_START = re.compile(r"^(\s*)([-+=!]|\d+(?=[.)]))")
_PLAIN_URL = re.compile(r"https?://[^\s<>\"'\\`|^{}\[\]()]+")


def markdown(report: Report) -> str:
    """The report as CommonMark with footnotes."""
    blocks = [f"# {escaped(report.question)}", f"*{escaped(wording.summary(report))}*"]
    if report.notice:
        blocks.append(escaped(report.notice))
    if report.degraded:
        lines = "\n".join(f"> - {escaped(line)}" for line in wording.degraded_lines(report))
        blocks.append(f"> **Parts of this report are degraded.**\n>\n{lines}")
    if not report.facts:
        blocks.append(wording.nothing_found(report))
    for section in report.sections:
        blocks += _section(report, section)
    blocks += (
        _also_found(report)
        + _disagreements(report)
        + _gaps(report)
        + _sources(report)
        + _unread(report)
        + _method(report)
    )
    blocks += (_footnote(report, fact) for fact in report.facts)
    return "\n\n".join(blocks) + "\n"


def _section(report: Report, section: Section) -> list[str]:
    title = "In short" if section.sub_question == 0 and len(report.sections) > 1 else section.title
    blocks = [f"## {escaped(title if section.sub_question or len(report.sections) > 1 else 'Answer')}"]
    written: list[str] = []
    for sentence in section.sentences:
        marks = "".join(f"[^{number}]" for number in sentence.facts)
        if sentence.kind == "written":
            written.append(f"{escaped(sentence.text)}{marks}")
        else:
            blocks += [*_paragraph(written), f"> {escaped(sentence.text)}{marks}"]
            written = []
    return [*blocks, *_paragraph(written)]


def _paragraph(written: list[str]) -> list[str]:
    return [" ".join(written)] if written else []


def _also_found(report: Report) -> list[str]:
    """Quotes that no section has room for: a footnote that nothing refers to is shown by no reader."""
    left = wording.not_cited(report)
    if not left:
        return []
    lines = [f"- “{escaped(_line(fact.quote))}”[^{fact.id}]" for fact in left]
    return ["## Also found", "\n".join(lines)]


def _disagreements(report: Report) -> list[str]:
    if not report.disagreements:
        return []
    blocks = ["## Where sources disagree"]
    for disagreement in report.disagreements:
        lines = [
            f"- “{escaped(_line(report.fact(number).quote))}”[^{number}] "
            f"({', '.join(escaped(report.source(s).title) for s in report.fact(number).sources)})"
            for number in disagreement.facts
        ]
        blocks.append("\n".join(lines))
    return blocks


def _gaps(report: Report) -> list[str]:
    if not report.gaps:
        return []
    lines = [f"- {escaped(gap.question)}" for gap in report.gaps]
    return ["## Not answered", wording.not_answered(report), "\n".join(lines)]


def _sources(report: Report) -> list[str]:
    if not report.sources:
        return []
    lines = [f"{source.id}. {_source(source)}" for source in report.sources]
    return ["## Sources", "\n".join(lines)]


def _source(source: Source) -> str:
    notes = wording.source_notes(source)
    more = f" ({escaped('; '.join(notes))})" if notes else ""
    title = escaped(source.title)
    return (
        f"{title}, {address(source.uri)}{more}"
        if source.title != source.uri
        else f"{address(source.uri)}{more}"
    )


def _unread(report: Report) -> list[str]:
    if not report.unread:
        return []
    lines = [f"- {address(one.uri)}: {escaped(one.reason)}" for one in report.unread]
    return ["## Could not be read", "\n".join(lines)]


def _method(report: Report) -> list[str]:
    models = "; ".join(wording.model_lines(report))
    made = f"Models. {models}." if models else "No model's answer stands in this report."
    lines = [f"- {escaped(line)}" for line in [made, *wording.method_lines(report)]]
    return ["## How this was made", "\n".join(lines)]


def _footnote(report: Report, fact: Fact) -> str:
    places = [
        f"{escaped(report.source(support.source).title)}, source {support.source}, "
        f"characters {support.start} to {support.end}"
        for support in fact.supports
    ]
    return f"[^{fact.id}]: “{escaped(_line(fact.quote))}” ({'; '.join(places)}; {escaped(wording.fact_note(fact))})"


def _line(text: str) -> str:
    return " ".join(text.split())


def escaped(text: str) -> str:
    r"""A text that Markdown shows as it is, on one line.

    >>> escaped("# ![x](http://a.example/p) <b>")
    '\\# !\\[x\\]\\(http&#58;//a.example/p) \\<b\\>'
    """
    text = "".join(char if char.isprintable() else " " for char in _line(text)).replace("&", "&amp;")
    text = _SPECIAL.sub(r"\\\1", text).replace("](", "]\\(")
    text = _LINKED.sub(lambda found: f"&#{ord(found.group())};", text)
    return _LINE_START.sub(_started, text)


def _started(found: re.Match[str]) -> str:
    """What would open a list, a rule or an image at the start of a line."""
    if found[2].isdigit():
        return f"{found[1]}&#{ord(found[2][0])};{found[2][1:]}"
    return f"{found[1]}\\{found[2]}"


def address(uri: str) -> str:
    """A web address as a link; anything else as it is written."""
    if is_plain_url(uri):
        return f"<{uri}>"
    shown = "".join(char if char.isprintable() and char != "`" else " " for char in uri)
    return f"`{shown.strip() or '-'}`"


def is_plain_url(uri: str) -> bool:
    """Whether a URI is an http or https URL that needs no escape anywhere."""
    return _PLAIN_URL.fullmatch(uri) is not None and uri.isprintable() and bool(urlsplit(uri).hostname)
