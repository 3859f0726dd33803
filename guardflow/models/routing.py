"""`Models`: from the model a stage names to the client that sends its requests.

Flow holds one. Tests put scripted clients in its place: by ``clients=``, or for a block by `override_clients`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING

from guardflow.errors import ConfigError
from guardflow.models.client import ModelClient, Resolving
from guardflow.models.limits import Gate, Storm
from guardflow.settings import Settings, load_settings
from guardflow.values import Model

if TYPE_CHECKING:
    from guardflow.models.local.client import LocalClient

DEFAULT_MAX_TOKENS = 1024
LOCAL = "local"
SCRIPTED = "scripted"
"""The provider of models that a test stands in for."""
EVERY = "*"
"""The name of a stand-in for every model that has none of its own."""

override_clients: ContextVar[Mapping[str, ModelClient] | None] = ContextVar("override_clients", default=None)
"""Clients by the name a stage gives (``"fast"``, ``"openai/x"``). They win over everything else."""


class Models:
    """Resolves models and hands out clients. Settings are read when the first real model is resolved.

    Args:
        settings: what roles mean; None loads them from where the program runs.
        clients: stand-ins by model or name: these models need neither settings nor keys.
    """

    def __init__(
        self, settings: Settings | None = None, *, clients: Mapping[Model | str, ModelClient] | None = None
    ) -> None:
        self._settings = settings
        self._clients = {_name(model): client for model, client in (clients or {}).items()}
        self._scripted: dict[Model, Model] = {}
        self._shared: ModelClient | None = None
        self._local: LocalClient | None = None
        self.storm = Storm()
        """Who may send when, for all stages that share these models."""

    def resolve(self, model: Model) -> Model:
        """The model with everything filled in; see `guardflow.models.roles.resolve`.

        Raises:
            UnknownModel, MissingKey: there is no such model, or no key for it.
        """
        stand_in = self._stand_in(model.name)
        if stand_in is not None:
            if isinstance(stand_in, Resolving):
                return stand_in.resolve(model)
            found = self._scripted.get(model)
            if found is None:
                found = self._scripted[model] = _scripted(model)
            return found
        from guardflow.models.roles import resolve

        if self._settings is None:
            self._settings = load_settings()
        return resolve(model, self._settings)

    def client(self, resolved: Model) -> ModelClient:
        """The client that sends to a model which `resolve` gave.

        Raises:
            ConfigError: a scripted model whose script is gone.
        """
        recording = self._stand_in((resolved.asked or resolved).name)
        if recording is not None and isinstance(recording, Resolving):  # which is dear for a protocol
            return recording
        if resolved.provider == SCRIPTED:
            stand_in = self._stand_in(resolved.name.partition("/")[2])
            if stand_in is None:
                raise ConfigError(
                    f"{resolved.name!r} was resolved for a script that is no longer in place",
                    hint="keep the override for as long as the run lasts",
                )
            return stand_in
        if resolved.provider == LOCAL:
            return self._embedded()
        if self._shared is None:
            from guardflow.models.litellm_adapter import LitellmClient

            self._shared = LitellmClient(self._settings)
        return self._shared

    def gate(self, resolved: Model) -> Gate | None:
        """What a request to a model that `resolve` gave passes first; None for an embedded model or a recording."""
        stand_in = self._stand_in((resolved.asked or resolved).name)
        if hasattr(stand_in, "resolve"):  # `Resolving`, without the price of isinstance on every request
            return None
        return self.storm.gate(resolved)

    def warm(self, resolved: Model) -> None:
        """Begin to load an embedded model in the background; other models need nothing of the kind."""
        if resolved.provider == LOCAL and self._stand_in((resolved.asked or resolved).name) is None:
            self._embedded().warm(resolved)

    async def aclose(self) -> None:
        """Close what was opened here. Stand-ins belong to whoever made them."""
        shared, self._shared = self._shared, None
        local, self._local = self._local, None
        try:
            if shared is not None:
                await shared.aclose()
        finally:
            if local is not None:
                await local.aclose()

    def _embedded(self) -> LocalClient:
        if self._local is None:
            from guardflow.models.local.client import LocalClient

            self._local = LocalClient(self._settings)
        return self._local

    def _stand_in(self, name: str) -> ModelClient | None:
        override = override_clients.get()
        for clients in (override or {}, self._clients):
            if name in clients or EVERY in clients:
                return clients[name if name in clients else EVERY]
        return None


def _name(model: Model | str) -> str:
    return model if isinstance(model, str) else model.name


def _scripted(model: Model) -> Model:
    return replace(
        model,
        name=f"{SCRIPTED}/{model.name}",
        price="free" if model.price is None else model.price,
        output="json_schema",
        max_tokens=model.max_tokens or DEFAULT_MAX_TOKENS,
        role=model.role or (None if "/" in model.name else model.name),
        asked=model.asked or model,
    )
