"""The benchmarks: ``python tests/benchmarks/run.py`` prints one table of ratios against peers in the same run.

Never part of a test run: what a shared machine measures is for people to read. `test_benchmarks_run.py` only
sees that every peer still runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faulty import faulty_rows
from harness import Row, Series, Stopwatch, ask, ask_each, environment, table
from peers_ballots import ballot_rows
from peers_calls import ANSWER, LIMIT
from peers_research import write_pages
from peers_storm import storm_rows
from votes import measure

from guardflow.testing import FaultProcess, Reply

DELAY = 0.3
"""Seconds the slow server takes, which stands for a model."""
PAGES = 1_000
"""Pages of the corpus that deep research is measured over."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    repeat: int
    calls: int
    rounds: int
    folder: Path


def model_calls(plan: Plan) -> Sequence[Row]:
    """Model stages against frameworks that do less."""
    answer = Reply.json(ANSWER)
    series = Series()
    peers = ("instructor", "litellm", "httpx")
    with FaultProcess(answer, keep=1) as fast, FaultProcess(answer.but(delay=DELAY), keep=1) as slow:
        options = {"fast": fast.base_url, "slow": slow.base_url, "calls": plan.calls, "rounds": plan.rounds}
        threads = {**options, "slow": None, "guards": "threads"}
        for turn in range(plan.repeat):
            slow.reset()
            folder = plan.folder / f"guardflow-{turn}"
            ours, threaded = ask_each(folder, ("guardflow", options), ("guardflow", threads))
            series.add("guardflow", {**ours, "peak": float(slow.stats()["max_in_flight"])})
            series.add("threads", threaded)
            for peer in peers:
                slow.reset()
                metrics = ask(peer, plan.folder / f"{peer}-{turn}", **options)
                series.add(peer, {**metrics, "peak": float(slow.stats()["max_in_flight"])})
    ideal = -(-plan.calls // LIMIT) * DELAY

    def cpu(peer: str, other: str, metric: str = "cpu_ms") -> list[float]:
        return series.ratios((peer, metric), (other, metric))

    def wall(peer: str) -> list[float]:
        return [ideal / wall for wall in series.numbers[peer, "slow_wall_s"]]

    def cost(peer: str, metric: str = "cpu_ms") -> str:
        return f"{series.median(peer, metric):.2f} ms"

    def peak(peer: str) -> str:
        return f"{series.median(peer, 'slow_wall_s'):.2f} s, {series.median(peer, 'peak'):.0f} in flight"

    both = f"{cost('guardflow')} / {cost('instructor')}"
    delayed = f"{cost('guardflow', 'slow_cpu_ms')} / {cost('instructor', 'slow_cpu_ms')}"
    return [
        Row("CPU: guarded durable model stage / instructor on litellm", cpu("guardflow", "instructor"), most=0.8, detail=both),
        Row(f"  the same, the model taking {DELAY} s", cpu("guardflow", "instructor", "slow_cpu_ms"), detail=delayed),
        Row("  the same, its guards in threads", cpu("threads", "instructor"), detail=cost("threads")),
        Row("  / litellm.acompletion with a prepared schema", cpu("guardflow", "litellm"), detail=cost("litellm")),
        Row("  / bare httpx", cpu("guardflow", "httpx"), detail=cost("httpx")),
        Row(f"wall: ideal / {plan.calls} model stages of {DELAY} s", wall("guardflow"), least=0.58, detail=peak("guardflow")),
        *(Row(f"  {peer}", wall(peer), detail=peak(peer)) for peer in ("instructor", "litellm", "httpx")),
    ]  # fmt: skip


def code_stages(plan: Plan) -> Sequence[Row]:
    """A durable code stage against the engine's own step."""
    series = Series()
    for turn in range(plan.repeat):
        for peer in ("steps-guardflow", "steps-dbos"):
            series.add(peer, ask(peer, plan.folder / f"{peer}-{turn}", calls=plan.calls, rounds=plan.rounds))
    return [_against_dbos(series, "steps", "durable code stage / raw DBOS step", metric) for metric in ("cpu_ms", "wall_ms")]  # fmt: skip


def replay(plan: Plan) -> Sequence[Row]:
    """Resuming a run of finished stages against raw DBOS."""
    series, calls = Series(), plan.calls * 10 // 3
    for peer in ("replay-guardflow", "replay-dbos"):
        _leave_behind(peer, plan.folder / peer, calls)
    for turn in range(plan.repeat):
        for peer in ("replay-guardflow", "replay-dbos"):
            source = str(plan.folder / peer)
            series.add(peer, ask(peer, plan.folder / f"{peer}-{turn}", calls=calls, source=source))
    what = f"resume of {calls} finished stages / raw DBOS"
    asked = Row("  model calls of the resume", series.numbers["replay-guardflow", "asked"], most=0)
    return [*(_against_dbos(series, "replay", what, metric) for metric in ("cpu_ms", "wall_ms")), asked]


def cache_hits(plan: Plan) -> Sequence[Row]:
    """A hit of the response cache against the call it saves."""
    series = Series()
    with FaultProcess(Reply.json(ANSWER), keep=1) as server:
        options = {"calls": plan.calls, "rounds": plan.rounds}
        for turn in range(plan.repeat):
            series.add("cache", ask("cache", plan.folder / f"cache-{turn}", **options))
            base = server.base_url
            series.add(
                "litellm", ask("litellm", plan.folder / f"hit-{turn}", fast=base, slow=base, **options)
            )

    def row(what: str, metric: str, most: float | None = None) -> Row:
        detail = f"{series.median('cache', metric):.3f} ms / {series.median('litellm', 'cpu_ms'):.2f} ms"
        return Row(what, series.ratios(("cache", metric), ("litellm", "cpu_ms")), most=most, detail=detail)

    return [
        row("CPU: cache lookup, from the table / litellm.acompletion", "lookup_ms", 0.15),
        row("  lookup, again", "lookup_again_ms"),
        row("  a durable stage in fan_out that hits the table", "stage_ms"),
        row("  a durable stage in fan_out that hits, again", "stage_again_ms"),
    ]


def imports(plan: Plan) -> Sequence[Row]:
    """`import guardflow` against its largest light dependency."""
    statements = {
        "guardflow": "import guardflow",
        "pydantic": "import pydantic",
        "names": "import guardflow\nfor name in guardflow.__all__: getattr(guardflow, name)",
    }
    series = Series()
    for _ in range(max(2, 3 * plan.repeat)):
        for name, statement in statements.items():
            watch = Stopwatch()
            subprocess.run([sys.executable, "-c", statement], check=True, env=environment())
            series.add(name, {"wall_ms": 1_000 * watch.wall()})
    heavy = ("litellm", "instructor", "dbos", "sqlalchemy")
    check = f"import sys, guardflow\nprint(*(m for m in {heavy!r} if m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True).stdout
    said = ", ".join(f"{name} {series.median(name, 'wall_ms'):.0f} ms" for name in ("guardflow", "pydantic"))
    ours, theirs = ("guardflow", "wall_ms"), ("pydantic", "wall_ms")
    return [
        Row("wall: python -c 'import guardflow' / 'import pydantic'", series.ratios(ours, theirs), most=1.3, detail=said),
        Row("  with every public name loaded", series.ratios(("names", "wall_ms"), theirs)),
        Row("  of litellm, instructor, dbos, sqlalchemy it loads", [float(len(loaded.split()))], most=0),
    ]  # fmt: skip


def research(plan: Plan) -> Sequence[Row]:
    """Deep research over a corpus: no peer, but a process that does nothing else, so that its memory can be told."""
    corpus, series = plan.folder / "corpus", Series()
    write_pages(corpus, PAGES)
    for turn in range(plan.repeat):
        series.add("research", ask("research", plan.folder / f"research-{turn}", corpus=str(corpus)))

    def numbers(metric: str) -> list[float]:
        return series.numbers["research", metric]

    said = ", ".join(
        f"{series.median('research', metric):.0f} MB after {what}"
        for metric, what in (("imports_mb", "imports"), ("indexed_mb", "indexing"))
    )
    asked = f"{series.median('research', 'requests'):.0f} requests to a scripted model"
    return [
        Row(f"peak memory of research over {PAGES:,} pages, MB", numbers("peak_mb"), most=300, detail=said),
        Row("  indexing them, ms a page", numbers("index_ms")),
        Row("  opening the index again, ms in all", numbers("again_ms")),
        Row("  the run, s", numbers("run_s"), detail=asked),
    ]


def votes(plan: Plan) -> Sequence[Row]:
    """How often votes are right, and what they ask, against fixed panels; the spread is a 95 % interval."""
    return measure(40 * plan.calls)


BENCHMARKS: dict[str, Callable[[Plan], Sequence[Row]]] = {
    "calls": model_calls,
    "steps": code_stages,
    "replay": replay,
    "cache": cache_hits,
    "imports": imports,
    "votes": votes,
    "research": research,
    "vote-cpu": lambda plan: ballot_rows(plan.repeat, plan.calls, plan.rounds, plan.folder),
    "faulty": lambda plan: faulty_rows(plan.calls, plan.folder),
    "storm": lambda plan: storm_rows(plan.repeat, plan.calls, plan.folder),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--repeat", type=int, default=5, help="processes of each peer, in turns")
    parser.add_argument("--rounds", type=int, default=3, help="rounds in each process")
    parser.add_argument("--calls", type=int, default=300, help="calls a round; targets are meant for 300")
    given = parser.parse_args(argv)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="gfbench") as folder:
        for name in given.only:
            rows += BENCHMARKS[name](Plan(given.repeat, given.calls, given.rounds, Path(folder) / name))
            print(f"{name}: measured", file=sys.stderr)
    print(table(rows))


def _against_dbos(series: Series, peer: str, what: str, metric: str) -> Row:
    kind = metric.removesuffix("_ms")
    ours, theirs = (f"{peer}-guardflow", metric), (f"{peer}-dbos", metric)
    detail = f"{series.median(*ours):.2f} ms / {series.median(*theirs):.2f} ms"
    most = {"steps": 1.2, "replay": 1.3}[peer]
    label = kind.upper() if kind == "cpu" else kind
    return Row(f"{label}: {what}", series.ratios(ours, theirs), most=most, detail=detail)


def _leave_behind(peer: str, folder: Path, calls: int) -> None:
    """Let a peer make its run and die: it says nothing, and leaves its database."""
    from harness import WORKER

    folder.mkdir(parents=True)
    options = f'{{"calls": {calls}, "prepare": true}}'
    subprocess.run([sys.executable, str(WORKER), peer, options], cwd=folder, check=True, env=environment())


if __name__ == "__main__":
    main()
