"""The project that the tests of the command line work in."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_project import Project, Ran, pipeline_modules

from guardflow.cli import main
from guardflow.models.roles import PROVIDERS


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Project]:
    for provider in PROVIDERS.values():
        for key in provider.keys:
            monkeypatch.delenv(key, raising=False)
    for name in [n for n in os.environ if n.startswith(("GUARDFLOW_", "OPENAI_"))] + ["CI", "NO_COLOR"]:
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    monkeypatch.chdir(root)
    others = {name: sys.modules.pop(name) for name in pipeline_modules()}
    path = list(sys.path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*args: str, stdin: str) -> Ran:
        for name in pipeline_modules():
            del sys.modules[name]
        monkeypatch.setattr(sys, "argv", ["guardflow", *args])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, shown.out, shown.err)

    try:
        yield Project(root, run)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)  # `main` took them: Ctrl-C shall end pytest as ever
        sys.path[:] = path
        for name in pipeline_modules():
            del sys.modules[name]
        sys.modules.update(others)
