"""The pipelines a runtime knows, by the stable names that runs find their code with."""

from __future__ import annotations

from collections.abc import Sequence

from guardflow.errors import StageError, StateError
from guardflow.flow.pipeline import Pipeline

AnyPipeline = Pipeline[object, object]


class Registry:
    """Pipelines by name."""

    def __init__(self) -> None:
        self._known: dict[str, AnyPipeline] = {}

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._known)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def add(self, pipeline: AnyPipeline) -> None:
        """Know a pipeline. One that was defined again in the same module (a notebook) replaces the old one.

        Raises:
            StageError: a pipeline of another module has that name.
        """
        known = self._known.get(pipeline.name)
        if known is not None and known is not pipeline and known.__module__ != pipeline.__module__:
            raise StageError(
                f"two pipelines are named {pipeline.name!r}: in {known.__module__!r} and in {pipeline.__module__!r}",
                hint="rename one; runs find their code by this name",
            )
        self._known[pipeline.name] = pipeline

    def get(self, name: str) -> AnyPipeline:
        """The pipeline of that name.

        Raises:
            StateError: it is not known here.
        """
        try:
            return self._known[name]
        except KeyError:
            have = ", ".join(map(repr, sorted(self._known))) or "none"
            raise StateError(
                f"no pipeline is named {name!r} here (known: {have})",
                hint="import the module that defines it and pass Runtime(pipelines=[...]); one that was defined "
                "in __main__ must be moved into a module",
            ) from None
