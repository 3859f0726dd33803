"""What a person sees while a run executes: a tree of stages with attempts and spend, on stderr.

On a terminal it is redrawn in place; elsewhere it is one plain line a finished stage. It reads events, nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from guardflow.errors import UsageError
from guardflow.events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    ItemsFinished,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
)
from guardflow.hashing import JSON

from .output import SCHEMA_VERSION, console, cost, count, line, say

if TYPE_CHECKING:
    from rich.text import Text

Style = Literal["live", "lines", "events", "none"]

MARKS = {"ok": "✓", "degraded": "~", "waiting": "⏸", "running": "…", "unfinished": "…", "pending": "…"}
COLOURS = {
    "ok": "green",
    "running": "cyan",
    "pending": "cyan",
    "unfinished": "yellow",
    "degraded": "yellow",
    "over_budget": "yellow",
    "waiting": "magenta",
}
_HEAD = 0
"""The step number of a child run's own line; steps count from 1."""
_REDRAWS = 4
"""Times a second the tree is redrawn: it costs CPU that the run could use."""


@dataclass(slots=True)
class StageLine:
    """One line of the tree. Times are of `time.monotonic`."""

    name: str
    place: tuple[int, ...]
    """Where it stands in the tree: below the line of its run, in the order of the start."""
    status: str = "running"
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    done: int = 0
    items: int = 0
    sent: int = 0
    answered: int = 0
    cached: int = 0
    tokens: int = 0
    nano_usd: int = 0
    unpriced: int = 0
    last: str = ""
    failed: str = ""
    """What was wrong with the last answer."""

    @property
    def indent(self) -> str:
        return "  " * (len(self.place) - 1)

    def text(self) -> str:
        """The line as a person reads it."""
        parts = [f"{MARKS.get(self.status, '✗')} {self.name}"]
        if self.items:
            parts.append(f"{self.done}/{self.items}")
        if self.status not in ("ok", "running"):
            parts.append(self.status)
        if self.last:
            parts.append(self.last)
        if self.last != "read back":
            parts.append(seconds((self.ended or time.monotonic()) - self.began))
        if self.sent:
            under_way = f"{self.answered}/" if self.answered < self.sent else ""
            parts.append(under_way + count(self.sent, "call"))
        if self.cached:
            parts.append(f"{self.cached} cached")
        if self.tokens:
            parts.append(count(self.tokens, "token"))
        if self.nano_usd or self.unpriced:
            parts.append(cost(self.nano_usd, self.unpriced))
        return line(" · ".join(parts))


@dataclass(slots=True)
class Tree:
    """The stages of a run and of its child runs so far, folded from its events."""

    run_id: str
    pipeline: str = ""
    lines: dict[tuple[str, int], StageLine] = field(default_factory=dict[tuple[str, int], StageLine])
    began: float = field(default_factory=time.monotonic)

    def fold(self, event: Event) -> StageLine | None:
        """Take one event in; return the line it ended, if it ended one."""
        match event:
            case RunStarted():
                if event.run_id == self.run_id:
                    self.pipeline = event.pipeline
                else:
                    self._at(event.run_id, _HEAD, event.pipeline, under=event.run_id.rsplit("-", 2)[0])
            case RunFinished():
                return self._end(self.lines.get((event.run_id, _HEAD)), event.status)
            case StageStarted():
                self._line(event)
            case ItemsFinished():
                found = self._line(event)
                found.done, found.items = event.done, event.total
            case StageFinished():
                found = self._line(event)
                agreed = "" if event.agreement is None else f"{event.agreement:.0%} agree"
                why = found.last if found.last == found.failed and event.status != "ok" else ""
                found.last = "read back" if event.replayed else agreed or why
                return self._end(found, event.status)
            case AttemptStarted():
                found = self._line(event)
                found.sent += 1
                found.last = ballot_label(event.role, event.ballot)
                if event.rung != "start":
                    found.last = f"{found.last} {event.rung}".lstrip()
            case AttemptEnded():
                found = self._line(event)
                found.answered += not event.cached
                found.cached += event.cached
                found.tokens += event.tokens
                found.nano_usd += event.nano_usd or 0
                found.unpriced += event.nano_usd is None and event.kind is None and not event.cached
                found.failed = found.last = event.kind or ""
        return None

    def head(self) -> str:
        """The run, how long it takes, and what it has cost in this process."""
        stages = self.lines.values()
        paid = cost(sum(s.nano_usd for s in stages), sum(s.unpriced for s in stages))
        calls = count(sum(s.answered for s in stages), "call")
        spent = f"{calls} · {count(sum(s.tokens for s in stages), 'token')} · {paid}"
        elapsed = seconds(time.monotonic() - self.began)
        return line(f"{self.pipeline or 'starting'}  {self.run_id}  {elapsed} · {spent}")

    def shown(self, most: int) -> Iterator[StageLine | int]:
        """The lines to draw, at most so many: running ones first of all, then the newest; a count for the rest."""
        every = sorted(self.lines.values(), key=lambda stage: stage.place)
        if len(every) <= most:
            yield from every
            return
        # Sorted stably: what ended before what runs, each in its order; the last ones are wanted most.
        wanted = sorted(every, key=lambda stage: stage.ended is None)[-max(1, most - 1) :]
        chosen = {id(stage) for stage in wanted}
        yield len(every) - len(chosen)
        yield from (stage for stage in every if id(stage) in chosen)

    def _line(
        self, event: StageStarted | StageFinished | AttemptStarted | AttemptEnded | ItemsFinished
    ) -> StageLine:
        return self._at(event.run_id, event.step, step_label(event.stage), under=event.run_id)

    def _at(self, run_id: str, step: int, name: str, *, under: str) -> StageLine:
        found = self.lines.get((run_id, step))
        if found is None:
            above = self.lines.get((under, _HEAD))
            place = (*(above.place if above is not None else ()), len(self.lines))
            found = self.lines[run_id, step] = StageLine(name, place)
        return found

    @staticmethod
    def _end(found: StageLine | None, status: str) -> StageLine | None:
        if found is not None:
            found.status, found.ended = status, time.monotonic()
        return found


