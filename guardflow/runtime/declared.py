"""Services without a database, for what only reads declarations: `explain` and prompt checks."""

from __future__ import annotations

from guardflow.flow.memory import MemoryArtifacts, MemoryCache, MemoryLedger
from guardflow.flow.scope import Services
from guardflow.models.routing import Models
from guardflow.prompts import PromptLibrary, default_roots
from guardflow.settings import Settings


def declared_services(settings: Settings) -> Services:
    """Models and prompts of a project; everything else in memory."""
    return Services(
        ledger=MemoryLedger(),
        artifacts=MemoryArtifacts(),
        cache=MemoryCache(),
        models=Models(settings),
        prompts=PromptLibrary(default_roots(settings.root)),
    )
