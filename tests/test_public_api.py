"""The public names: one table, seen alike by Python, by type checkers and by ``import *``."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import guardflow
from guardflow import errors

SOURCE = Path(guardflow.__file__).read_text("utf-8")
NAMES = [name for name in dir(guardflow) if name != "__version__"]


def seen_by_type_checkers() -> dict[str, str]:
    """Name -> module, from the imports under ``if TYPE_CHECKING``."""
    blocks = [
        node
        for node in ast.parse(SOURCE).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    assert len(blocks) == 1
    imports = [node for node in blocks[0].body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(blocks[0].body)
    pairs = [(alias, str(node.module)) for node in imports for alias in node.names]
    assert all(alias.asname == alias.name for alias, _ in pairs), "`as` makes it public to type checkers"
    return {alias.name: module for alias, module in pairs}


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_resolves_to_what_type_checkers_see(name: str) -> None:
    home = __import__(seen_by_type_checkers()[name], fromlist=[name])
    assert getattr(guardflow, name) is getattr(home, name)


def test_type_checkers_python_and_star_imports_agree() -> None:
    assert sorted(seen_by_type_checkers()) == sorted(NAMES) == sorted(vars(guardflow)["__all__"])


def test_every_error_is_public() -> None:
    ours = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.GuardflowError)
    }
    assert ours <= set(NAMES)


def test_public_names_do_not_hide_modules_of_the_package() -> None:
    folder = Path(guardflow.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert modules.isdisjoint(NAMES)


def test_a_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'guardflow' has no attribute 'Lader'"):
        guardflow.Lader  # type: ignore[attr-defined]  # noqa: B018  # that is the point


def test_the_version_is_that_of_the_metadata() -> None:
    code = "import guardflow, importlib.metadata as m; assert guardflow.__version__ == m.version('guardflow')"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_class_and_function_is_documented(name: str) -> None:
    value = getattr(guardflow, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}("), "that is the signature a dataclass writes itself"