def style_for(*, json_output: bool, events: bool) -> Style:
    """How progress is shown: live on a terminal, lines elsewhere, nothing beside a JSON document."""
    if events and json_output:
        raise UsageError("both --json and --events were given", hint="use one; --events ends with the result")
    if events:
        return "events"
    if json_output:
        return "none"
    plain = os.environ.get("TERM") == "dumb" or os.environ.get("CI")
    return "live" if sys.stderr.isatty() and not plain else "lines"


async def show(events: AsyncIterator[Event], style: Style, *, run_id: str) -> None:
    """Show a run's events until it ends."""
    if style == "live":
        await _live(events, Tree(run_id))
    elif style == "lines":
        tree = Tree(run_id)
        async for event in events:
            ended = tree.fold(event)
            if ended is not None:
                say(ended.indent + ended.text())
    else:
        async for event in events:
            if style == "events":
                print_event(type(event).__name__, cast("dict[str, JSON]", asdict(event)))


def print_event(name: str, fields: Mapping[str, JSON]) -> None:
    """One event as one line of JSON on stdout."""
    print(json.dumps({"schema_version": SCHEMA_VERSION, "event": name, **fields}), flush=True)  # noqa: T201


async def _live(events: AsyncIterator[Event], tree: Tree) -> None:
    from rich.live import Live

    out = console()

    def draw() -> Text:
        return picture(tree, height=out.height, width=out.width)

    with Live(get_renderable=draw, console=out, refresh_per_second=_REDRAWS, vertical_overflow="crop"):
        async for event in events:
            tree.fold(event)


def picture(tree: Tree, *, height: int, width: int) -> Text:
    """The tree as text, one line of the terminal each: a line that wraps would make the picture jump."""
    from rich.text import Text

    drawn = Text(tree.head(), style="bold", no_wrap=True, overflow="ellipsis", end="")
    drawn.truncate(width, overflow="ellipsis")
    for stage in tree.shown(max(1, height - 3)):
        more = isinstance(stage, int)
        text = f"  … {stage} more" if more else "  " + stage.indent + stage.text()
        style = "dim" if more else COLOURS.get(stage.status, "red")
        row = Text(text, style=style)
        row.truncate(width, overflow="ellipsis")
        drawn.append("\n").append_text(row)
    return drawn


def ballot_label(role: str, ballot: int) -> str:
    """Which ballot of a vote an answer is, in words; nothing for a stage's first or only one."""
    if role != "answer" or not ballot:
        return "tie-break" if role == "split" else ""
    return f"ballot {ballot}" if ballot > 0 else "after the vote"


def seconds(span: float) -> str:
    """A span of time as people read it."""
    return f"{span:.1f} s" if span < 60 else f"{int(span // 60)} min {int(span % 60):02d} s"


def step_label(name: str) -> str:
    """A step's stored name without its sort."""
    sort, _, rest = name.partition(":")
    return rest if sort in ("stage", "fan_out", "run") and rest else name
