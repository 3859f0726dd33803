"""One round of research: search, read, rank and extract for some sub-questions.

The pipeline runs it for all of them, and once more for those that were left without an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from guardflow import fan_out

from .extract import CLEAR, Picks, Reading, by_words, extract
from .facts import Claim
from .plan import Plan, PlanInput, QueryInput, its_own_words, plan, queries
from .profiles import WRITE_RESERVE
from .quotable import Line, Page, is_about_itself
from .reading import Read, Search, given_pages, ranked_pages, read, search
from .state import Research, own_words
from .types import Hit, SubQuestion
from .words import Weights, terms

_OTHER_WORDS = 0.7
"""What a sentence counts that answers a model's search phrase rather than the question's own words."""
_ASIDE = 0.4
"""What the fit of a sentence counts that speaks of its own chapter, or only leads on to what follows it."""
_OBVIOUS = 0.6
"""Share of the question's weight from which a sentence is quoted although no model picked it."""
_AT_MOST = 4
"""Sentences that words alone choose for one sub-question."""


async def make_brief(run: Research) -> None:
    """Split the question. Number 0, the question itself, is always asked."""
    request, counts = run.request, run.counts
    given = PlanInput(question=request.question, count=counts.sub_questions, language=request.language)
    if not await run.affords(WRITE_RESERVE):
        outcome = None
    else:
        outcome = await plan[run.request.profile].outcome(given)
        run.heard([outcome])
    made = run.take(outcome, stage="plan", part="sub-questions") or Plan(questions=[])
    for text in made.questions[: counts.sub_questions]:
        run.questions.append(SubQuestion(id=len(run.questions), text=" ".join(text.split())))
    if len(run.questions) == 1 and outcome is not None and outcome.status == "ok":
        run.made_nothing(
            "plan"
        )  # it answered, and rightly or not named nothing else to find out: no fallback


async def find_other_words(run: Research, open_questions: Sequence[SubQuestion], *, most: int) -> None:
    """Let a model name other phrases to search with; without one, parts of the sub-question's own words."""
    inputs = [
        QueryInput(
            question=run.request.question,
            sub_question=question.text,
            tried=(question.text, *question.searches),
            count=most,
        )
        for question in open_questions
    ]
    outcomes = await run.asked(queries[run.request.profile], inputs, reserve=WRITE_RESERVE)
    for question, given, outcome in zip(open_questions, inputs, outcomes, strict=True):
        made = run.take(outcome, stage="queries", part=question.text) or its_own_words(given, ())
        phrases = [" ".join(text.split()) for text in made.queries[:most]]
        searches = tuple(dict.fromkeys((*question.searches, *phrases)))
        run.questions[question.id] = question.model_copy(update={"searches": searches})


async def look(run: Research, numbers: Sequence[int]) -> None:
    """Search, read and extract for these sub-questions."""
    questions = [run.questions[number] for number in numbers]
    fused = await _read_more(run, questions)
    pages = [page for document in _representatives(run) for page in run.readable(document).pages]
    weights = Weights.of([page.text for page in pages])
    readings: list[tuple[SubQuestion, Page, Reading]] = []
    for question in questions:
        for page in ranked_pages(pages, question, weights, most=run.counts.passages, fused=fused):
            if run.first_time(question, page.document, page.start):
                shown = _best_first(run, question, page, weights) if run.counts.best_first else page
                readings += [
                    (question, part, _reading(run, question, part, weights))
                    for part in _parts(shown, run.counts.sentences)
                ]
    outcomes = await run.asked(
        extract[run.request.profile], [reading for _, _, reading in readings], reserve=WRITE_RESERVE
    )
    for (question, page, reading), outcome in zip(readings, outcomes, strict=True):
        picks = run.take(outcome, stage="extract", part=question.text)
        _note(run, question, page, reading, picks, weights)
    _add_the_obvious(run, questions, pages, weights)


