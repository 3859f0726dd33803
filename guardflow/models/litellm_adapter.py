"""`LitellmClient`: one request to any hosted model, through litellm, and through instructor for tool calls.

The only importer of both, inside the first real call. It never retries, never falls back, never logs, never caches:
each `send` is one HTTP request, or none.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import threading
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Literal, Protocol, cast
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from guardflow.classify import kind_of_exception, redact, retry_after_of, status_of
from guardflow.errors import ConfigError, ModelCallError
from guardflow.kinds import Kind
from guardflow.models.advice import hint, out_of_reach, refused_key
from guardflow.models.chat_format import NO_KEY, Prepared, prepare, read_completion, refused_parameter
from guardflow.models.pooled_sockets import SocketCache, close, taken
from guardflow.models.roles import DEFAULT_TIMEOUT
from guardflow.models.wire_schema import WireSchema
from guardflow.settings import Settings, provider_environment, secret_values
from guardflow.values import Completion, Model, Price, Request

Transport = Literal["aiohttp", "httpx"]

_MESSAGE_LIMIT = 600


class LitellmClient:
    """Sends requests through litellm. Keys come from the environment, or from the project's .env.

    Args:
        settings: whose .env may hold keys; None reads the environment only.
        transport: litellm's HTTP client, for the whole process. aiohttp takes a third less CPU; httpx is what
            respx can see. None is aiohttp unless ``DISABLE_AIOHTTP_TRANSPORT`` is set.
    """

    def __init__(self, settings: Settings | None = None, *, transport: Transport | None = None) -> None:
        self._settings = settings
        self._transport: Transport | None = transport
        self._tools: dict[int, type] = {}
        self._prepared: dict[tuple[Model, str | None], Prepared] = {}
        self._refused: dict[tuple[str, str | None], tuple[str, ...]] = {}

    async def send(self, request: Request) -> Completion:
        """Send the request once.

        A parameter that the model refuses is remembered: this request fails as BAD_REQUEST and names it in
        ``dropped``, and the next ones leave it out and say so in ``Completion.dropped``.

        Raises:
            ModelCallError: there is no completion. Its message holds no key, and it has no cause that could.
        """
        answer = await self._attempt(request)
        if isinstance(answer, ModelCallError):
            raise answer  # here, where no exception is being handled: its context would hold the key
        return answer

    async def aclose(self) -> None:
        """Close the sockets of this event loop, once no other client uses them. Idempotent."""
        await _release(self)

    async def _attempt(self, request: Request) -> Completion | ModelCallError:
        prepared: Prepared | None = None
        try:
            acompletion = await _loaded(self, self._transport)
            prepared = self._prepare(request)
            if prepared.tool is not None:
                await anyio.to_thread.run_sync(_import_instructor, abandon_on_cancel=True)
            arguments = prepared.arguments(request)
            with anyio.fail_after(request.timeout or request.model.timeout or DEFAULT_TIMEOUT):
                if prepared.tool is not None:
                    tool = self._tool(prepared.tool)
                    return await _call_tool(acompletion, arguments, tool, prepared.left_out(request))
                if not _is_listened_to():
                    # An empty list is no fallback; given any list, litellm leaves out its record for callbacks.
                    arguments["fallbacks"] = []
                return read_completion(await acompletion(**arguments), prepared.left_out(request))
        except ConfigError:
            raise  # a broken .env: no request was made
        except Exception as error:  # noqa: BLE001  # every failure becomes a Kind; unknown ones are BUG
            return self._failure(error, request, () if prepared is None else prepared.refused)

    def _prepare(self, request: Request) -> Prepared:
        model, schema = request.model, request.schema
        at = (model, None if schema is None else schema.hash)
        prepared = self._prepared.get(at)
        if prepared is None:
            refused = self._refused.get((model.name, model.api_base), ())
            prepared = self._prepared[at] = prepare(model, schema, refused, self._environment())
            _tell_price(model)
        return prepared

    def _tool(self, wire: WireSchema) -> type:
        # By identity: a prepared schema lives as long as this client.
        tool = self._tools.get(id(wire.schema))
        if tool is None:
            tool = self._tools[id(wire.schema)] = _tool_class(wire)
        return tool

    def _environment(self) -> Mapping[str, str]:
        return os.environ if self._settings is None else provider_environment(self._settings)

    def _failure(self, error: Exception, request: Request, left_out: tuple[str, ...]) -> ModelCallError:
        kind = kind_of_exception(error)
        dropped = self._remember_refused(error, request, left_out) if kind is Kind.BAD_REQUEST else ()
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, TimeoutError):
            text = f"no answer within {request.timeout or request.model.timeout or DEFAULT_TIMEOUT:g} s"
        if kind is Kind.AUTH:
            text = f"{refused_key(request.model, self._environment())}: {text}"
        elif kind is Kind.CONNECTION:
            text = f"{out_of_reach(request.model, self._environment())}: {text}"
        elif kind is Kind.NOT_FOUND:
            text = f"{hint(kind, error, request.model, dropped)}: {text}"
        text = redact(text, secret_values(self._environment()))
        if len(text) > _MESSAGE_LIMIT:
            text = text[:_MESSAGE_LIMIT] + "..."
        return ModelCallError(
            f"{request.model.name!r} did not answer ({(kind.name or '').lower()}): {text}",
            hint=hint(kind, error, request.model, dropped),
            kind=kind,
            status=_answered_status(error),
            retry_after=retry_after_of(error),
            dropped=dropped,
        )

    def _remember_refused(
        self, error: Exception, request: Request, left_out: tuple[str, ...]
    ) -> tuple[str, ...]:
        """The parameter that the model refuses, if it was sent and the request can do without.

        Requests that were in flight together are refused together: each of them may be sent again without it.
        """
        name = refused_parameter(error)
        at = (request.model.name, request.model.api_base)
        before = self._refused.get(at, ())
        sent = {"temperature": request.temperature is not None, "response_format": request.schema is not None}
        if name is None or name in left_out or not sent.get(name, True):
            return ()
        if name in before:
            return (name,)
        self._refused[at] = (*before, name)
        self._prepared = {
            key: kept for key, kept in self._prepared.items() if (key[0].name, key[0].api_base) != at
        }
        return (name,)


def _answered_status(error: Exception) -> int | None:
    """The status of a real answer. litellm also makes up a 500 where there was none."""
    link: BaseException | None = error
    for _ in range(16):
        if link is None:
            return None
        if type(link).__name__ == "HTTPStatusError":
            return (
                status_of(link)
                or status_of(error)
                or cast("int | None", getattr(getattr(link, "response", None), "status_code", None))
            )
        link = link.__cause__ or link.__context__
    return None


# --- tool calls, through instructor ------------------------------------------------------------------------


_FOR_INSTRUCTOR = frozenset({"model", "messages"})


def _tool_class(wire: WireSchema) -> type:
    """A class that shows instructor our schema and accepts every answer: guardflow validates, not instructor."""
    from pydantic import BaseModel, ConfigDict

    def model_json_schema(_cls: type) -> dict[str, object]:
        return cast("dict[str, object]", json.loads(json.dumps({"title": wire.name, **wire.schema})))

    members: dict[str, object] = {
        "__module__": __name__,
        "__doc__": "Give the answer.",
        "model_config": ConfigDict(extra="allow"),
        "model_json_schema": classmethod(model_json_schema),
    }
    return type(wire.name, (BaseModel,), members)


async def _call_tool(
    acompletion: Callable[..., Awaitable[object]],
    arguments: Mapping[str, object],
    tool: type,
    dropped: tuple[str, ...],
) -> Completion:
    """One try through instructor. What it makes of the answer is not used: the answer is read before instructor
    touches it (it overwrites usage and takes refusals for malformed answers)."""
    from tenacity import AsyncRetrying, stop_after_attempt

    answers: list[Completion] = []
    failures: list[Exception] = []
    # What instructor has no business with, the key above all: it keeps and logs what it is called with.
    ours = {name: value for name, value in arguments.items() if name not in _FOR_INSTRUCTOR}

    async def create(**kwargs: object) -> object:
        try:
            response = await acompletion(**{**kwargs, **ours, **_around_mcp()})
        except Exception as error:
            failures.append(error)
            raise
        answers.append(read_completion(response, dropped))
        return response

    client = _instructor_client(create)
    try:
        # A new AsyncRetrying for each call (a shared one mixes calls up), and never context=, which would render
        # messages as templates.
        await client(
            **{name: value for name, value in arguments.items() if name in _FOR_INSTRUCTOR},
            response_model=tool,
            strict=False,
            max_retries=AsyncRetrying(stop=stop_after_attempt(1), reraise=True),
        )
    except Exception:
        if not answers and not failures:
            raise
    if failures:
        raise failures[0]  # not inside of the handler: that would cut its causes off, which tell its Kind
    return answers[0]


def _instructor_client(create: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    instructor = _import_instructor()
    client = instructor.from_litellm(create, mode=instructor.Mode.TOOLS, async_client=True)
    return cast("Callable[..., Awaitable[object]]", client.chat.completions.create)


@cache
def _import_instructor() -> ModuleType:
    with _importing, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside of instructor
        instructor = importlib.import_module("instructor")
        instructor.from_litellm  # noqa: B018  # resolved lazily: this imports the rest
    log = logging.getLogger("instructor")
    if log.level == logging.NOTSET:
        # It logs every failed call as an error, with the provider's words in it.
        log.setLevel(logging.CRITICAL)
    return instructor


@cache
def _around_mcp() -> Mapping[str, object]:
    """Some litellms (1.106) import their MCP gateway for any call with tools, and fail where ``mcp`` is not installed."""
    gated = (
        find_spec("mcp") is None and find_spec("litellm.responses.mcp.chat_completions_handler") is not None
    )
    return {"_skip_mcp_handler": True} if gated else {}


# --- the library itself ------------------------------------------------------------------------------------


class _Library(Protocol):
    """The part of the litellm module that is used."""

    acompletion: Callable[..., Awaitable[object]]
    get_model_info: Callable[[str], object]
    register_model: Callable[[Mapping[str, Mapping[str, object]]], object]
    callbacks: Sequence[object]
    success_callback: Sequence[object]
    ModelResponse: Callable[[], object]
    close_litellm_async_clients: Callable[[], Awaitable[None]]
    in_memory_llm_clients_cache: SocketCache
    disable_aiohttp_transport: bool
    disable_hf_tokenizer_download: bool
    suppress_debug_info: bool
    telemetry: bool


_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the import fetches prices from the network
    "LITELLM_MODE": "PRODUCTION",  # else the import runs load_dotenv()
}
_importing = threading.Lock()
_library: _Library | None = None
_users: WeakKeyDictionary[asyncio.AbstractEventLoop, set[int]] = WeakKeyDictionary()
"""The open clients of each event loop: litellm keeps one pool of sockets a loop for all of them."""


async def _loaded(client: LitellmClient, transport: Transport | None) -> Callable[..., Awaitable[object]]:
    """The library's acompletion. Imported in a thread: the loop goes on meanwhile, and a cancelled caller at once."""
    users = _users.get(asyncio.get_running_loop())
    if users is None:
        users = _users[asyncio.get_running_loop()] = set()
    users.add(id(client))
    library = _library
    if library is None:
        library = await anyio.to_thread.run_sync(_import_litellm, abandon_on_cancel=True)
    if transport is not None:
        library.disable_aiohttp_transport = transport == "httpx"
    return library.acompletion


