"""The guide is true: its code runs, its commands exist, every command is in it, and its sentences can be quoted.

In a chapter, a block whose info string names a file (`python jobs.py`, `markdown prompts/a/b.md`) is written there;
every other `python` block runs, in order, in one namespace a chapter, in an empty folder.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from guardflow.cli.app import app
from guardflow.settings import load_settings
from guardflow.sources.documents import document
from guardflow.sources.markdown import plain_markdown
from guardflow.testing.plugin import refuse_network
from pipelines.deep_research.quotable import Readable, readable

GUIDE = Path(__file__).parents[1] / "guardflow" / "guide"
CHAPTERS = sorted(GUIDE.glob("*.md"))
SUBJECTS = ("why", "stages", "prompts", "models", "guards", "guard-kit", "composed-guards", "ladder", "votes", "limits",
            "durability", "budgets-and-cache", "research", "testing", "operating", "what-is-not-in-it")  # fmt: skip

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: ``language``, the file it is, if any, and the line of the chapter its text begins at."""

    language: str
    file: str
    text: str
    line: int


def blocks(chapter: Path) -> Iterator[Block]:
    text = chapter.read_text("utf-8")
    for found in re.finditer(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, found.start(3)) + 1
        yield Block(found[1], found[2] or "", found[3], line)


def run_chapter(chapter: Path, folder: Path) -> int:
    """Write its files and run its code; return how many blocks ran."""
    namespace: dict[str, object] = {"__name__": f"guide_{chapter.stem[:2]}"}
    ran = 0
    for block in blocks(chapter):
        if block.file:
            target = folder / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, "utf-8")
            if block.file == "guardflow.toml":
                load_settings(folder)
        elif block.language == "python":
            code = compile("\n" * (block.line - 1) + block.text, str(chapter), "exec", dont_inherit=True)
            exec(code, namespace)
            ran += 1
    return ran


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, without any key or setting of the machine, and without a network."""
    for name in os.environ:
        if name.startswith("GUARDFLOW_") or name.endswith(("_API_KEY", "_BASE_URL")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    refuse_network(monkeypatch)
    return tmp_path


# --- shape -------------------------------------------------------------------------------------------------


def test_the_chapters_are_numbered_and_all_there() -> None:
    assert [path.stem for path in CHAPTERS] == [f"{i:02}-{name}" for i, name in enumerate(SUBJECTS, 1)]


@each_chapter
def test_a_chapter_is_short_and_says_first_what_it_is_about(chapter: Path) -> None:
    lines = chapter.read_text("utf-8").splitlines()
    assert 60 <= len(lines) <= 160
    assert lines[0].startswith("# ")
    assert lines[2].startswith("This chapter ")
    assert lines[3] == ""


# --- code --------------------------------------------------------------------------------------------------


@each_chapter
def test_its_code_runs(chapter: Path, empty: Path) -> None:
    shown = sum(block.language == "python" and not block.file for block in blocks(chapter))
    assert run_chapter(chapter, empty) == shown


def test_no_block_is_of_a_kind_that_nothing_checks() -> None:
    found = {block.language for chapter in CHAPTERS for block in blocks(chapter) if not block.file}
    assert found <= {"python", "console", "sh", "text"}
    fences = sum(chapter.read_text("utf-8").count("\n```") for chapter in CHAPTERS)
    assert fences == 2 * sum(len(list(blocks(chapter))) for chapter in CHAPTERS)
    assert sum(block.language == "python" for chapter in CHAPTERS for block in blocks(chapter)) >= 20


def test_a_block_that_is_wrong_fails_at_its_line(empty: Path) -> None:
    chapter = empty / "99-wrong.md"
    chapter.write_text("# Wrong\n\n```python\nassert 1 + 1 == 2\n```\n\n```python\nassert 1 + 1 == 3\n```\n")
    with pytest.raises(AssertionError) as failed:
        run_chapter(chapter, empty)
    assert failed.traceback[-1].lineno == 8 - 1


# --- commands ----------------------------------------------------------------------------------------------


def console_lines(chapter: Path) -> Iterator[str]:
    """What is typed in console blocks; what a command prints has no `$` before it."""
    for block in blocks(chapter):
        if block.language == "console":
            yield from (line[2:] for line in block.text.splitlines() if line.startswith("$ "))


def commands() -> dict[tuple[str, ...], typer.main.TyperCommand]:
    """Every command that can be called, by the words that call it."""
    found: dict[tuple[str, ...], typer.main.TyperCommand] = {}

    def walk(command: object, words: tuple[str, ...]) -> None:
        if hasattr(command, "list_commands"):
            context = command.context_class(command, info_name="guardflow")
            for name in command.list_commands(context):
                walk(command.get_command(context, name), (*words, name))
        else:
            found[words] = command

    walk(typer.main.get_command(app), ())
    return found


TYPED = sorted({line for chapter in CHAPTERS for line in console_lines(chapter)})


@pytest.mark.parametrize("line", TYPED)
def test_a_command_that_is_shown_exists_and_takes_these_arguments(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "guardflow"
    known = commands()
    name = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in known), ())
    assert name, f"there is no command {line!r}"
    command = known[name]
    command.make_context("guardflow", words[len(name) :])  # refuses options and arguments that there are not
    helped = CliRunner().invoke(app, [*name, "--help"])
    assert helped.exit_code == 0
    assert "Usage" in helped.output


def test_a_command_that_does_not_take_its_arguments_is_noticed() -> None:
    with pytest.raises(Exception, match="--no-such"):
        commands()["runs", "show"].make_context("guardflow", ["qa-1", "--no-such"])


def test_every_command_is_in_the_guide() -> None:
    text = "\n".join(chapter.read_text("utf-8") for chapter in CHAPTERS)
    missing = [name for words in commands() if (name := f"guardflow {' '.join(words)}") not in text]
    assert missing == []


# --- as a corpus -------------------------------------------------------------------------------------------


def read_by_research(name: str, markdown: str) -> Readable:
    """What the research pipeline could quote."""
    text, title, _, _ = plain_markdown(markdown)
    return readable(document(name, text, title=title, kind="markdown"))


def sentences(chapter: Path) -> list[str]:
    found = read_by_research(chapter.name, chapter.read_text("utf-8"))
    return [line.text for page in found.pages for line in page.lines]


@each_chapter
def test_a_chapter_can_be_quoted_and_nothing_in_it_is_taken_for_an_order(chapter: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", chapter.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = read_by_research(chapter.name, prose)
    assert sum(len(page.lines) for page in found.pages) >= 12
    assert found.set_aside <= 1  # a dotted name, as of a logger, looks like a link


@pytest.mark.parametrize(
    ("words", "least"),
    [
        (("process", "killed"), 5),  # What happens to a run when its process is killed?
        (("lease",), 4),
        (("in doubt",), 2),
        (("guardflow runs resume",), 2),
    ],
)
def test_the_question_of_the_readme_has_quotable_answers(words: tuple[str, ...], least: int) -> None:
    quotable = [
        s for path in CHAPTERS if path.stem[3:] in ("durability", "operating") for s in sentences(path)
    ]
    found = [s for s in quotable if all(word in s for word in words)]
    assert len(found) >= least, found
