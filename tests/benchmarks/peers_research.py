"""Deep research over generated pages with a scripted model: what indexing takes, and the memory of the whole process."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from harness import Stopwatch

if TYPE_CHECKING:
    from guardflow.values import Request

QUESTION = "How deep is the Halden reservoir, and who measured its depth?"
_TOPICS = ("reservoir", "lighthouse", "bakery", "railway", "orchard", "museum", "harbour", "quarry")
_PLACES = ("Halden", "Brask", "Tornes", "Ullvik", "Marsten", "Ekeby", "Sundal", "Varberg", "Oslen", "Kirkby")
_FACTS = (
    "The {topic} of {place} was finished in {year} by {who}.",
    "The {place} {topic} is {number} metres deep at its lowest point.",
    "{who} measured the depth of the {place} {topic} in {year}.",
    "In {year} the {topic} of {place} was closed for {number} days.",
)
_PER_PAGE = 60
"""Sentences: about 900 words, a long article."""


def write_pages(folder: Path, count: int) -> None:
    """Generate ``count`` pages, the same ones each time: of ten, seven are Markdown, two HTML, and one plain text."""
    draw = random.Random(20_261_101)
    letters = "".join(chr(97 + i) for i in range(26))
    words = ["".join(draw.choices(letters, k=draw.randint(2, 11))) for _ in range(8_000)]
    folder.mkdir(parents=True)
    for number in range(count):
        title = f"{draw.choice(_PLACES)} {draw.choice(_TOPICS)} {number}"
        paragraphs = list(_paragraphs(draw, words))
        match number % 10:
            case 0 | 1:
                body = "".join(f"<p>{text}</p>" for text in paragraphs)
                text = f"<html><head><title>{title}</title></head><body><nav><a href='/'>Home</a></nav><article><h1>{title}</h1>{body}</article></body></html>"
                (folder / f"{number:04}.html").write_text(text)
            case 2:
                (folder / f"{number:04}.txt").write_text("\n\n".join((title, *paragraphs)))
            case _:
                (folder / f"{number:04}.md").write_text("\n\n".join((f"# {title}", *paragraphs)))


def _paragraphs(draw: random.Random, words: list[str]) -> Iterator[str]:
    for _ in range(_PER_PAGE // 6):
        yield " ".join(_sentence(draw, words) for _ in range(6))


def _sentence(draw: random.Random, words: list[str]) -> str:
    if draw.random() < 0.1:
        return draw.choice(_FACTS).format(
            topic=draw.choice(_TOPICS),
            place=draw.choice(_PLACES),
            year=draw.randint(1800, 2020),
            number=draw.randint(3, 90),
            who=f"the town of {draw.choice(_PLACES)}",
        )
    return " ".join(draw.choices(words, k=draw.randint(8, 20))).capitalize() + "."


def answer(request: Request) -> object:
    """What a model that reads would say, by the stage that asks."""
    first, shown = request.messages[0].content, request.messages[1].content
    lines = {int(n): text for n, text in re.findall(r"^(\d+)\. (.+)$", shown, re.MULTILINE)}
    if first.startswith("You plan"):
        return {
            "questions": ["How deep is the Halden reservoir?", "Who measured the depth of the reservoir?"]
        }
    if first.startswith("You search"):
        return {"queries": ["Halden reservoir depth", "metres deep", "depth measured"]}
    if first.startswith("Which of"):
        return {"ids": [n for n, text in lines.items() if "reservoir" in text][:4]}
    if first.startswith("You write"):
        return {"sentences": [{"text": f"{t[:-1]}, it is said.", "facts": [n]} for n, t in lines.items()]}
    return {"verdict": "supported"}


async def research_peer(*, corpus: str) -> Mapping[str, list[float]]:
    """Index, index again, research on SQLite, and write the folder; MB are millions of bytes."""
    from guardflow import Corpus, Runtime, write_folder
    from guardflow.settings import Settings
    from guardflow.testing import Scripted
    from pipelines.deep_research import ResearchRequest, deep_research, research_files

    out = {"imports_mb": [peak_mb()]}
    watch = Stopwatch()
    with Corpus.open(corpus, index="index.sqlite3") as opened:
        out["index_ms"] = [1_000 * watch.wall() / opened.stats().files]
        assert opened.report.skipped == ()
    out["indexed_mb"] = [peak_mb()]
    watch = Stopwatch()
    model = Scripted(answer)
    with Corpus.open(corpus, index="index.sqlite3") as opened:
        out["again_ms"] = [1_000 * watch.wall()]
        assert opened.report.unchanged == opened.stats().files
        watch = Stopwatch()
        request = ResearchRequest(question=QUESTION, as_of=date(2026, 11, 1))
        settings, models = (
            Settings(home=Path.cwd() / "state"),
            dict.fromkeys(("fast", "strong", "judge"), model),
        )
        async with Runtime(settings=settings, resources=[opened], models=models) as runtime:
            run = await runtime.run(deep_research, request)
        write_folder("out", research_files(run), run_id=run.run_id)
    assert run.unwrap().facts
    assert "litellm" not in sys.modules
    return {**out, "run_s": [watch.wall()], "requests": [model.count], "peak_mb": [peak_mb()]}


def peak_mb() -> float:
    """The most memory this program ever had resident, in millions of bytes.

    ``ru_maxrss`` would also count what its parent had when it forked.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return float(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1.024e-3  # type: ignore[index]  # it is there
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1.024e-3
