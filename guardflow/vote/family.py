"""Which models err alike: the family a model is of, as far as its name tells. `Vote` asks it for weights."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardflow.values import Model

_RESELLERS = frozenset(
    {"azure", "azure_ai", "bedrock", "groq", "ollama", "openrouter", "together_ai", "vertex_ai"}
)
"""Providers of other people's models: they say nothing about who made one."""
_MAKERS = {
    "claude": "anthropic",
    "chatgpt": "openai",
    "gemini": "google",
    "gpt": "openai",
    "o": "openai",
}
_LETTERS = re.compile(r"[A-Za-z]+")


def family(model: Model) -> str | None:
    """Who made a model: its provider, or what its name starts with where the provider sells, or hosts, others' models.

    Returns:
        None for a role: whose model it is will be known when it is resolved.
    """
    provider, slash, rest = model.name.partition("/")
    if not slash:
        return None
    if provider not in _RESELLERS and model.api_base is None:
        return _MAKERS.get(provider, provider)
    last = rest.rsplit("/", 1)[-1].rsplit("anthropic.", 1)[-1]
    found = _LETTERS.match(last)
    name = found[0].lower() if found else last.lower()
    return _MAKERS.get(name, name)
