"""Help reads well and costs little, and completion works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_project import CHECKOUT, PROGRAM, Project

from guardflow.cli.commands import COMMANDS

EVERY = [name for section in COMMANDS.values() for name in section]
GROUPS = {
    "runs": "list show watch resume answer fork cancel signal export prune",
    "prompts": "list show check render",
    "eval": "guards",
    "cache": "stats prune",
    "models": "list install",
    "config": "show",
}


def test_the_commands_are_listed_in_sections_with_nothing_cut_off(project: Project) -> None:
    shown = project("--help")
    assert shown.code == 0
    places = [shown.out.index(f"\n  {name} ") for name in EVERY]
    assert places == sorted(places)
    assert shown.out.index("Run:") < shown.out.index("Look:") < shown.out.index("Setup:")
    assert "..." not in shown.out.replace("[ARGS]...", "")
    assert "130 interrupted" in shown.out


@pytest.mark.parametrize(
    "name", [*EVERY, *(f"{g} {c}" for g, names in GROUPS.items() for c in names.split())]
)
def test_every_command_explains_itself(project: Project, name: str) -> None:
    shown = project(*name.split(), "--help")
    assert shown.code == 0
    assert f"Usage: guardflow {name}" in shown.out
    assert "install-completion" not in shown.out
    assert "..." not in shown.out.replace("[ARGS]...", "")
    assert all(len(line) <= 80 for line in shown.out.splitlines())


@pytest.mark.parametrize("group", GROUPS)
def test_groups_have_these_commands(project: Project, group: str) -> None:
    shown = project(group, "--help").out
    listed = [line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed == GROUPS[group].split()


def test_a_command_that_does_not_exist_is_answered_with_a_near_one(project: Project) -> None:
    refused = project("rnu")
    assert refused.code == 2
    assert "did you mean 'run'?" in refused.err


@pytest.mark.parametrize("args", ["--help", "--version", "runs --help", "run --help"])
def test_help_loads_no_model_no_database_and_no_table_drawing(project: Project, args: str) -> None:
    code = (
        "import sys, atexit\n"
        "heavy = ('litellm', 'instructor', 'openai', 'dbos', 'sqlalchemy', 'rich', 'jinja2')\n"
        "atexit.register(lambda: print('LOADED', [h for h in heavy if h in sys.modules]))\n" + PROGRAM
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *args.split()],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "LOADED []" in ran.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(project: Project, shell: str) -> None:
    script = project("completion", shell)
    assert script.code == 0
    assert "_GUARDFLOW_COMPLETE=complete_" + shell in script.out


def test_there_is_no_completion_for_other_shells(project: Project) -> None:
    refused = project("completion", "tcsh")
    assert (refused.code, refused.out) == (2, "")
    assert "bash, zsh, fish" in refused.err


def test_bash_completes_commands(project: Project, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "guardflow"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{CHECKOUT}" exec "{sys.executable}" -c "{PROGRAM}" "$@"\n')
    program.chmod(0o755)
    asked = (
        "source <(guardflow completion bash); COMP_WORDS=(guardflow runs re); COMP_CWORD=2; "
        '"$(complete -p guardflow | sed "s/.*-F \\([^ ]*\\).*/\\1/")" guardflow; echo "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(
        ["bash", "-c", asked],
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["resume"]
