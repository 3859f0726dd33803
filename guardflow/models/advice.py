"""What to do about a request that failed, in words: for errors, the ledger and the end of a run.

`guardflow.models.litellm_adapter` calls it. It never holds a key, only the names of variables that may.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from guardflow.kinds import Kind
from guardflow.models.roles import PROVIDERS, base_of, base_variables
from guardflow.values import Model


def refused_key(model: Model, environment: Mapping[str, str]) -> str:
    """Whose key is wrong, and where it is kept.

    Args:
        environment: in which the provider's key was looked up; its values stay out of the text.
    """
    provider = PROVIDERS.get(model.provider)
    if provider is None or not provider.keys:
        return f"{model.provider} refuses the key; put a valid one in its place"
    where = next((name for name in provider.keys if environment.get(name)), " or ".join(provider.keys))
    at = "" if model.api_base is None else f" (at {model.api_base})"
    return f"{model.provider}{at} refuses the key in {where}; put a valid one there"


def out_of_reach(model: Model, environment: Mapping[str, str]) -> str:
    """Which address does not answer, and where it is set. What could be a password in it stays out.

    Args:
        environment: in which the provider's address was looked up.
    """
    base, where = model.api_base, "the model's api_base"
    if base is None:
        base = base_of(model.provider, environment)
        where = next((name for name in base_variables(model.provider) if environment.get(name)), "")
    if base is None:
        return f"{model.provider} cannot be reached at its own address"
    address = urlsplit(base)._replace(query="", fragment="").geturl()
    return f"{model.provider} cannot be reached at {address} ({where})"


def hint(kind: Kind, error: Exception, model: Model, dropped: tuple[str, ...]) -> str:
    """What to do, in one line; empty if nothing is sure to help."""
    if dropped:
        return f"ask again: {', '.join(map(repr, dropped))} will be left out"
    if kind is Kind.AUTH:
        provider = PROVIDERS.get(model.provider)
        return (
            f"check {' or '.join(provider.keys)}"
            if provider and provider.keys
            else "check the provider's key"
        )
    if kind is Kind.BUG and "No module named" in str(error):
        return "install that package, or use output='json_schema', which needs no tools"
    return {
        Kind.QUOTA: "add credit to the account, or let the ladder switch models: waiting does not help",
        Kind.NOT_FOUND: "check the model's name and api_base",
        Kind.CONNECTION: "check that address and the network",
    }.get(kind, "")
