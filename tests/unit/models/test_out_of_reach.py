"""An address that nobody answers at: told soon, by its kind, with the address and where it is set."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from wire import request

from guardflow.errors import ModelCallError
from guardflow.kinds import Kind
from guardflow.models import chat_format
from guardflow.models.advice import out_of_reach
from guardflow.models.litellm_adapter import LitellmClient
from guardflow.values import Model


def test_the_address_is_named_with_the_setting_it_is_from() -> None:
    own = Model("openai/own", api_base="http://127.0.0.1:9/v1?key=secret#x")
    assert out_of_reach(own, {}) == "openai cannot be reached at http://127.0.0.1:9/v1 (the model's api_base)"
    hosted = Model("openai/gpt-5-mini")
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        said = out_of_reach(hosted, {name: "http://gateway.example/v1"})
        assert said == f"openai cannot be reached at http://gateway.example/v1 ({name})"
    assert out_of_reach(hosted, {}) == "openai cannot be reached at its own address"
    assert out_of_reach(Model("unheard-of/model"), {}) == "unheard-of cannot be reached at its own address"


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that swallows every connection: its queue is full, and nobody takes from it."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(hole.getsockname())
        yield f"http://127.0.0.1:{hole.getsockname()[1]}/v1"
        for one in waiting:
            one.close()


@pytest.mark.anyio
async def test_nobody_waits_long_for_an_address_that_swallows_everything(
    black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_format, "CONNECT_SECONDS", 0.2)
    client = LitellmClient()
    try:
        with pytest.raises(ModelCallError, match=f"openai cannot be reached at {black_hole}") as caught:
            await client.send(request(black_hole, timeout=300.0))
    finally:
        await client.aclose()
    assert caught.value.kind is Kind.CONNECTION  # TIMEOUT would count as paid


@pytest.mark.anyio
async def test_a_refused_connection_names_its_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else can take the port
        base = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        client = LitellmClient()
        try:
            with pytest.raises(ModelCallError, match=f"openai cannot be reached at {base}") as caught:
                await client.send(request(base))
        finally:
            await client.aclose()
    assert caught.value.kind is Kind.CONNECTION
    assert caught.value.hint == "check that address and the network"
