"""What people install: the wheel holds what it should, and works from an empty folder without this checkout.

It needs no network where uv's cache is warm, which `uv run` and `uv sync` leave behind: everything is tried
with ``--offline`` first, and with the configured package index only where the cache lacks something.
"""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[1]


def uv(*args: str | Path) -> None:
    """Run uv: from its cache if it can, else with the package index."""
    tried = [_uv("--offline", *args)]
    if tried[0].returncode:
        tried.append(_uv(*args))
    assert tried[-1].returncode == 0, "\n".join(ran.stderr for ran in tried)


def _uv(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([find_uv_bin(), *args], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as a release is: the sdist from the tree, the wheel from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--out-dir", out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def inside(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@dataclass(frozen=True, slots=True)
class Installed:
    """A fresh environment with the wheel and what it depends on, and nothing else."""

    python: Path
    empty: Path
    """A folder outside of the checkout with nothing in it."""

    def run(self, code: str) -> str:
        """What ``code`` prints, run in the empty folder. Nothing of this environment is visible to it."""
        return self._ran(self.python, "-I", "-W", "error", "-c", code)

    def command(self, *args: str, **variables: str) -> str:
        """What ``guardflow ARGS`` prints there: no settings, no project, and no key but in ``variables``."""
        return self._ran(self.python.with_name("guardflow"), *args, **variables)

    def _ran(self, *command: str | Path, **variables: str) -> str:
        hidden = ("PYTHON", "VIRTUAL_ENV", "GUARDFLOW_", "OPENAI_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        ran = subprocess.run(
            command,
            cwd=self.empty,
            env=clean | {"XDG_CONFIG_HOME": str(self.empty)} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("installed")
    uv("venv", "--quiet", "--python", sys.executable, home / "venv")
    python = home / "venv" / "bin" / "python"
    uv(
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--constraint",
        ROOT / ".ci" / "constraints.txt",
        wheel,
    )
    (home / "empty").mkdir()
    return Installed(python, home / "empty")


@pytest.mark.parametrize("folder", ["pipelines", "prompts", "evals"])
def test_what_is_bundled_lies_inside_the_package(inside: list[str], folder: str) -> None:
    files = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    local = ("__pycache__", ".")
    wanted = {
        f"guardflow/_bundled/{path}"
        for path in files
        if not any(part.startswith(local) for part in path.parts)
    }
    assert wanted
    assert wanted <= set(inside)


def test_nothing_else_is_put_into_site_packages(inside: list[str]) -> None:
    tops = {name.split("/", 1)[0] for name in inside}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"guardflow"}


def test_types_travel_along_and_caches_do_not(inside: list[str]) -> None:
    assert "guardflow/py.typed" in inside
    assert [name for name in inside if name.endswith(".pyc") or "/." in name] == []


def test_every_module_of_the_package_is_in_the_wheel(inside: list[str]) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "guardflow").rglob("*.py")}
    assert modules <= set(inside)


def test_the_guide_is_in_the_wheel_and_can_be_read(inside: list[str], installed: Installed) -> None:
    chapters = {str(path.relative_to(ROOT)) for path in (ROOT / "guardflow" / "guide").glob("*.md")}
    assert chapters
    assert chapters <= set(inside)
    code = """from importlib.resources import files
print(sum(path.read_text("utf-8").startswith("# ") for path in (files("guardflow") / "guide").iterdir()))"""
    assert int(installed.run(code)) == len(chapters)


def test_the_metadata_never_asks_for_a_compiler(wheel: Path, inside: list[str]) -> None:
    (name,) = (name for name in inside if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(name).decode()
    metadata = email.message_from_string(text)
    assert metadata["Name"] == "guardflow"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "smollm2" not in text.lower()


def test_the_installed_package_is_the_wheel_and_imports_from_an_empty_folder(installed: Installed) -> None:
    where = Path(installed.run("import guardflow; print(guardflow.__file__)"))
    assert where.is_relative_to(installed.python.parents[1])
    assert list(installed.empty.iterdir()) == []


def test_every_public_name_resolves_with_the_declared_dependencies_alone(installed: Installed) -> None:
    code = "import guardflow; print(len([getattr(guardflow, name) for name in guardflow.__all__]))"
    assert int(installed.run(code)) > 0


def test_the_wheel_holds_the_labels_and_the_examples_of_votes(inside: list[str]) -> None:
    bundled = "guardflow/_bundled/"
    assert any(name.startswith(f"{bundled}evals/labels/guards/") for name in inside)
    for example, prompt in (("invoices", "invoice"), ("triage", "route")):
        assert f"{bundled}pipelines/examples/{example}.py" in inside
        assert any(name.startswith(f"{bundled}prompts/examples/{prompt}") for name in inside)


def test_the_installed_command_measures_guards_on_the_labels_of_the_wheel(installed: Installed) -> None:
    scores = json.loads(installed.command("eval", "guards", "--json"))["guards"]
    assert {score["guard"] for score in scores} >= {"no_pii", "no_injection"}
    assert list(installed.empty.iterdir()) == []


@pytest.mark.parametrize("name", ["invoices", "triage"])
def test_the_installed_command_explains_the_examples_of_votes(installed: Installed, name: str) -> None:
    explained = json.loads(installed.command("explain", name, "--json", OPENAI_API_KEY="never-sent"))
    assert explained["pipeline"] == name
    assert all(stage["vote"]["panel"] for stage in explained["stages"])
    assert list(installed.empty.iterdir()) == []


RESEARCH = """
import asyncio
import os
import tempfile
from datetime import date
from pathlib import Path

from guardflow import Runtime
from guardflow.testing import Scripted
from guardflow._bundled.pipelines.deep_research import ResearchRequest, deep_research, research_files, resources

os.chdir(tempfile.mkdtemp())
folder = Path("docs")
folder.mkdir()
(folder / "tides.md").write_text(
    "# Tides\\n\\nThe tide at Port Kell rises 4.2 metres in spring, and fishing boats leave Port Kell then.\\n"
)
request = ResearchRequest(
    question="How far does the tide rise at Port Kell?", as_of=date(2026, 11, 1), corpus=(str(folder.resolve()),)
)

async def main():
    models = dict.fromkeys(("fast", "strong", "judge"), Scripted())
    async with Runtime(resources=resources(request), models=models) as rt:
        return await rt.run(deep_research, request, run_id="wheel")

print("4.2 metres" in research_files(asyncio.run(main()))["report.md"].decode())
"""


def test_the_installed_wheel_researches_a_folder_of_documents(installed: Installed) -> None:
    assert installed.run(RESEARCH) == "True"
