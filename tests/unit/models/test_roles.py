"""From a role or a name to the model that is asked."""

import os
import sys
import time
from pathlib import Path

import pytest

from guardflow.errors import MissingKey, UnknownModel
from guardflow.models.price import limits_of, price_of
from guardflow.models.roles import PROVIDERS, resolve
from guardflow.settings import ModelSettings, PriceSettings, Settings
from guardflow.values import Model, Price


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        for name in (*provider.keys, provider.base or "OPENAI_API_BASE"):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # importing it fails as if it were not installed


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def test_a_role_is_served_by_the_first_provider_whose_key_is_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    fast = resolve(Model("fast"), settings)
    assert fast.name == "anthropic/claude-haiku-4-5"
    assert fast.role == "fast"
    assert fast.output == "json_schema"
    assert (fast.max_tokens, fast.timeout, fast.context) == (1024, 60.0, 200_000)
    assert fast.price == Price(input=1.0, output=5.0, cached_input=0.1)


def test_a_key_in_the_projects_dotenv_counts(settings: Settings) -> None:
    (settings.root / ".env").write_text("MISTRAL_API_KEY=k\n")
    assert resolve(Model("judge"), settings).name == "mistral/mistral-large-latest"


@pytest.mark.parametrize("provider", [p for p in PROVIDERS.values() if p.roles], ids=lambda p: p.name)
def test_every_model_of_the_table_is_real_and_priced(provider: object) -> None:
    assert isinstance(provider, type(PROVIDERS["openai"]))
    assert provider.roles is not None
    assert set(provider.roles) == {"fast", "strong", "judge"}
    for name in provider.roles.values():
        full = f"{provider.name}/{name}"
        assert price_of(Model(full)) is not None, full
        assert limits_of(full).output is not None, full


def test_without_any_key_a_role_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(MissingKey, match=r"OPENAI_API_KEY.*GUARDFLOW_MODEL_FAST=provider/name"):
        resolve(Model("fast"), settings)


def test_settings_say_what_a_role_is(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    local = ModelSettings(
        name="openai/qwen3-8b",
        api_base="http://127.0.0.1:8080/v1",
        price=PriceSettings(input=0.1, output=0.2),
        context=8192,
        temperature=0.2,
        timeout=5,
        output="json",
        max_tokens=300,
    )
    told = Settings(root=settings.root, models={"writer": local})
    assert resolve(Model("writer"), told) == Model(
        "openai/qwen3-8b",
        api_base="http://127.0.0.1:8080/v1",
        price=Price(0.1, 0.2),
        output="json",
        max_tokens=300,
        context=8192,
        temperature=0.2,
        timeout=5,
        role="writer",
    )
    own = resolve(Model("writer", temperature=0.0, max_tokens=7, price="free"), told)
    assert (own.temperature, own.max_tokens, own.price) == (0.0, 7, "free")


def test_a_role_without_a_name_stays_with_the_first_provider(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    told = Settings(root=settings.root, models={"strong": ModelSettings(temperature=0.9)})
    strong = resolve(Model("strong"), told)
    assert (strong.name, strong.temperature) == ("openai/gpt-5", 0.9)


def test_max_tokens_never_pass_what_the_model_can_write(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert resolve(Model("openai/gpt-4", max_tokens=100_000), settings).max_tokens == 4096
    assert resolve(Model("openai/gpt-99", max_tokens=100_000), settings).max_tokens == 100_000


def test_a_model_that_cannot_be_held_to_a_schema_is_asked_in_json_mode(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert resolve(Model("openai/gpt-4"), settings).output == "json"
    assert resolve(Model("openai/gpt-4", output="tools"), settings).output == "tools"


def test_a_named_model_needs_its_providers_key(settings: Settings) -> None:
    with pytest.raises(MissingKey, match=r"'gemini/gemini-2.5-pro' needs.*GEMINI_API_KEY or GOOGLE_API_KEY"):
        resolve(Model("gemini/gemini-2.5-pro"), settings)


def test_a_missing_key_is_not_remembered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingKey):
        resolve(Model("fast"), settings)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert resolve(Model("fast"), settings).name == "openai/gpt-5-mini"


def test_a_server_of_ones_own_needs_no_key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    base = "http://127.0.0.1:1/v1"
    assert resolve(Model("openai/qwen3-8b", api_base=base), settings).price is None
    assert resolve(Model("qwen3-8b", api_base=base), settings).name == "openai/qwen3-8b"
    assert resolve(Model("qwen/qwen3-8b", api_base=base), settings).name == "openai/qwen/qwen3-8b"
    monkeypatch.setenv("OPENAI_BASE_URL", base)
    assert resolve(Model("openai/qwen3-8b"), settings).name == "openai/qwen3-8b"


def test_a_model_on_the_users_own_machine_is_free(settings: Settings) -> None:
    assert resolve(Model("ollama/llama3"), settings).price == "free"


def test_a_provider_we_know_only_from_the_price_file_is_passed_on(settings: Settings) -> None:
    assert resolve(Model("deepinfra/some-model"), settings).name == "deepinfra/some-model"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("fsat", "'fast'"),
        ("gpt-5-mini", "'openai/gpt-5-mini'"),
        ("claude-sonnet-4-5", "'anthropic/claude-sonnet-4-5'"),
        ("opnai/gpt-5-mini", "'openai/gpt-5-mini'"),
        ("zzzzqqqq", "roles are 'fast', 'strong', 'judge'"),
    ],
)
def test_an_unknown_model_names_its_neighbours(settings: Settings, name: str, near: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        resolve(Model(name), settings)
    assert name in caught.value.message
    assert near in caught.value.hint


def test_a_role_that_names_nonsense_says_which_role(settings: Settings) -> None:
    told = Settings(root=settings.root, models={"fast": ModelSettings(name="gpt-5-mini")})
    with pytest.raises(UnknownModel, match="the role 'fast' names 'gpt-5-mini'"):
        resolve(Model("fast"), told)


def test_resolving_again_costs_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    first = resolve(Model("fast"), settings)
    start = time.process_time()
    for _ in range(1000):
        assert resolve(Model("fast"), settings) is first
    assert (time.process_time() - start) / 1000 < 50e-6
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(MissingKey):
        resolve(Model("fast"), Settings(root=settings.root))


def test_no_key_is_ever_on_a_resolved_model(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key-value")
    assert "planted" not in repr(resolve(Model("fast"), settings)) + repr(settings)
    assert os.environ["OPENAI_API_KEY"] == "planted-key-value"
