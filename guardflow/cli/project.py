"""Finding a pipeline by its name: in the project's ``pipelines`` package first, then among the bundled ones.

Only commands that execute call it; looking at runs never imports project code.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from guardflow.errors import UsageError
from guardflow.flow.pipeline import Pipeline

if TYPE_CHECKING:
    from guardflow.runtime import RunResult

AnyPipeline = Pipeline[object, object]
_CHECKOUT = "_guardflow_checkout_pipelines"


@dataclass(frozen=True, slots=True)
class Found:
    """A pipeline and the module that shows it."""

    pipeline: AnyPipeline
    module: ModuleType

    def resources(self, value: object) -> Sequence[object]:
        """The resources for an input, made by the function of that name in the module; nothing without one."""
        make = getattr(self.module, "resources", None)
        return cast("Sequence[object]", make(value)) if callable(make) else ()

    def files(self, run: RunResult[object]) -> Mapping[str, bytes]:
        """What a finished run leaves in a folder, by the module's ``run_files``; nothing without one."""
        make = getattr(self.module, "run_files", None)
        return cast("Mapping[str, bytes]", make(run)) if callable(make) else {}


def find_pipeline(name: str, *, root: Path) -> Found:
    """A pipeline by its name.

    Raises:
        UsageError: there is none of that name, or a module of the project cannot be imported.
    """
    known: list[str] = []
    for module in _modules(root):
        for value in list(vars(module).values()):
            if isinstance(value, Pipeline):
                pipeline = cast("AnyPipeline", value)
                known.append(pipeline.name)
                if pipeline.name == name:
                    return Found(pipeline, module)
    near = difflib.get_close_matches(name, known, n=1)
    raise UsageError(
        f"there is no pipeline {name!r} (known: {', '.join(sorted(set(known))) or 'none'})",
        hint=f"did you mean {near[0]!r}?" if near else "define it in the project's `pipelines` package",
    )


def all_pipelines(root: Path) -> Sequence[AnyPipeline]:
    """Every pipeline of the project and of the bundle; the project's wins over a bundled one of its name."""
    found: dict[str, AnyPipeline] = {}
    for module in _modules(root):
        for value in list(vars(module).values()):
            if isinstance(value, Pipeline):
                pipeline = cast("AnyPipeline", value)
                found.setdefault(pipeline.name, pipeline)
    return list(found.values())


def _modules(root: Path) -> Iterator[ModuleType]:
    if (root / "pipelines").is_dir():
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))
        yield from _walk("pipelines", trusted=False)
    checkout = Path(__file__).resolve().parents[2]
    if importlib.util.find_spec("guardflow._bundled") is not None:
        yield from _walk("guardflow._bundled.pipelines", trusted=True)
    elif checkout != root.resolve() and (checkout / "pipelines").is_dir():
        _load_checkout(checkout / "pipelines")
        yield from _walk(_CHECKOUT, trusted=True)


def _load_checkout(folder: Path) -> None:
    """An editable install: the bundle is the checkout's folder, under a name no project's package can have."""
    if _CHECKOUT in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        _CHECKOUT, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        return
    package = sys.modules[_CHECKOUT] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


def _walk(package: str, *, trusted: bool) -> Iterator[ModuleType]:
    top = _import(package, trusted=trusted)
    yield top
    for found in pkgutil.walk_packages(getattr(top, "__path__", ()), prefix=f"{package}."):
        yield _import(found.name, trusted=trusted)


def _import(name: str, *, trusted: bool) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        if trusted:
            raise
        raise UsageError(
            f"module {name!r} of the project cannot be imported ({type(error).__name__}: {error})",
            hint=f"run `python -c 'import {name}'` to see where",
        ) from error
