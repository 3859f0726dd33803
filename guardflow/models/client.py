"""The one thing every model adapter can do: send one request, once.

Flow calls it, adapters and `guardflow.testing.Scripted` fit it. No implementation ever repeats a request.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from guardflow.values import Completion, Model, Request


class ModelClient(Protocol):
    """Sends requests to models. One instance serves many concurrent calls."""

    async def send(self, request: Request) -> Completion:
        """Send exactly one HTTP request (or none) and return the raw answer.

        Raises:
            ModelCallError: there is no completion; its ``kind`` says why. Secrets are redacted from it.
        """
        ...

    async def aclose(self) -> None:
        """Release sockets and loaded models. Idempotent."""
        ...


@runtime_checkable
class Resolving(Protocol):
    """A client that also says what the models it stands in for resolve to: a recording knows what they were."""

    def resolve(self, model: Model) -> Model:
        """The model with everything filled in."""
        ...
