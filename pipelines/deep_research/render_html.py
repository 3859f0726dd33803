"""The report as one HTML file: light and dark, nothing remote, no script. The same report gives the same bytes.

Every value goes through `html.escape`; the only addresses are those of the table of sources. A citation leads to its
quote in the evidence list, and from there to the source and back.
"""

from __future__ import annotations

from html import escape
from itertools import groupby

from . import wording
from .render_markdown import is_plain_url
from .types import Fact, Report, Section, Sentence, Source

_STYLE = """
:root{color-scheme:light dark;--paper:#fdfdfb;--ink:#1c1d1f;--soft:#5d636b;--line:#dfe1dc;--mark:#1f5fa8;--tint:#eef3f9;
--warn:#8a4b00;--warnbg:#fdf3e0}
@media (prefers-color-scheme:dark){:root{--paper:#16181b;--ink:#e4e5e2;--soft:#9ba2aa;--line:#30343a;--mark:#86b8f2;
--tint:#1d2631;--warn:#f2c078;--warnbg:#2b2314}}
*{box-sizing:border-box}html{scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.62 Georgia,"Iowan Old Style","Noto Serif",serif;
overflow-wrap:anywhere}
main{max-width:43rem;margin:0 auto;padding:3.5rem 1.4rem 5rem}
h1{font-size:1.95rem;line-height:1.22;margin:0 0 .5rem;text-wrap:balance;letter-spacing:-.01em}
h2{font-size:1.22rem;line-height:1.3;margin:2.6rem 0 .6rem}
p{margin:.7rem 0}.meta,.small,.tag,nav,h2.quiet{font-family:system-ui,"Segoe UI","Noto Sans",sans-serif}
.meta{color:var(--soft);font-size:.86rem;margin:0 0 2rem}
h2.quiet{font-size:.8rem;letter-spacing:.07em;text-transform:uppercase;color:var(--soft);font-weight:600;
border-top:1px solid var(--line);padding-top:1.6rem}
.small{font-size:.84rem;line-height:1.5;color:var(--soft)}.small li{margin:.25rem 0}
a{color:var(--mark);text-decoration-thickness:1px;text-underline-offset:2px}
a.cite{font:600 .68rem/1 system-ui,"Segoe UI",sans-serif;vertical-align:.42em;text-decoration:none;padding:.1rem .28rem;
margin-left:.16rem;border-radius:.3rem;background:var(--tint)}a.cite:hover{text-decoration:underline}
blockquote{margin:.8rem 0;padding:.05rem 0 .05rem 1rem;border-left:3px solid var(--line)}
blockquote p{margin:.2rem 0}
aside{background:var(--warnbg);border-radius:.5rem;padding:.9rem 1.1rem;margin:0 0 2rem;font:.86rem/1.5 system-ui,sans-serif}
aside strong{color:var(--warn)}aside ul{margin:.4rem 0 0;padding-left:1.1rem}
ol.evidence{list-style:none;padding:0;margin:0}ol.evidence>li{padding:.75rem 0;border-bottom:1px solid var(--line);display:grid;
grid-template-columns:2.1rem 1fr;gap:.2rem}
ol.evidence .n{font:600 .8rem/1.9 system-ui,sans-serif;color:var(--mark)}
ol.evidence p{margin:0 0 .25rem;font-size:.95rem;line-height:1.5}
li:target{background:var(--tint);border-radius:.4rem;outline:.5rem solid var(--tint)}
.tag{font-size:.74rem;padding:.08rem .42rem;border-radius:1rem;background:var(--tint);color:var(--soft);white-space:nowrap}
.tag.bad{background:var(--warnbg);color:var(--warn)}
code{font:.86em/1.4 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
@media print{body{background:#fff;color:#000}main{padding:0;max-width:none}a.cite{background:none}}
""".replace("\n", "")
_CLOSED = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def html(report: Report) -> str:
    """The report as a self-contained page."""
    body = [f"<h1>{_text(report.question)}</h1>", f'<p class="meta">{_text(wording.summary(report))}</p>']
    if report.notice:
        body.append(f"<p>{_text(report.notice)}</p>")
    if report.degraded:
        lines = "".join(f"<li>{_text(line)}</li>" for line in wording.degraded_lines(report))
        body.append(f"<aside><strong>Parts of this report are degraded.</strong><ul>{lines}</ul></aside>")
    if not report.facts:
        body.append(f"<p>{_text(wording.nothing_found(report))}</p>")
    body += [_section(report, section) for section in report.sections]
    body += [_disagreements(report), _gaps(report), _evidence(report), _sources(report), _unread(report)]
    body.append(_method(report))
    inside = "\n".join(part for part in body if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_CLOSED}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{_text(report.question)}</title><style>{_STYLE}</style></head>\n<body><main>\n{inside}\n</main></body></html>\n"
    )


