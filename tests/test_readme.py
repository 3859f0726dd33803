"""What the README shows works: its python blocks run in order, its tables and commands are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardflow import errors
from guardflow.testing import Scripted, using
from guardflow.values import Request

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def summary(request: Request) -> dict[str, str]:
    """A model that quotes the last words of the article it sees."""
    article = request.messages[-1].content.splitlines()[1]
    return {"sentence": f"About {article[:11]}.", "quote": article[-20:]}


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The first block, in an empty project with the README's prompt."""
    (prompt,) = blocks("markdown")
    named = re.search(r"`(prompts/\S+\.md)`", README)
    assert named is not None
    (tmp_path / named[1]).parent.mkdir(parents=True)
    (tmp_path / named[1]).write_text(prompt, "utf-8")
    (tmp_path / "guardflow.toml").touch()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(blocks("python")[0], "README.md", "exec", dont_inherit=True), names)
    return names


def test_the_example_runs_and_a_second_run_sends_nothing(
    example: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = Scripted(summary)
    with using({"fast": model}):
        example["asyncio"].run(example["main"]())
        first = capsys.readouterr().out
        assert model.count == 2
        example["asyncio"].run(example["main"]())
    assert first.splitlines()[1:] == ["- About The harbour.", "- About Rain fell o."]
    assert first.startswith("ok 2 requests")
    assert capsys.readouterr().out == first
    assert model.count == 2
    assert Path(".guardflow/guardflow.db").exists()


def test_a_made_up_quote_does_not_get_through(example: dict[str, Any]) -> None:
    model = Scripted({"sentence": "x", "quote": "made up"})
    with using({"fast": model}), pytest.raises(errors.RunError, match="is not in the article"):
        example["asyncio"].run(example["main"]())
    assert 3 <= model.count <= 6  # each article is asked about once and asked again twice, unless cancelled


def test_the_tests_it_shows_pass(example: dict[str, Any]) -> None:
    for block in blocks("python")[1:]:
        exec(compile(block, "README.md", "exec", dont_inherit=True), example)
    shown = [test for name, test in example.items() if name.startswith("test_")]
    assert len(shown) == 2
    for test in shown:
        test()


def test_the_table_of_errors_has_each_of_them_with_its_exit_code() -> None:
    told = {
        name: int(code)
        for code, names in re.findall(r"^\| (\d) \| (.*?) \|", README, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    classes = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.GuardflowError)
    ]
    assert told == {kind.__name__: kind.exit_code for kind in classes if kind is not errors.GuardflowError}


def test_the_command_that_tests_everything_stands_alone() -> None:
    assert "pip install -q uv && uv run pytest\n" in blocks("sh")


def test_the_folders_it_names_exist() -> None:
    table = README[README.index("## Where things are") :]
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        named = re.findall(r"`([^`]+)`", row)
        parent = Path(__file__).parents[1]
        for path in named:
            inside = parent / named[0].split("/")[0] / path
            assert (parent / path).exists() or inside.exists(), path
