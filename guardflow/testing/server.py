"""`FaultServer`: a loopback OpenAI-compatible server that answers what a test tells it to, and counts everything.

It runs on its own thread, or in its own process: ``python -m guardflow.testing.server --script file.json``.
It never leaves the loopback interface, and needs nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self, cast

from guardflow.errors import UsageError
from guardflow.testing.http import Connection, HttpRequest
from guardflow.testing.reply import Body, Reply
from guardflow.testing.script import Answer, Rule, Script
from guardflow.testing.wire import Response, render

__all__ = ["Answer", "Body", "FaultServer", "Received", "Reply", "Rule", "Script"]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came.

    ``key`` is the hash of the body's bytes: the same question asked twice has the same key. ``at`` is on the
    clock of `time.monotonic`, which all processes of a machine share.
    """

    body: Body
    at: float
    key: str
    headers: str
    """The request line and the headers, as sent."""


class FaultServer:
    """An OpenAI-compatible server for tests.

    Give it replies in order (the last one repeats), rules, or a function; without any it echoes: it answers
    every schema with a valid instance. `count`, `in_flight` and `requests` may be read from any thread.

        with FaultServer(Reply.rate_limited(retry_after=0), Reply.json({"text": "hi"})) as server:
            ...  # send requests to server.base_url
        assert server.count == 2

    Args:
        replies: what to answer.
        rules: replies for the requests that match; the first rule wins.
        answer: a function from the request's body to the reply, instead of both.
        script: a `Script`, instead of all three.
        keep: how many requests to keep for `requests`; older ones are only counted.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        *replies: Reply,
        rules: Sequence[Rule] = (),
        answer: Answer | None = None,
        script: Script | None = None,
        keep: int = 10_000,
        port: int = 0,
    ) -> None:
        self._script = script or Script(replies, rules=rules, answer=answer)
        self._port = port
        self._kept: deque[Received] = deque(maxlen=keep)
        self._connections: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self.count = 0
        """Requests that arrived, counted before they are answered."""
        self.in_flight = 0
        self.max_in_flight = 0
        self.by_key: Counter[str] = Counter()
        """Requests by the hash of their body."""

    # --- what tests read and change ------------------------------------------------------------------

    @property
    def requests(self) -> Sequence[Received]:
        """The last requests, in order of arrival."""
        return list(self._kept)

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        """What an OpenAI client wants as its base: ``http://127.0.0.1:PORT/v1``."""
        return f"http://127.0.0.1:{self._port}/v1"

    def script(self, *replies: Reply, rules: Sequence[Rule] = (), answer: Answer | None = None) -> None:
        """Answer the next requests like this. Counts go on."""
        self._script = Script(replies, rules=rules, answer=answer)

    def release(self) -> None:
        """Send every reply that is being delayed now, from any thread; later ones wait for their time again.

        A reply with a long ``delay`` and this are how a test answers exactly when something else has happened.
        """

        def fire() -> None:
            for connection in tuple(self._connections):
                connection.release()

        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(fire)

    def reset(self) -> None:
        """Forget all counts and requests. The script goes on where it is."""
        self.count = 0
        self.max_in_flight = self.in_flight
        self.by_key.clear()
        self._kept.clear()

    def stats(self) -> dict[str, Any]:
        """The counts, as ``GET /_stats`` gives them."""
        return {
            "requests": self.count,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "by_key": dict(self.by_key),
        }

    # --- life ----------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen, on a thread of its own. ``with`` does this."""
        if self._thread is not None:
            raise UsageError("this fault server is running already", hint="use one `with` for each server")
        ready = threading.Event()
        failure: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self.serve(on_ready=ready.set))
            except OSError as error:
                failure.append(error)
                ready.set()

        self._thread = threading.Thread(target=run, name="guardflow-fault-server", daemon=True)
        self._thread.start()
        ready.wait()
        if failure:
            self.close()
            raise UsageError(f"cannot listen on port {self._port}: {failure[0]}", hint="use port 0")
        return self

    def close(self) -> None:
        """Close the port and every connection. Idempotent."""
        if self._thread is None:
            return
        self.stop()
        self._thread.join()
        self._thread = None

    def stop(self) -> None:
        """Make `serve` end soon, from any thread."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def serve(self, *, on_ready: Callable[[], None] | None = None) -> None:
        """Serve on the running loop until `close`, or until cancelled. `start` and the process form call it."""
        loop = asyncio.get_running_loop()
        self._loop, self._stop = loop, asyncio.Event()
        listener = await loop.create_server(self._connection, "127.0.0.1", self._port, backlog=2048)
        self._port = listener.sockets[0].getsockname()[1]
        try:
            if on_ready is not None:
                on_ready()
            await self._stop.wait()
        finally:
            listener.close()
            for connection in tuple(self._connections):
                connection.abort()
            await asyncio.sleep(0)  # lets the transports close their sockets while there is a loop

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- on the server's loop ------------------------------------------------------------------------

    def _connection(self) -> Connection:
        return Connection(self._on_request, self._connections)

    def _on_request(self, connection: Connection, request: HttpRequest) -> None:
        if request.method == "POST" and request.path.endswith("/chat/completions"):
            self._on_chat(connection, request)
        else:
            connection.send(self._on_other(request))

    def _on_chat(self, connection: Connection, request: HttpRequest) -> None:
        self.count += 1
        number = self.count
        key = blake2b(request.body, digest_size=8).hexdigest()
        self.by_key[key] += 1
        body = _parsed(request.body)
        self._kept.append(Received(body, time.monotonic(), key, request.head))
        try:
            reply = self._chosen(body)
            response = None if reply.drop else render(reply, body, number=number)
        except Exception as error:  # noqa: BLE001  # the test's function failed: its client must see why
            message = f"the fault server's script failed: {error!r}"
            reply = Reply.status(500, body={"error": {"message": message}})
            response = render(reply, body, number=number)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if reply.delay > 0:
            connection.send_later(reply.delay, response, done=self._done)
        else:
            self._done()
            connection.send(response)

    def _chosen(self, body: Body) -> Reply:
        if "messages" not in body:
            message = "the body is no chat completion request: it has no messages"
            return Reply.status(400, body={"error": {"message": message, "type": "invalid_request_error"}})
        if body.get("stream"):
            message = "the fault server does not stream: guardflow never asks for a stream"
            return Reply.status(400, body={"error": {"message": message, "type": "invalid_request_error"}})
        reply = self._script.reply(body)
        while reply.only_with is not None and reply.only_with not in body and reply.otherwise is not None:
            reply = reply.otherwise
        return reply

    def _done(self) -> None:
        self.in_flight -= 1

    def _on_other(self, request: HttpRequest) -> Response:
        match request.method, request.path:
            case "GET", "/_stats":
                return _json(self.stats())
            case "GET", "/_requests":
                return _json([{"body": r.body, "at": r.at, "key": r.key} for r in self._kept])
            case "POST", "/_reset":
                self.reset()
                return _json({"ok": True})
            case "POST", "/_script":
                try:
                    self._script = Script.from_json(json.loads(request.body))
                except (UsageError, ValueError) as error:
                    return _json({"error": {"message": str(error)}}, code=400)
                return _json({"ok": True})
            case "GET", "/v1/models":
                return _json({"object": "list", "data": [{"id": "fault", "object": "model"}]})
            case _:
                message = f"the fault server has no {request.method} {request.path}"
                return _json({"error": {"message": message, "type": "invalid_request_error"}}, code=404)


def _parsed(data: bytes) -> Body:
    """The JSON object; an empty one for anything else, which is counted and refused."""
    try:
        body: object = json.loads(data)
    except ValueError:
        return {}
    return cast("Body", body) if isinstance(body, dict) else {}


def _json(value: Any, *, code: int = 200) -> Response:
    return render(Reply(code=code, raw=json.dumps(value)), {}, number=0)


if __name__ == "__main__":
    from guardflow.testing.process import main

    main()
