"""What the wire tests share: a server, a client, and the table of failures."""

from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest

from guardflow.errors import ModelCallError
from guardflow.kinds import Kind
from guardflow.models.litellm_adapter import LitellmClient
from guardflow.testing.server import FaultServer, Reply
from guardflow.values import Message, Model, OutputMode, Request, Schema

PLANTED = "planted/key+value=8d3f"


ANSWER = Schema(
    "Answer",
    {
        "type": "object",
        "title": "Answer",
        "properties": {"text": {"type": "string", "minLength": 1}, "n": {"type": "integer", "default": 3}},
        "required": ["text"],
    },
    "answer-1",
)


@pytest.fixture(name="planted_key", autouse=True)
def planted_key_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "DISABLE_AIOHTTP_TRANSPORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(name="server", scope="module")
def server_fixture() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture(name="client")
async def client_fixture(server: FaultServer) -> AsyncIterator[LitellmClient]:
    server.script(Reply.echo())
    server.reset()
    made = LitellmClient()
    yield made
    await made.aclose()


def request(
    server: FaultServer | str,
    *,
    output: OutputMode = "json_schema",
    schema: Schema | None = ANSWER,
    temperature: float | None = None,
    timeout: float | None = 120.0,
    name: str = "openai/gpt-4o-mini",
) -> Request:
    base = server if isinstance(server, str) else server.base_url
    model = Model(name, api_base=base, output=output, max_tokens=100, timeout=120.0)
    return Request(model, (Message("user", "hi"),), schema, 100, temperature, 0, "hash", timeout)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what must come to be, however slow the machine is."""
    with anyio.fail_after(120):
        while not true():
            await anyio.sleep(0.01)


async def fails(client: LitellmClient, asked: Request) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        await client.send(asked)
    return caught.value


ERRORS = {
    "429": (Reply.rate_limited(retry_after=3), Kind.RATE_LIMIT, 429),
    "429 quota": (Reply.quota(), Kind.QUOTA, 429),
    "500": (Reply.status(500), Kind.OVERLOADED, 500),
    "502": (Reply.status(502), Kind.OVERLOADED, 502),
    "503": (Reply.status(503), Kind.OVERLOADED, 503),
    "504": (Reply.status(504), Kind.TIMEOUT, 504),
    "529": (Reply.status(529), Kind.OVERLOADED, 529),
    "408": (Reply.status(408), Kind.TIMEOUT, 408),
    "409": (Reply.status(409), Kind.OVERLOADED, 409),
    "413": (Reply.status(413), Kind.CONTEXT, 413),
    "400": (Reply.status(400), Kind.BAD_REQUEST, 400),
    "400 too long": (Reply.context_too_long(), Kind.CONTEXT, 400),
    "400 policy": (Reply.policy(), Kind.FILTERED, 400),
    "400 policy of azure": (Reply.policy(code="content_filter", type="other"), Kind.FILTERED, 400),
    "401": (Reply.status(401), Kind.AUTH, 401),
    "402": (Reply.status(402), Kind.QUOTA, 402),
    "403": (Reply.status(403), Kind.AUTH, 403),
    "404": (Reply.status(404), Kind.NOT_FOUND, 404),
    "422": (Reply.status(422), Kind.BAD_REQUEST, 422),
    "html with 200": (Reply.html(), Kind.OVERLOADED, None),
    "html with 502": (Reply.html(status=502), Kind.OVERLOADED, 502),
    "half a json": (Reply.bad_json_envelope(), Kind.OVERLOADED, None),
    "no completion": (Reply(raw="{}"), Kind.OVERLOADED, None),
    "null": (Reply(raw="null"), Kind.OVERLOADED, None),
    "an error with 200": (Reply(raw='{"error": {"message": "full", "code": 503}}'), Kind.OVERLOADED, None),
    "cut body": (Reply.cut_body(), Kind.CONNECTION, None),
    "dropped": (Reply.dropped(), Kind.CONNECTION, None),
}


NO_PLACE = '{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":%s}]}'


ANSWERS = {
    "echo": (Reply.echo(), None),
    "refusal": (Reply.refusal(), Kind.REFUSED),
    "content filter": (Reply.refusal(place="content_filter"), Kind.FILTERED),
    "length": (Reply.truncated(), Kind.TRUNCATED),
    "empty": (Reply.empty(), Kind.EMPTY),
    "null content": (Reply(raw=NO_PLACE % '{"role":"assistant","content":null}'), Kind.EMPTY),
    "no choices": (Reply(raw='{"id":"c","object":"chat.completion","model":"m","choices":[]}'), Kind.EMPTY),
}
