"""The public types, as mypy strict and pyright strict see them: exactly the lines that are marked fail.

A line of ``tests/typing`` that must not pass says so with ``type: ignore[code]`` for mypy and
``pyright: ignore[rule]``. Here the marks are taken away, and what each checker then finds is compared with them.
The README's examples are checked along, and have none.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FILES = sorted((ROOT / "tests" / "typing").glob("*.py"))
MARK = {
    "mypy": re.compile(r"  # type: ignore\[([^]]*)\]"),
    "pyright": re.compile(r"  # pyright: ignore\[([^]]*)\]"),
}
Failures = dict[tuple[str, int], set[str]]
"""File and line, and the codes that a checker gives there."""


def marked(checker: str) -> Failures:
    return {
        (file.name, number): set(mark[1].split(", "))
        for file in FILES
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if (mark := MARK[checker].search(line))
    }


@pytest.fixture(scope="module")
def unmarked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typing")
    for file in FILES:
        text = file.read_text("utf-8")
        for mark in MARK.values():
            text = mark.sub("", text)
        (folder / file.name).write_text(text, "utf-8")
    shown = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (folder / "readme.py").write_text("\n".join(shown), "utf-8")
    return folder


def run(*command: str | Path) -> str:
    environ = {**os.environ, "MYPYPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, f"{command[0]} could not check:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def by_mypy(folder: Path) -> Failures:
    found: Failures = defaultdict(set)
    for line in run(sys.executable, "-m", "mypy", "--output=json", folder).splitlines():
        said = json.loads(line)
        if said["severity"] == "error":
            found[Path(said["file"]).name, said["line"]].add(said["code"])
    return dict(found)


def by_pyright(folder: Path) -> Failures:
    (folder / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": [str(ROOT)]})
    )
    said = run(sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", folder)
    found: Failures = defaultdict(set)
    for problem in json.loads(said)["generalDiagnostics"]:
        line = problem["range"]["start"]["line"] + 1
        found[Path(problem["file"]).name, line].add(problem.get("rule", problem["message"]))
    return dict(found)


@pytest.mark.parametrize(("checker", "check"), [("mypy", by_mypy), ("pyright", by_pyright)])
def test_exactly_the_marked_lines_fail(checker: str, check, unmarked: Path) -> None:
    assert check(unmarked) == marked(checker)


def test_what_one_checker_refuses_the_other_refuses_too() -> None:
    assert marked("mypy").keys() == marked("pyright").keys()
    assert len([where for where in marked("mypy") if where[0] == "flow_bad.py"]) > 50
