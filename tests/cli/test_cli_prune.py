"""``runs prune`` in a project where nothing has run yet, and in one where something has."""

from __future__ import annotations

import anyio
from cli_project import Project

from guardflow import Runtime, pipeline
from guardflow.settings import load_settings


@pipeline("prune-lab")
async def lab(text: str) -> str:
    return text


def test_pruning_an_empty_project_says_so_and_makes_no_database(project: Project) -> None:
    ran = project("runs", "prune")
    assert ran.code == 0
    assert "no runs yet" in ran.err
    assert list(project.root.iterdir()) == []


def test_pruning_forgets_ended_runs_and_counts_them(project: Project) -> None:
    async def once() -> None:
        async with Runtime(settings=load_settings(project.root)) as rt:
            await rt.run(lab, "hi", run_id="r")

    anyio.run(once)
    assert "pruned 0 runs" in project("runs", "prune").err
    assert "pruned 1 run\n" in project("runs", "prune", "--older-than", "0").err
    assert "no runs yet" in project("runs", "list").err


def test_a_database_that_was_named_and_is_not_there_is_an_error(project: Project) -> None:
    (project.root / "guardflow.toml").write_text('database_url = "sqlite:///nowhere/runs.db"\n')
    ran = project("runs", "prune")
    assert ran.code == 1
    assert not (project.root / "nowhere").exists()