def _text(text: str) -> str:
    return escape("".join(char if char.isprintable() else " " for char in " ".join(text.split())), quote=True)


def _section(report: Report, section: Section) -> str:
    title = section.title
    if section.sub_question == 0:
        title = "In short" if len(report.sections) > 1 else "Answer"
    parts = [f"<section><h2>{_text(title)}</h2>"]
    for kind, sentences in groupby(section.sentences, key=lambda sentence: sentence.kind):
        if kind == "written":
            parts.append(f"<p>{' '.join(_sentence(report, sentence) for sentence in sentences)}</p>")
        else:
            quoted = "".join(f"<p>{_sentence(report, sentence)}</p>" for sentence in sentences)
            parts.append(f"<blockquote>{quoted}</blockquote>")
    return "".join([*parts, "</section>"])


def _sentence(report: Report, sentence: Sentence) -> str:
    cites = "".join(_cite(report, number) for number in sentence.facts)
    return f"{_text(sentence.text)}{cites}"


def _cite(report: Report, number: int) -> str:
    quote = _text(report.fact(number).quote)
    return f'<a class="cite" href="#q{number}" title="{quote}">{number}</a>'


def _disagreements(report: Report) -> str:
    if not report.disagreements:
        return ""
    items = "".join(
        "<blockquote>" + "".join(_disagreeing(report, report.fact(n)) for n in one.facts) + "</blockquote>"
        for one in report.disagreements
    )
    return f"<section><h2>Where sources disagree</h2>{items}</section>"


def _disagreeing(report: Report, fact: Fact) -> str:
    titles = ", ".join(_text(report.source(number).title) for number in fact.sources)
    return f'<p>“{_text(fact.quote)}”{_cite(report, fact.id)}<br><span class="small">{titles}</span></p>'


def _gaps(report: Report) -> str:
    if not report.gaps:
        return ""
    items = "".join(f"<li>{_text(gap.question)}</li>" for gap in report.gaps)
    said = wording.not_answered(report)
    return f"<section><h2>Not answered</h2><p>{said}</p><ul>{items}</ul></section>"


def _evidence(report: Report) -> str:
    if not report.facts:
        return ""
    items = "".join(_fact(report, fact) for fact in report.facts)
    return f'<section><h2 class="quiet">Evidence</h2><ol class="evidence">{items}</ol></section>'


def _fact(report: Report, fact: Fact) -> str:
    places = "; ".join(
        f'<a href="#s{s.source}">{_text(report.source(s.source).title)}</a>, characters {s.start} to {s.end}'
        for s in fact.supports
    )
    bad = " bad" if fact.state == "contested" else ""
    tag = f'<span class="tag{bad}">{_text(wording.fact_note(fact))}</span>'
    return (
        f'<li id="q{fact.id}"><span class="n">{fact.id}</span><div><p>“{_text(fact.quote)}”</p>'
        f'<div class="small">{places} {tag}</div></div></li>'
    )


def _sources(report: Report) -> str:
    if not report.sources:
        return ""
    items = "".join(f'<li id="s{source.id}">{_source(source)}</li>' for source in report.sources)
    return f'<section><h2 class="quiet">Sources</h2><ol class="small">{items}</ol></section>'


def _source(source: Source) -> str:
    notes = "".join(f' <span class="tag">{_text(note)}</span>' for note in wording.source_notes(source))
    title = "" if source.title == source.uri else f"{_text(source.title)}, "
    return f"{title}{address(source.uri)}{notes}"


def address(uri: str) -> str:
    """A web address as a link; anything else as it is written."""
    if is_plain_url(uri):
        return f'<a href="{escape(uri, quote=True)}" rel="noopener noreferrer nofollow">{_text(uri)}</a>'
    return f"<code>{_text(uri)}</code>"


def _unread(report: Report) -> str:
    if not report.unread:
        return ""
    items = "".join(f"<li>{address(one.uri)}: {_text(one.reason)}</li>" for one in report.unread)
    return f'<section><h2 class="quiet">Could not be read</h2><ul class="small">{items}</ul></section>'


def _method(report: Report) -> str:
    models = "; ".join(wording.model_lines(report))
    made = f"Models. {models}." if models else "No model's answer stands in this report."
    items = "".join(f"<li>{_text(line)}</li>" for line in [made, *wording.method_lines(report)])
    return f'<section><h2 class="quiet">How this was made</h2><ul class="small">{items}</ul></section>'
