"""`init` makes a project that works at once, with no key; `doctor`, `config` and `models` say what holds here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from cli_project import CHECKOUT, Project


def test_a_new_project_runs_and_passes_its_own_test(project: Project) -> None:
    assert project("init").code == 0
    ran = project("run", "greeting", "-i", "name=Ada")
    assert ran.code == 0, ran
    assert "Ada" in json.loads(ran.out)["text"]
    tested = subprocess.run(
        [sys.executable, "-c", "import pytest; raise SystemExit(pytest.main())", "-q"],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    assert "1 passed" in tested.stdout


def test_what_is_there_is_not_overwritten(project: Project) -> None:
    (project.root / "guardflow.toml").write_text("# mine\n")
    ran = project("init")
    assert ran.code == 0
    assert "kept guardflow.toml" in ran.err
    assert (project.root / "guardflow.toml").read_text() == "# mine\n"
    assert project("init").out.startswith("0 files")


def test_a_folder_that_cannot_be_made_is_refused(project: Project) -> None:
    (project.root / "file").write_text("")
    refused = project("init", "file/new")
    assert (refused.code, refused.out) == (2, "")
    assert "cannot be written" in refused.err


def test_explain_gives_each_path_and_the_worst_case(project: Project) -> None:
    project("init")
    shown = project("explain", "greeting")
    assert shown.code == 0
    assert "at worst 6 calls" in shown.out
    assert "start → reask → reask → degrade" in shown.out
    stage = project("explain", "greeting", "--json").json["stages"][0]
    assert stage["worst_case"]["calls"] == 6
    assert stage["paths"]["GUARD"] == ["start", "reask", "reask", "degrade"]


def test_doctor_finds_a_sound_project_and_a_broken_prompt(project: Project) -> None:
    project("init")
    assert project("doctor").code == 0
    (project.root / "prompts" / "broken.md").write_text("---\ninputs: [a]\n---\n{{ b }}\n")
    checks = {check["what"]: check for check in project("doctor", "--json").json["checks"]}
    assert checks["prompts"]["state"] == "bad"
    assert checks["database"]["state"] == "note"
    assert project("doctor").code == 2
    assert project("prompts", "check").code == 2


def test_keys_are_never_printed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-value")
    for command in ("doctor", "doctor --json", "config show --origin", "config show --json", "models list"):
        ran = project(*command.split())
        assert "sk-very-secret-value" not in ran.out + ran.err
    assert "openai" in project("doctor").out


def test_config_says_where_a_value_comes_from(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDFLOW_MODEL_FAST", "openai/gpt-5-mini")
    (project.root / "guardflow.toml").write_text("\n\nbudget_usd = 0.5\n")
    settings = project("config", "show", "--json").json["settings"]
    assert settings["budget_usd"] == {"value": "0.5", "origin": "guardflow.toml:3"}
    assert settings["models.fast.name"]["origin"] == "GUARDFLOW_MODEL_FAST"
    assert "guardflow.toml:3" in project("config", "show", "--origin").out


def test_models_list_says_what_roles_stand_for(project: Project) -> None:
    roles = {role["role"]: role["model"] for role in project("models", "list", "--json").json["roles"]}
    assert set(roles) >= {"fast", "strong", "judge"}
    given = project("models", "list", "-m", "strong=openai/gpt-5", "--json").json["roles"]
    strong = next(role for role in given if role["role"] == "strong")
    assert (strong["model"], "OPENAI_API_KEY is not set" in strong["error"]) == ("", True)
    assert "OPENAI_API_KEY is not set" in project("models", "list", "-m", "strong=openai/gpt-5").out