async def _read_more(run: Research, questions: Sequence[SubQuestion]) -> dict[str, float]:
    """Search for the questions and read what is new. Gives the fused rank score of each document."""
    asked = [
        Search(phrases=(question.text, *question.searches), documents=run.counts.documents)
        for question in questions
    ]
    hits: dict[str, Hit] = {}
    if not run.rounds:
        hits |= {hit.uri: hit for hit in given_pages(run.request.urls)}
    run.rounds += 1
    fused: dict[str, float] = {}
    for question, outcome in zip(questions, await fan_out(search, asked, errors="collect"), strict=True):
        if not outcome.ok or outcome.value is None:
            run.degraded("search", question.text, outcome.message)
            continue
        for hit in outcome.value.hits:
            hits.setdefault(hit.uri, hit)
            fused[hit.document] = fused.get(hit.document, 0.0) + hit.score
    fresh = [hit for hit in hits.values() if hit not in run.shelf]
    at_hand_first = sorted(fresh, key=lambda hit: hit.origin == "given")  # a page may keep everybody waiting
    reads = await fan_out(read, at_hand_first, errors="collect")
    got = {
        hit.uri: outcome.value if outcome.value is not None else Read(hit=hit, reason=outcome.message)
        for hit, outcome in zip(at_hand_first, reads, strict=True)
    }
    run.shelf.add([got[hit.uri] for hit in fresh])
    return fused


def _representatives(run: Research) -> list[str]:
    """One document of each group of near-copies."""
    return list(dict.fromkeys(source.document for source in run.shelf.sources().values()))


def _best_first(run: Research, question: SubQuestion, page: Page, weights: Weights) -> Page:
    """A passage reduced to the sentences that share most with the question, in that order."""
    order = sorted(page.lines, key=lambda line: (-_fit(question, line, weights), line.start))
    return replace(page, lines=tuple(order[: run.counts.sentences]))


def _parts(page: Page, most: int) -> list[Page]:
    """A passage in pieces of so many sentences."""
    return [
        Page(page.document, page.lines[at].start, page.text, page.lines[at : at + most])
        for at in range(0, len(page.lines), most)
    ]


def _reading(run: Research, question: SubQuestion, page: Page, weights: Weights) -> Reading:
    numbered = [f"{i}. {' '.join(line.text.split())}" for i, line in enumerate(page.lines, 1)]
    shares = tuple(_related(run, question, line, weights) for line in page.lines)
    return Reading(question=question.text, numbered="\n".join(numbered), shares=shares)


def _related(run: Research, question: SubQuestion, line: Line, weights: Weights) -> float:
    """How much of the question a sentence holds; of a model's search phrase only where the profile trusts it."""
    best = weights.share(terms(question.text), line.text)
    if run.counts.searches:
        for phrase in question.searches:
            wanted = terms(phrase)
            if len(wanted) > 1 and not own_words(question, phrase):
                best = max(best, _OTHER_WORDS * weights.share(wanted, line.text))
    return round(best, 6)


def _fit(question: SubQuestion, line: Line, weights: Weights) -> float:
    """How far in front a sentence stands; one about its own chapter, or one that ends in a colon, stands behind."""
    fit = weights.fit(terms(question.text), line.text, under=line.under)
    aside = is_about_itself(line.text) or line.text.rstrip().endswith((":", "："))
    return round(fit * _ASIDE, 6) if aside else fit


def _note(
    run: Research,
    question: SubQuestion,
    page: Page,
    reading: Reading,
    picks: Picks | None,
    weights: Weights,
) -> None:
    """Keep the picked sentences; without a model's answer, those that the words pick."""
    for number in (picks or by_words(reading)).ids:
        line = page.lines[number - 1]
        run.claims.append(_claim(run, question, page, line, weights, by_model=picks is not None))


def _claim(
    run: Research, question: SubQuestion, page: Page, line: Line, weights: Weights, *, by_model: bool
) -> Claim:
    return Claim(
        sub_question=question.id,
        source=run.shelf.sources()[page.document].id,
        document=page.document,
        start=line.start,
        end=line.end,
        quote=line.text,
        fit=_fit(question, line, weights),
        chosen_by="model" if by_model else "words",
    )


def _add_the_obvious(
    run: Research, questions: Sequence[SubQuestion], pages: Sequence[Page], weights: Weights
) -> None:
    """What nearly repeats a question is quoted, even if a model picked nothing for it; more where none could."""
    unanswered = {question.id for question in run.unanswered()}
    for question in questions:
        if question.id not in unanswered:
            continue
        least = CLEAR if run.is_degraded("extract", question.text) else _OBVIOUS
        found = [
            (_fit(question, line, weights), page, line)
            for page in pages
            for line in page.lines
            if _related(run, question, line, weights) >= least
        ]
        for _, page, line in sorted(found, key=lambda f: (-f[0], f[1].document, f[2].start))[:_AT_MOST]:
            run.claims.append(_claim(run, question, page, line, weights, by_model=False))
            run.degraded("extract", question.text, "no model picked a sentence")
