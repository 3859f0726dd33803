"""A judge for tests of guards: gives prepared answers, and keeps what it was asked."""

from collections.abc import Callable, Mapping
from typing import Any

from guardflow.values import Model


class Answers:
    """Answers each question with the next of ``answers`` (the last repeats), or with what a function makes of it."""

    def __init__(self, *answers: Any, by: Callable[[Mapping[str, Any]], Any] | None = None) -> None:
        self.answers = list(answers)
        self.by = by
        self.asked: list[Mapping[str, Any]] = []
        self.models: list[str] = []

    async def __call__(
        self, model: Model, text: str, answer: type[Any], /, *, variables: Mapping[str, object], guard: str
    ) -> Any:
        self.asked.append(dict(variables))
        self.models.append(model.name)
        if self.by is not None:
            said = self.by(variables)
        else:
            said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, Exception):
            raise said
        return answer.model_validate(said)
