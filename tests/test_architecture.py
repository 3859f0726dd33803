"""The tree keeps its promises: layers, short files, a light import, no hosts, nothing lying about."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    ".ci",
    ".github",
    ".gitignore",
    "README.md",
    "evals",
    "guardflow",
    "pipelines",
    "prompts",
    "pyproject.toml",
    "tests",
}
HEAVY = ("litellm", "instructor", "openai", "dbos", "sqlalchemy", "pydantic", "jinja2", "rich", "typer")
# Assembled, so that this file does not hold them either.
HOSTS = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.npm" + "js",
    "deb.deb" + "ian.org",
    "npm" + "mirror",
)
MOST_LINES = 450
MOST_DOCSTRING_LINES = 6


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_imports_go_down_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " 0 broken" in ran.stdout


def test_no_file_is_too_long_to_be_one_idea() -> None:
    long = {path: len(path.read_text("utf-8").splitlines()) for path in tracked("*.py")}
    assert named([path for path, lines in long.items() if lines > MOST_LINES]) == []


def test_every_module_opens_with_what_it_is() -> None:
    bare = [path for path in tracked("*.py") if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert named(bare) == []


def test_what_a_module_is_takes_six_lines_at_most() -> None:
    # Two modules open with a drawing: the tree of errors and the table of layers.
    drawn = {ROOT / "guardflow" / "errors.py", ROOT / "guardflow" / "__init__.py"}
    wordy = [
        path
        for path in tracked("guardflow/*.py", "tests/*.py", "pipelines/*.py")
        if path not in drawn
        and len((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").splitlines())
        > MOST_DOCSTRING_LINES
    ]
    assert named(wordy) == []


@pytest.mark.parametrize("host", HOSTS)
def test_no_file_names_a_package_registry(host: str) -> None:
    assert named([path for path in tracked() if host.encode() in path.read_bytes()]) == []


def test_nothing_lies_about_at_the_top() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP_LEVEL


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in tracked("tests/*.py") if path.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_importing_guardflow_loads_nothing_heavy() -> None:
    code = f"import sys, guardflow; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_uv_and_pip_are_given_the_same_versions() -> None:
    lines = (ROOT / ".ci" / "constraints.txt").read_text("utf-8").splitlines()
    for_pip = [line for line in lines if line and not line.startswith("#")]
    match project():
        case {"tool": {"uv": {"constraint-dependencies": list() as for_uv}}}:
            assert for_uv == for_pip
        case _:
            raise AssertionError("pyproject.toml has no [tool.uv] constraint-dependencies")


def test_every_direct_dependency_has_a_version() -> None:
    match project():
        case {
            "project": {"dependencies": list() as needed},
            "dependency-groups": dict() as groups,
            "tool": {"uv": {"constraint-dependencies": list() as pins}},
        }:
            wanted = [
                *needed,
                *(name for group in groups.values() for name in group if isinstance(name, str)),
            ]
            assert {bare_name(name) for name in wanted} <= {bare_name(pin) for pin in pins}
        case _:
            raise AssertionError("pyproject.toml has no dependencies")


def bare_name(requirement: str) -> str:
    """``pyright`` of ``pyright[nodejs]>=1.1``."""
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), len(requirement))
    return requirement[:end]