def _is_listened_to() -> bool:
    """Whether another part of the program registered callbacks with litellm, or this litellm cannot tell."""
    library = _library
    if library is None:
        return True
    routed = cast("Sequence[object]", getattr(library, "_async_success_callback", ("unknown",)))
    return bool(library.callbacks or library.success_callback or routed)


def _tell_price(model: Model) -> None:
    """Make the price of a model on a server of the user's own known to litellm.

    It looks the price up seven times in each call, and remembers only what it finds: a tenth of a call's CPU.
    """
    library, price = _library, model.price
    if library is None or price is None or model.provider != "openai" or model.api_base is None:
        return
    try:
        library.get_model_info(model.name)
    except Exception:  # noqa: BLE001  # a bare one: it does not know the model
        rates = (0.0, 0.0, 0.0) if price == "free" else _rates(price)
        names = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
        entry = {"litellm_provider": "openai", "mode": "chat", **dict(zip(names, rates, strict=True))}
        with contextlib.suppress(Exception):  # another version may not like it; its calls are slower then
            library.register_model({model.name: entry})


def _rates(price: Price) -> tuple[float, float, float]:
    """US dollars a token."""
    cached = price.input if price.cached_input is None else price.cached_input
    return price.input / 1e6, price.output / 1e6, cached / 1e6


