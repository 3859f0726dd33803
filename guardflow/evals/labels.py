"""Labelled cases of guards: JSON lines, one case a line, each with what the guard should say.

`guardflow.evals.guards` reads them. Nothing in a file is run: a guard is named, its options are JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from guardflow.errors import UsageError

Split = Literal["tuned", "held-out", "held-out-2", "held-out-3"]
"""Whether the guard was made with the case in view, or the case was left alone; ``-2`` marks a second, later set,
and ``-3`` one by somebody else than the guard's writer."""


class Case(BaseModel):
    """What a guard is given, and whether it should find anything.

    Attributes:
        id: unique within the file.
        guard: a guard of the kit by its name; "" for the one that is named when the file is used.
        answer: the value that is guarded.
        input: the stage's input.
        args: positional arguments the guard is made with.
        options: keyword arguments the guard is made with.
        found: whether there should be a finding.
        split: see `Split`.
        note: why, for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str = Field(min_length=1)
    guard: str = ""
    answer: JsonValue
    input: JsonValue = None
    args: list[JsonValue] = []
    options: dict[str, JsonValue] = {}
    found: bool
    split: Split = "tuned"
    note: str = ""


def shipped_labels() -> list[Path]:
    """The label files that come with guardflow, by name."""
    package = Path(__file__).absolute().parent.parent
    bundled = package / "_bundled" / "evals"
    root = bundled if bundled.is_dir() else package.parent / "evals"
    return sorted((root / "labels" / "guards").glob("*.jsonl"))


def load_cases(files: Iterable[Path]) -> list[Case]:
    """The cases of label files, in order.

    Raises:
        UsageError: a file cannot be read, a line is no case, two cases of a file have one id, or there is none.
    """
    cases: list[Case] = []
    for file in files:
        try:
            lines = file.read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"labels {str(file)!r} cannot be read: {error}", hint="give a JSONL file"
            ) from None
        seen: set[str] = set()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            case = _case(line, f"{file.name}:{number}")
            if case.id in seen:
                raise UsageError(
                    f"{file.name}:{number} has the id {case.id!r} again", hint="give it another id"
                )
            seen.add(case.id)
            cases.append(case)
    if not cases:
        raise UsageError("there are no labelled cases", hint="give a file with one JSON object a line")
    return cases


def _case(line: str, where: str) -> Case:
    try:
        return Case.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"])) or "line"
        raise UsageError(
            f"{where} is no labelled case: {path}: {first['msg']}",
            hint='write it like {"id": "a1", "guard": "no_pii", "answer": "...", "found": true}',
        ) from None
