"""Every example in a docstring runs, with the public names at hand and nothing else prepared."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import guardflow

PUBLIC = {name: getattr(guardflow, name) for name in dir(guardflow)}


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder()
    names = [module.name for module in pkgutil.walk_packages(guardflow.__path__, "guardflow.")]
    modules = (importlib.import_module(name) for name in names if not name.startswith("guardflow._bundled"))
    found = [test for module in modules for test in finder.find(module, extraglobs=PUBLIC) if test.examples]
    return sorted(found, key=lambda test: test.name)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_it_does_what_it_says(
    example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    ran = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=told.append)
    assert ran.failed == 0, "".join(told)
