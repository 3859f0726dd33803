"""Addresses of models are stored and shown, so no user and password may be in them; a secret in a path goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardflow import ConfigError, Ladder, LLMStage, Model, Runtime, abstain, pipeline
from guardflow.models.routing import Models
from guardflow.prompts import inline_prompt
from guardflow.settings import load_settings
from guardflow.testing import FaultServer, Reply

pytestmark = pytest.mark.anyio

PASSWORD = "kingfisher-marmalade-19"


def everything_in(folder: Path) -> bytes:
    """The bytes of all files, the database's log too."""
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def asking(model: Model, name: str = "ask") -> LLMStage[str, str]:
    prompt = inline_prompt("{{ input | fenced }}", ["input"])
    return LLMStage(name, str, str, prompt=prompt, model=model, ladder=Ladder(otherwise=abstain()))


WITH_PASSWORD = [f"https://robot:{PASSWORD}@models.example/v1", f"http://{PASSWORD}@127.0.0.1:8000"]


@pytest.mark.parametrize("address", WITH_PASSWORD)
def test_a_model_at_an_address_with_a_password_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(ConfigError, match="api_base of the model 'openai/m' holds") as told:
        Model("openai/m", api_base=address)
    assert PASSWORD not in str(told.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "https://models.example/a@b?c=@d#@"])
def test_an_at_sign_behind_the_host_is_no_password(address: str) -> None:
    assert Model("openai/m", api_base=address).api_base == address


@pytest.mark.parametrize("address", WITH_PASSWORD)
@pytest.mark.parametrize("place", ["settings", "variable"])
def test_such_an_address_is_refused_wherever_it_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, place: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    if place == "variable":
        monkeypatch.setenv("OPENAI_BASE_URL", address)
    else:
        text = f'[models.fast]\nname = "openai/m"\napi_base = "{address}"\n'
        (tmp_path / "guardflow.toml").write_text(text)
    settings = load_settings(tmp_path, home=tmp_path / "state")
    with pytest.raises(ConfigError, match="holds a user or a password") as told:
        Models(settings).resolve(Model("fast"))
    assert PASSWORD not in str(told.value) + repr(told.value.__cause__)


@pytest.mark.parametrize("status", [200, 503])
async def test_a_secret_in_the_path_of_an_address_is_in_no_file_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    monkeypatch.setenv("TENANT_TOKEN", PASSWORD)
    state = tmp_path / "state"
    answer = Reply.text("fine") if status == 200 else Reply.status(status)
    with FaultServer(answer) as server:
        base = server.base_url.removesuffix("/v1") + f"/{PASSWORD}/v1"
        (tmp_path / "guardflow.toml").write_text(
            f'[models.fast]\nname = "openai/m"\napi_base = "{base}"\nprice = "free"\n'
        )
        ask = asking(Model("fast"))
        direct = asking(Model("openai/n", api_base=base, price="free", max_tokens=50), "direct")

        @pipeline("addressed")
        async def addressed(text: str) -> str:
            return f"{(await ask.outcome(text)).status} {(await direct.outcome(text)).status}"

        async with Runtime(settings=load_settings(tmp_path, home=state)) as rt:
            result = await rt.run(addressed, "x", run_id="r")
        assert server.count == 2
    assert result.unwrap() == ("ok ok" if status == 200 else "abstained abstained")
    assert b"[redacted]/v1" in everything_in(state)
    assert PASSWORD.encode() not in everything_in(state)
    assert PASSWORD not in repr(result.attempts)
