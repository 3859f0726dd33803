"""From a role or a name to the model that is really asked: provider, key, limits, price.

`guardflow.models.routing` calls `resolve`; ``doctor`` prints the table `PROVIDERS`. No key is ever stored on a model.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from guardflow.errors import MissingKey, UnknownModel
from guardflow.models.local import weights
from guardflow.models.price import known_names, known_providers, limits_of, price_of
from guardflow.settings import ROLES, ModelSettings, PriceSettings, Settings, provider_environment
from guardflow.values import Model, refuse_credentials

if TYPE_CHECKING:
    from guardflow.values import OutputMode

DEFAULT_MAX_TOKENS = 1024
DEFAULT_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Provider:
    """Who serves models.

    Args:
        name: the first part of a model's name.
        keys: environment variables that may hold its key; the first one set counts. None are needed if empty.
        base: the variable with its address, for a server that speaks the same protocol.
        roles: the model each role stands for when nothing is configured.
        free: whether it runs on the user's own machine.
    """

    name: str
    keys: tuple[str, ...] = ()
    base: str | None = None
    roles: Mapping[str, str] | None = None
    free: bool = False


def _trio(fast: str, strong: str) -> Mapping[str, str]:
    return {"fast": fast, "strong": strong, "judge": strong}


PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        # In order: the first whose key is set serves the roles that settings leave open.
        Provider("openai", ("OPENAI_API_KEY",), "OPENAI_BASE_URL", _trio("gpt-5-mini", "gpt-5")),
        Provider(
            "anthropic",
            ("ANTHROPIC_API_KEY",),
            "ANTHROPIC_BASE_URL",
            _trio("claude-haiku-4-5", "claude-sonnet-4-5"),
        ),
        Provider(
            "gemini",
            ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
            "GEMINI_API_BASE",
            _trio("gemini-2.5-flash", "gemini-2.5-pro"),
        ),
        Provider(
            "mistral",
            ("MISTRAL_API_KEY",),
            "MISTRAL_API_BASE",
            _trio("mistral-small-latest", "mistral-large-latest"),
        ),
        Provider(
            "groq", ("GROQ_API_KEY",), "GROQ_API_BASE", _trio("openai/gpt-oss-20b", "openai/gpt-oss-120b")
        ),
        Provider(
            "deepseek",
            ("DEEPSEEK_API_KEY",),
            "DEEPSEEK_API_BASE",
            _trio("deepseek-chat", "deepseek-reasoner"),
        ),
        Provider(
            "together_ai",
            ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY"),
            "TOGETHER_AI_API_BASE",
            _trio("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
        ),
        Provider("xai", ("XAI_API_KEY",), "XAI_API_BASE"),
        Provider("cerebras", ("CEREBRAS_API_KEY",), "CEREBRAS_API_BASE"),
        Provider("fireworks_ai", ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"), "FIREWORKS_API_BASE"),
        Provider("openrouter", ("OPENROUTER_API_KEY", "OR_API_KEY"), "OPENROUTER_API_BASE"),
        Provider("cohere", ("COHERE_API_KEY", "CO_API_KEY")),
        Provider("cohere_chat", ("COHERE_API_KEY", "CO_API_KEY")),
        Provider("perplexity", ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY")),
        Provider("azure", ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_AD_TOKEN"), "AZURE_API_BASE"),
        Provider(weights.PROVIDER, free=True),  # in this process, without litellm
        Provider("ollama", base="OLLAMA_API_BASE", free=True),
        Provider("ollama_chat", base="OLLAMA_API_BASE", free=True),
        Provider("lm_studio", base="LM_STUDIO_API_BASE", free=True),
        Provider("llamafile", base="LLAMAFILE_API_BASE", free=True),
        Provider("hosted_vllm", base="HOSTED_VLLM_API_BASE", free=True),
    )
}
"""What guardflow knows by itself. litellm serves more providers: those are passed on, their keys unchecked."""

_resolved: WeakKeyDictionary[Settings, dict[Model, Model]] = WeakKeyDictionary()


def resolve(model: Model, settings: Settings) -> Model:
    """The model that is asked: ``provider/model`` with every field filled in that can be known.

    A role means what settings say, else what the first provider with a key serves. Fields given on ``model`` win
    over settings, and settings over what is known about the model. Answers are remembered for each settings object.

    Raises:
        MissingKey: the provider's key is not set; or no provider has one, and there is no embedded model.
        UnknownModel: neither a role nor a provider's model, or no weights of that name.
        ConfigError: a local model, and llama.cpp is not installed.
    """
    known = _resolved.get(settings)
    if known is None:
        known = _resolved[settings] = {}
    found = known.get(model)
    if found is None:
        found = known[model] = replace(_resolve(model, settings), asked=model.asked or model)
    return found


def key_of(provider: str, environment: Mapping[str, str]) -> str | None:
    """The provider's key; None if it is not set."""
    names = PROVIDERS[provider].keys if provider in PROVIDERS else (f"{provider.upper()}_API_KEY",)
    return next((environment[name] for name in names if environment.get(name)), None)


def base_of(provider: str, environment: Mapping[str, str]) -> str | None:
    """The address set for a provider; None for its own.

    Raises:
        ConfigError: it holds a password.
    """
    for name in base_variables(provider):
        if base := environment.get(name):
            refuse_credentials(base, name)
            return base
    return None


def base_variables(provider: str) -> tuple[str, ...]:
    """The variables that may hold a provider's address; the first one set counts."""
    known = PROVIDERS.get(provider)
    if known is None or known.base is None:
        return ()
    return tuple(dict.fromkeys((known.base, known.base.replace("_BASE_URL", "_API_BASE"))))


