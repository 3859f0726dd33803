"""A project in an empty folder, and commands in it: in this process for speed, or in one of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "from guardflow.cli import main; main()"
WAIT = 300.0
"""Seconds after which a process hangs. A slow machine takes one minute to import what talks to providers."""


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Project:
    """A folder with pipelines, and commands in it."""

    def __init__(self, root: Path, run: Callable[..., Ran]) -> None:
        self.root = root
        self._run = run

    def __call__(self, *args: str, stdin: str = "") -> Ran:
        """Run a command in this process, as `main` does."""
        return self._run(*args, stdin=stdin)

    def pipelines(self, code: str) -> None:
        (self.root / "pipelines").mkdir(exist_ok=True)
        (self.root / "pipelines" / "__init__.py").write_text('"""Pipelines."""\n')
        (self.root / "pipelines" / "lab.py").write_text(code)

    def spawn(self, *args: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *args],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Ran:
        """Wait for its end; one that does not end is killed and fails the test."""
        try:
            out, err = process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return Ran(process.returncode, out, err)


def pipeline_modules() -> list[str]:
    """The modules of whatever project was imported last."""
    return [name for name in sys.modules if name.split(".")[0] == "pipelines"]
