"""Deep research: a question and its sources in, a report in which every statement leads to its quote out.

Plain Python over stages; `guardflow.Runtime` makes it durable. Needs a `guardflow.Corpus`, and for ``urls`` a
`guardflow.WebFetcher`, as resources.
"""

from __future__ import annotations

from guardflow import budget_left, pipeline

from .look import find_other_words, look, make_brief
from .profiles import WRITE_RESERVE
from .report import write_report
from .state import Research
from .types import Report, ResearchRequest


@pipeline("deep-research")
async def deep_research(request: ResearchRequest) -> Report:
    """Plan, search, read, extract; once more for what was not found; write, verify, and say what is missing."""
    run = Research(request, await budget_left())
    await make_brief(run)
    if run.counts.searches:
        await find_other_words(run, run.questions, most=run.counts.searches)
    await look(run, range(len(run.questions)))
    missing = run.unanswered()
    if missing and await run.affords(WRITE_RESERVE):
        await find_other_words(run, missing, most=max(2, run.counts.searches))
        await look(run, [question.id for question in missing])
    return await write_report(run)