def _import_litellm() -> _Library:
    global _library  # noqa: PLW0603  # a module is imported once a process
    with _importing:
        if _library is not None:
            return _library
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with warnings.catch_warnings():
            # Deprecations inside of litellm and of what it imports; the first response object warns once more.
            warnings.simplefilter("ignore")
            library = cast("_Library", importlib.import_module("litellm"))
            library.suppress_debug_info = True  # it prints to stdout on every error
            library.disable_hf_tokenizer_download = True
            library.telemetry = False
            # Another version may not like it; then its first call is slow.
            with contextlib.suppress(Exception):
                asyncio.run(_warm_up(library))
        _library = library
        return library


async def _warm_up(library: _Library) -> None:
    """One call that goes nowhere. litellm and openai import 450 more modules in their first call: on the event
    loop, that would block it for over a second and eat the first request's deadline."""
    httpx, openai = importlib.import_module("httpx"), importlib.import_module("openai")
    message = {"role": "assistant", "content": "ready"}
    answer = {
        "id": "0",
        "object": "chat.completion",
        "created": 0,
        "model": "warm-up",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    }

    def reply(_request: object) -> object:
        return httpx.Response(200, json=answer)

    nowhere = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    async with openai.AsyncOpenAI(api_key=NO_KEY, base_url="http://localhost", http_client=nowhere) as client:
        await library.acompletion(
            model="openai/warm-up",
            api_key=NO_KEY,
            api_base="http://localhost",
            messages=[{"role": "user", "content": "ready?"}],
            max_tokens=1,
            max_retries=0,
            num_retries=0,
            client=client,
        )
    await _stop_logging()


async def _stop_logging() -> None:
    """Let litellm's background logging end on this loop: else it warns of a changed loop on the next one."""
    worker = importlib.import_module("litellm.litellm_core_utils.logging_worker").GLOBAL_LOGGING_WORKER
    with anyio.move_on_after(1.0):
        await asyncio.sleep(0)
        await worker.flush()
        await worker.stop()


async def _release(client: LitellmClient) -> None:
    loop = asyncio.get_running_loop()
    users = _users.get(loop)
    if users is None or id(client) not in users:
        return
    users.discard(id(client))
    library = _library
    if users or library is None:
        return
    del _users[loop]
    # Before anything is awaited: who begins meanwhile gets sockets of its own.
    sockets = taken(library.in_memory_llm_clients_cache, loop)
    await _stop_logging()
    await close(sockets)
    if not _users:
        await library.close_litellm_async_clients()
