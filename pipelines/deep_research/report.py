"""Outline, writing and verification: from facts to the sections of a report.

Each fact stands in one section. A sentence that its quotes do not support is replaced by the quotes; what the writer
left out is quoted too, as far as the section would otherwise say less than half of what was found.
"""

from __future__ import annotations

from collections.abc import Sequence

from .facts import consolidate, disagreements
from .profiles import LAST_RESERVE
from .state import Research
from .types import Fact, Gap, Report, Section, Sentence, SubQuestion
from .write import Claimed, Draft, Quoted, SectionInput, by_words, quoted_facts, support, write

_FEWEST = 3
"""Sentences a section has at least, if there are facts for them."""


async def write_report(run: Research) -> Report:
    """Write what was found, and say what was not."""
    facts = consolidate(run.claims, most=run.counts.facts)
    outline = [
        (question, [fact for fact in facts if fact.sub_question == question.id]) for question in run.questions
    ]
    outline = [(question, own) for question, own in outline if own]
    inputs = [_section_input(run, question, own) for question, own in outline]
    outcomes = await run.asked(write[run.request.profile], inputs, reserve=LAST_RESERVE)
    drafts: list[Draft] = []
    for given, outcome in zip(inputs, outcomes, strict=True):
        draft = run.take(outcome, stage="write", part=given.title)
        drafts.append(draft if draft is not None else quoted_facts(given))
    sections: list[Section] = []
    verified = await _verified(run, inputs, drafts)
    for (question, own), sentences in zip(outline, verified, strict=True):
        whole = _with_what_was_left_out(sentences, own)
        sections.append(Section(sub_question=question.id, title=question.text, sentences=whole))
    return _assembled(run, facts, sections)


def _section_input(run: Research, question: SubQuestion, facts: Sequence[Fact]) -> SectionInput:
    known = tuple(Quoted(id=fact.id, quote=one_line(fact.quote)) for fact in facts)
    return SectionInput(
        title=question.text,
        facts="\n".join(f"{fact.id}. {fact.quote}" for fact in known),
        known=known,
        words=run.counts.words,
        language=run.request.language,
    )


async def _verified(
    run: Research, inputs: Sequence[SectionInput], drafts: Sequence[Draft]
) -> list[list[Sentence]]:
    """Each section's sentences, those that are not supported replaced by their quotes."""
    told = [
        (at, sentence.text, tuple(dict.fromkeys(sentence.facts)), given.quotes(sentence.facts))
        for at, (given, draft) in enumerate(zip(inputs, drafts, strict=True))
        for sentence in draft.sentences
    ]
    verdicts = [by_words(text, quotes) for _, text, _, quotes in told]
    unclear = [i for i, verdict in enumerate(verdicts) if verdict == "unclear"]
    judged: dict[int, bool] = {}
    if run.counts.judged and unclear:
        asked = [Claimed(sentence=told[i][1], quotes="\n".join(told[i][3])) for i in unclear]
        for i, outcome in zip(
            unclear, await run.asked(support[run.request.profile], asked, reserve=LAST_RESERVE), strict=True
        ):
            said = run.take(outcome, stage="support", part=inputs[told[i][0]].title)
            judged[i] = said is not None and said.verdict == "supported"
    sections: list[list[Sentence]] = [[] for _ in inputs]
    for i, (at, text, facts, quotes) in enumerate(told):
        if text in quotes:
            sections[at].append(Sentence(text=text, facts=facts, kind="quoted"))
        elif verdicts[i] == "supported" or judged.get(i, False):
            sections[at].append(Sentence(text=one_line(text), facts=facts, kind="written"))
        else:
            sections[at] += [_quotation(fact.id, fact.quote) for fact in inputs[at].known if fact.id in facts]
    return [_once(sentences) for sentences in sections]


def _quotation(number: int, quote: str) -> Sentence:
    return Sentence(text=one_line(quote), facts=(number,), kind="quoted")


def _once(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Without quotations of facts that a sentence states already."""
    written = {fact for sentence in sentences if sentence.kind == "written" for fact in sentence.facts}
    seen: set[str] = set()
    kept: list[Sentence] = []
    for sentence in sentences:
        repeats = sentence.kind == "quoted" and set(sentence.facts) <= written
        if not repeats and sentence.text not in seen:
            kept.append(sentence)
            seen.add(sentence.text)
    return kept


def _with_what_was_left_out(sentences: Sequence[Sentence], facts: Sequence[Fact]) -> tuple[Sentence, ...]:
    whole = list(sentences)
    cited = {fact for sentence in sentences for fact in sentence.facts}
    for fact in facts:
        says_little = len(whole) < _FEWEST or 2 * len(cited) < len(facts)
        if fact.id not in cited and (says_little or fact.state == "contested"):
            whole.append(_quotation(fact.id, fact.quote))
            cited.add(fact.id)
    return tuple(whole)


def _assembled(run: Research, facts: Sequence[Fact], sections: Sequence[Section]) -> Report:
    used = {support.source for fact in facts for support in fact.supports}
    sources = {source.id: source for source in run.shelf.sources().values()}
    order = {number: place for place, number in enumerate(sorted(used), 1)}
    numbered = [
        fact.model_copy(
            update={
                "supports": tuple(s.model_copy(update={"source": order[s.source]}) for s in fact.supports)
            }
        )
        for fact in facts
    ]
    unanswered = run.unanswered()
    if any(section.sub_question for section in sections):  # its parts answer the question as a whole
        unanswered = [question for question in unanswered if question.id]
    request = run.request
    return Report(
        question=request.question,
        as_of=request.as_of,
        profile=request.profile,
        notice=request.notice,
        sections=tuple(sections),
        facts=tuple(numbered),
        sources=tuple(sources[number].model_copy(update={"id": order[number]}) for number in sorted(used)),
        gaps=tuple(Gap(question=q.text, searches=(q.text, *q.searches)) for q in unanswered),
        disagreements=disagreements(numbered),
        unread=tuple(run.shelf.unread.values()),
        degraded=run.parts,
        models=run.models,
        documents_read=len(run.shelf.documents),
        set_aside=run.set_aside,
    )


def one_line(text: str) -> str:
    """A text without line breaks; a quote keeps its own in the evidence."""
    return " ".join(text.split())
