"""The fixed sentences of a report: what both of its renderings say in the same words. Pure."""

from __future__ import annotations

from itertools import groupby

from .types import Fact, Report, Source

_WHAT = {
    "plan": "Sub-questions",
    "queries": "Search phrases",
    "search": "Search",
    "extract": "Choice of quotes",
    "write": "Text",
    "support": "Check of sentences",
}
_INSTEAD = {
    "plan": "only the question itself was researched",
    "queries": "parts of the question's own words were used",
    "search": "nothing was found for",
    "extract": "sentences were chosen by the words they share with the question",
    "write": "the quotes stand for themselves",
    "support": "sentences in doubt were replaced by their quotes",
}


def summary(report: Report) -> str:
    """One line about what the report rests on."""
    read = f"{report.documents_read} {'document' if report.documents_read == 1 else 'documents'} read"
    quotes = f"{len(report.facts)} {'quote' if len(report.facts) == 1 else 'quotes'}"
    sources = f"{len(report.sources)} {'source' if len(report.sources) == 1 else 'sources'}"
    return f"As of {report.as_of.isoformat()} · {read} · {quotes} from {sources} · profile {report.profile}"


def degraded_lines(report: Report) -> list[str]:
    """What was made without a model's answer, a line for each stage and reason."""
    order = sorted(
        report.degraded,
        key=lambda part: (list(_WHAT).index(part.stage) if part.stage in _WHAT else 99, part.reason),
    )
    lines: list[str] = []
    for (stage, reason), group in groupby(order, key=lambda part: (part.stage, part.reason)):
        named = list(dict.fromkeys(part.part for part in group))
        about = "" if stage == "plan" or named == [report.question] else f" ({'; '.join(named)})"
        lines.append(
            f"{_WHAT.get(stage, stage)}{about}: {_INSTEAD.get(stage, 'a fallback was used')}. Reason: {reason}."
        )
    return lines


def model_lines(report: Report) -> list[str]:
    """Which model made what, in the order of the stages."""
    order = sorted(report.models, key=lambda use: list(_WHAT).index(use.stage))
    return [f"{_WHAT[use.stage]}: {', '.join(use.models)}" for use in order]


def nothing_found(report: Report) -> str:
    """The sentence that stands for a report without facts."""
    end = "so this report answers nothing. It does not guess."
    if report.documents_read:
        return f"Nothing in the sources answers this question, {end}"
    if report.unread:
        return f"No source could be read, {end}"
    return f"No source holds the words of this question, {end} If the sources are in another language, ask in that one."


def not_answered(report: Report) -> str:
    """What stands above the open questions."""
    if report.documents_read:
        return "The sources that were read hold nothing that answers:"
    return "No source was read that could answer:"


def not_cited(report: Report) -> list[Fact]:
    """Facts that no sentence of the report names."""
    cited = {number for section in report.sections for one in section.sentences for number in one.facts}
    cited |= {number for disagreement in report.disagreements for number in disagreement.facts}
    return [fact for fact in report.facts if fact.id not in cited]


def fact_note(fact: Fact) -> str:
    """How well a fact is supported."""
    if fact.state == "contested":
        return "contradicted by " + ", ".join(f"quote {number}" for number in fact.against)
    if fact.state == "agreed":
        return f"stated by {len(fact.sources)} sources"
    return "single source"


def source_notes(source: Source) -> list[str]:
    """What a careful reader should know of a source."""
    notes: list[str] = []
    if source.published is not None:
        notes.append(f"published {source.published.isoformat()}")
    if source.also_at:
        others = len(source.also_at)
        notes.append(f"{others} near-{'copy' if others == 1 else 'copies'} elsewhere, counted once")
    if any(flag.startswith("injection") for flag in source.flags):
        notes.append("holds text that speaks to a model")
    if "hidden-text" in source.flags or "invisible-characters" in source.flags:
        notes.append("held hidden text, which was removed")
    return notes


def method_lines(report: Report) -> list[str]:
    """How the report came about, in plain words."""
    lines = [
        "Every quote is a piece of a stored source, cut out by its offsets; evidence.jsonl lists them all.",
    ]
    if any(one.kind == "written" for section in report.sections for one in section.sentences):
        lines.append(
            "Every written sentence passed a check against its quotes: words and their order, numbers, negations."
        )
    stages = {use.stage for use in report.models} | {part.stage for part in report.degraded}
    if report.models and "plan" not in stages:
        lines.append("The model named no sub-question to use, so the question was researched as it is.")
    if report.set_aside:
        lines.append(
            f"Set aside, because they speak to a model or hold links: {report.set_aside} sentence(s)."
        )
    return lines
