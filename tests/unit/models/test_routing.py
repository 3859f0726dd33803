"""Which client a model's requests go to."""

import subprocess
import sys
from pathlib import Path

import pytest

from guardflow.errors import ConfigError, MissingKey
from guardflow.models.client import ModelClient
from guardflow.models.roles import PROVIDERS
from guardflow.models.routing import Models, override_clients
from guardflow.settings import Settings
from guardflow.values import Completion, Model, Price, Request


class Echo:
    """A client that answers with the model's name."""

    def __init__(self) -> None:
        self.closed = False

    async def send(self, request: Request) -> Completion:
        return Completion(request.model.name)

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def keyless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for provider in PROVIDERS.values():
        for name in provider.keys:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # no embedded model either
    return Settings(root=tmp_path)


def test_a_stand_in_needs_neither_settings_nor_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "guardflow.toml").write_text("this is not toml")
    monkeypatch.chdir(tmp_path)
    echo: ModelClient = Echo()
    models = Models(clients={"fast": echo})
    fast = models.resolve(Model("fast"))
    assert fast == Model("scripted/fast", price="free", output="json_schema", max_tokens=1024, role="fast")
    assert models.client(fast) is echo


def test_a_stand_in_keeps_what_the_model_says_about_itself() -> None:
    model = Model("openai/x", price=Price(1, 2), max_tokens=9, temperature=0.3, timeout=2.0, output="text")
    resolved = Models(clients={model: Echo()}).resolve(model)
    assert resolved == Model(
        "scripted/openai/x",
        price=Price(1, 2),
        max_tokens=9,
        temperature=0.3,
        timeout=2.0,
        output="json_schema",
    )


def test_variants_of_a_model_share_its_stand_in() -> None:
    echo = Echo()
    models = Models(clients={Model("openai/x"): echo})
    assert models.client(models.resolve(Model("openai/x", temperature=1.0))) is echo


def test_an_override_wins_for_as_long_as_it_lasts(keyless: Settings) -> None:
    mine, other = Echo(), Echo()
    models = Models(keyless, clients={"fast": mine})
    token = override_clients.set({"fast": other, "strong": other})
    try:
        assert models.client(models.resolve(Model("fast"))) is other
        strong = models.resolve(Model("strong"))
        assert models.client(strong) is other
    finally:
        override_clients.reset(token)
    assert models.client(models.resolve(Model("fast"))) is mine
    with pytest.raises(MissingKey):
        models.resolve(Model("strong"))
    with pytest.raises(ConfigError, match="no longer in place"):
        models.client(strong)


def test_all_real_models_share_one_client(keyless: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    models = Models(keyless)
    fast, strong = models.resolve(Model("fast")), models.resolve(Model("strong"))
    assert models.client(fast) is models.client(strong)
    assert models.resolve(Model("fast")) is fast


@pytest.mark.anyio
async def test_closing_leaves_stand_ins_to_their_owner(
    keyless: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    echo = Echo()
    models = Models(keyless, clients={"judge": echo})
    models.client(models.resolve(Model("fast")))
    await models.aclose()
    await models.aclose()
    assert not echo.closed


def test_nothing_here_imports_litellm() -> None:
    code = (
        "import sys, guardflow.models, guardflow.models.routing, guardflow.models.roles, guardflow.models.price,"
        "guardflow.models.litellm_adapter as a; a.LitellmClient();"
        "print([m for m in ('litellm', 'instructor', 'openai', 'httpx', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
