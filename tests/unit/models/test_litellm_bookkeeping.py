"""What litellm keeps books on for others stays right, though guardflow spares it the work nobody reads."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest

from guardflow.models.litellm_adapter import LitellmClient
from guardflow.testing.server import FaultServer, Reply
from guardflow.values import Message, Model, Price, Request

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(Reply.text("fine")) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[LitellmClient]:
    made = LitellmClient()
    yield made
    await made.aclose()


def request(server: FaultServer, name: str, price: Price | Literal["free"] | None = None) -> Request:
    model = Model(name, api_base=server.base_url, price=price, output="json_schema")
    return Request(model, (Message("user", "hi"),), None, 16, None, 0, "hash", 120.0)


async def heard(calls: list[object], count: int) -> None:
    with anyio.fail_after(120):
        while len(calls) < count:
            await anyio.sleep(0.01)


async def test_callbacks_that_others_registered_hear_of_our_calls(
    client: LitellmClient, server: FaultServer
) -> None:
    await client.send(request(server, "openai/gpt-4o-mini"))  # litellm is imported by the first call
    import litellm

    calls: list[object] = []

    async def listen(kwargs: Any, *_: object) -> None:
        calls.append(kwargs["model"])

    litellm.success_callback.append(listen)
    try:
        await client.send(request(server, "openai/gpt-4o-mini"))
        await heard(calls, 1)
        await client.send(
            request(server, "openai/gpt-4o-mini")
        )  # litellm has moved it to another list by now
        await heard(calls, 2)
    finally:
        litellm.logging_callback_manager._reset_all_callbacks()
    assert calls == ["gpt-4o-mini", "gpt-4o-mini"]


@pytest.mark.parametrize(
    ("price", "input_cost", "output_cost"),
    [("free", 0, 0), (Price(2.0, 8.0), 2e-6, 8e-6), (Price(2.0, 8.0, 0.5), 2e-6, 8e-6)],
)
async def test_litellm_learns_the_declared_price_of_a_model_on_a_server_of_the_users_own(
    client: LitellmClient,
    server: FaultServer,
    price: Price | Literal["free"],
    input_cost: float,
    output_cost: float,
) -> None:
    name = f"openai/own-{abs(hash(price))}"
    await client.send(request(server, name, price))
    import litellm

    info = litellm.get_model_info(name)
    assert (info["input_cost_per_token"], info["output_cost_per_token"]) == (input_cost, output_cost)
    assert info["cache_read_input_token_cost"] == (5e-7 if price == Price(2.0, 8.0, 0.5) else input_cost)


async def test_an_unknown_price_stays_unknown_to_litellm(client: LitellmClient, server: FaultServer) -> None:
    await client.send(request(server, "openai/unpriced"))
    import litellm

    with pytest.raises(Exception, match="isn't mapped"):
        litellm.get_model_info("openai/unpriced")


async def test_a_price_that_litellm_knows_is_left_alone(client: LitellmClient, server: FaultServer) -> None:
    await client.send(request(server, "openai/gpt-4o"))
    import litellm

    before = dict(litellm.model_cost["gpt-4o"])
    asked = request(server, "openai/gpt-4o", "free")
    await client.send(replace(asked, model=replace(asked.model, timeout=99.0)))
    assert litellm.model_cost["gpt-4o"] == before


async def test_a_client_that_closes_leaves_alone_who_begins_meanwhile(client: LitellmClient) -> None:
    other = LitellmClient()
    with FaultServer(Reply.text("fine").but(delay=0.1)) as server:
        for _ in range(2):
            await other.send(request(server, "openai/gpt-4o-mini"))
            async with anyio.create_task_group() as group:
                group.start_soon(other.aclose)
                await (
                    anyio.lowlevel.checkpoint()
                )  # it has begun to close, and nobody else uses the loop's sockets
                await client.send(request(server, "openai/gpt-4o-mini"))
            await client.aclose()
