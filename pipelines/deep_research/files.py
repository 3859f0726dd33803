"""The files of a report, as bytes: what a sink delivers. Pure but for the version of guardflow.

All but ``manifest.json`` depend on the report alone, so that a resumed run's files are the same byte for byte; clock,
spend and attempt counts stand in the manifest only.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version

from guardflow import RunResult

from .render_html import html
from .render_markdown import markdown
from .types import Report

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def research_files(run: RunResult[Report]) -> dict[str, bytes]:
    """``report.md``, ``report.html``, ``evidence.jsonl``, ``sources.csv`` and ``manifest.json``.

    Args:
        run: a run of deep research that has a result.

    Raises:
        RunError: it has none (`guardflow.BudgetExceeded` and others, by its status).
    """
    report = run.unwrap()
    files = report_files(report)
    return {**files, "manifest.json": manifest(run, files)}


def report_files(report: Report) -> dict[str, bytes]:
    """The files that depend on the report alone."""
    return {
        "report.md": markdown(report).encode("utf-8", "replace"),
        "report.html": html(report).encode("utf-8", "replace"),
        "evidence.jsonl": evidence(report),
        "sources.csv": sources(report),
    }


def evidence(report: Report) -> bytes:
    """A line for each place that states a fact: claim, quote, source, offsets into the source's stored text."""
    lines: list[str] = []
    for fact in report.facts:
        claims = [
            sentence.text
            for section in report.sections
            for sentence in section.sentences
            if fact.id in sentence.facts
        ]
        for support in fact.supports:
            source = report.source(support.source)
            row = {
                "id": fact.id,
                "claim": " ".join(claims) or fact.quote,
                "quote": support.quote,
                "source": source.id,
                "uri": source.uri,
                "document": support.document,
                "start": support.start,
                "end": support.end,
                "sub_question": fact.sub_question,
                "state": fact.state,
                "against": list(fact.against),
                "chosen_by": fact.chosen_by,
            }
            lines.append(json.dumps(row, ensure_ascii=True))
    return "".join(f"{line}\n" for line in lines).encode()


def sources(report: Report) -> bytes:
    """The table of sources. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    table.writerow(("id", "title", "uri", "origin", "published", "document", "facts", "also_at", "flags"))
    for source in report.sources:
        facts = [str(fact.id) for fact in report.facts if source.id in fact.sources]
        published = source.published.isoformat() if source.published is not None else ""
        row = (
            str(source.id),
            source.title,
            source.uri,
            source.origin,
            published,
            source.document,
            " ".join(facts),
            " ".join(source.also_at),
            " ".join(source.flags),
        )
        table.writerow([cell(value) for value in row])
    return out.getvalue().encode("utf-8", "replace")


def cell(value: str) -> str:
    """A cell that no spreadsheet computes.

    >>> cell("=1+1"), cell("plain")
    ("'=1+1", 'plain')
    """
    value = "".join(char if char.isprintable() else " " for char in value)
    return f"'{value}" if value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA) else value


def manifest(run: RunResult[Report], files: Mapping[str, bytes]) -> bytes:
    """What the run was and cost, and the hashes of the other files."""
    report = run.unwrap()
    rungs: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    seconds = 0.0
    for attempt in run.attempts:
        rungs[attempt.start.rung] += 1
        if attempt.end is not None:
            seconds += max(0.0, attempt.end.ended_at - attempt.start.started_at)
            kind = attempt.end.kind or (attempt.verdict.kind if attempt.verdict is not None else None)
            kinds[str(kind.name) if kind is not None else "accepted"] += 1
    data: dict[str, object] = {
        "schema_version": 1,
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "status": run.status,
        "guardflow": version("guardflow"),
        "question": report.question,
        "as_of": report.as_of.isoformat(),
        "profile": report.profile,
        "models": {use.stage: list(use.models) for use in report.models},
        "spend": {
            "usd": str(run.spend.usd),
            "tokens": run.spend.tokens,
            "calls": run.spend.calls,
            "unpriced_calls": run.spend.unpriced,
        },
        "attempts": {
            "count": len(run.attempts),
            "by_rung": dict(sorted(rungs.items())),
            "by_kind": dict(sorted(kinds.items())),
        },
        "seconds": {"asking_models": round(seconds, 3)},
        "degraded": [part.model_dump() for part in report.degraded],
        "files": {
            name: {"sha256": sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
        },
    }
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")
