"""Deep research: from a question and sources to a report in which every statement leads to its verbatim quote.

async with Runtime(resources=[Corpus.open("docs")]) as rt:
    run = await rt.run(deep_research, ResearchRequest(question="...", as_of=date(2026, 11, 1)))
write_folder("out", research_files(run), run_id=run.run_id)
"""

from .files import research_files
from .pipeline import deep_research
from .resources import resources
from .types import Report, ResearchRequest

run_files = research_files
"""By this name the command line finds what a finished run leaves in a folder."""

__all__ = ["Report", "ResearchRequest", "deep_research", "research_files", "resources", "run_files"]