def first_provider(environment: Mapping[str, str]) -> Provider | None:
    """The provider that serves roles which settings leave open: the first of the table whose key is set."""
    return next((p for p in PROVIDERS.values() if p.roles and key_of(p.name, environment)), None)


def _resolve(model: Model, settings: Settings) -> Model:
    environment = provider_environment(settings)
    if model.name in settings.models or model.name in ROLES:
        named = _of_role(model, settings.models.get(model.name, ModelSettings()), settings)
    else:
        named = model
    named = _with_provider(named, settings)
    if named.provider == weights.PROVIDER:
        return _filled_local(named, settings)
    _check_key(named, environment)
    return _filled(named)


def _of_role(model: Model, spec: ModelSettings, settings: Settings) -> Model:
    """The role's model, without what is only known about the model itself."""
    name = spec.name or _name_without_settings(model.name, settings)
    price = spec.price.price() if isinstance(spec.price, PriceSettings) else spec.price
    return Model(
        name=name,
        api_base=model.api_base or spec.api_base,
        price=model.price if model.price is not None else price,
        output=model.output or spec.output,
        max_tokens=model.max_tokens or spec.max_tokens,
        context=model.context or spec.context,
        temperature=spec.temperature if model.temperature is None else model.temperature,
        timeout=model.timeout or spec.timeout,
        rpm=model.rpm or spec.rpm,
        tpm=model.tpm or spec.tpm,
        concurrency=model.concurrency or spec.concurrency,
        hedge=spec.hedge if model.hedge is None else model.hedge,
        role=model.role or model.name,
    )


def _name_without_settings(role: str, settings: Settings) -> str:
    """What a role means when no setting names its model: the first provider with a key, else the embedded model."""
    provider = first_provider(provider_environment(settings))
    if provider is not None and provider.roles is not None:
        return f"{provider.name}/{provider.roles.get(role, provider.roles['strong'])}"
    embedded = weights.default(settings)
    if embedded is not None:
        return embedded.model
    install = "run `guardflow models install`" if weights.has_engine() else weights.NEEDED
    raise MissingKey(
        f"the role {role!r} has no model: no setting names one, no provider's key is set, and there is no embedded "
        f"model",
        hint=f"set OPENAI_API_KEY, ANTHROPIC_API_KEY or another provider's key; or point the role at a model with "
        f"GUARDFLOW_MODEL_{role.upper()}=provider/name, or local/<path>.gguf; or {install}",
    )


def _with_provider(model: Model, settings: Settings) -> Model:
    """The model under a name that begins with a provider.

    A server given by ``api_base`` speaks OpenAI's protocol, whatever its models are called.
    """
    if "/" in model.name and _is_provider(model.provider):
        return model
    if model.api_base is not None:
        return replace(model, name=f"openai/{model.name}")
    where = (
        f"the role {model.role!r} names {model.name!r}" if model.role else f"there is no model {model.name!r}"
    )
    if "/" in model.name:
        why = f"{where}, and no provider is called {model.provider!r}"
    else:
        why = f"{where}, which is neither a role nor 'provider/model'"
    raise UnknownModel(why, hint=_near(model.name, settings))


def _is_provider(name: str) -> bool:
    return name in PROVIDERS or name in known_providers()


def _near(name: str, settings: Settings) -> str:
    bare = name.rsplit("/", 1)[-1]
    candidates = dict.fromkeys((*ROLES, *settings.models, *known_names()))
    exact = [f"{provider}/{bare}" for provider in PROVIDERS if f"{provider}/{bare}" in candidates]
    near = exact[:1] or difflib.get_close_matches(name, candidates, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}? For your own server, give api_base"
    return f"roles are {', '.join(map(repr, ROLES))}; models are 'provider/model'; for your own server, give api_base"


def _check_key(model: Model, environment: Mapping[str, str]) -> None:
    """A key must be set, except for a server of the user's own, which may want none."""
    base = model.api_base or base_of(model.provider, environment)
    provider = PROVIDERS.get(model.provider)
    if provider is None or not provider.keys or key_of(provider.name, environment):
        return
    if model.api_base is not None or (base and provider.name != "azure"):
        return
    raise MissingKey(
        f"{model.name!r} needs the key of {provider.name!r}, and {' or '.join(provider.keys)} is not set",
        hint=f"set {provider.keys[0]} in the environment or in the project's .env",
    )


def _filled(model: Model) -> Model:
    limits = limits_of(model.name)
    provider = PROVIDERS.get(model.provider)
    price = model.price
    if price is None:
        price = "free" if provider is not None and provider.free else price_of(model)
    wanted = model.max_tokens or DEFAULT_MAX_TOKENS
    output: OutputMode = model.output or ("json" if limits.json_schema is False else "json_schema")
    return replace(
        model,
        price=price,
        output=output,
        max_tokens=wanted if limits.output is None else min(wanted, limits.output),
        context=model.context or limits.context,
        timeout=model.timeout or DEFAULT_TIMEOUT,
    )


def _filled_local(model: Model, settings: Settings) -> Model:
    """An embedded model costs nothing, and takes every schema: it is held to it token by token."""
    weights.find(model.name.partition("/")[2], settings)
    return replace(
        model,
        price="free" if model.price is None else model.price,
        output=model.output if model.output in ("json", "text") else "json_schema",
        max_tokens=model.max_tokens or weights.MAX_TOKENS,
        context=model.context or weights.CONTEXT,
        timeout=model.timeout or weights.TIMEOUT,
    )
