"""Fetches given pages: public addresses only, robots.txt obeyed, sizes and times bounded, text cleaned.

Pipelines and ``--url`` call `WebFetcher.fetch`. A page that cannot be had is a `Failure`, never an exception.
"""

from __future__ import annotations

import io
import re
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread
import httpcore
import httpx
import tenacity

from .addresses import PORTS, Resolver, resolve
from .bodies import ACCEPTED, Limits, Malformed, TooLarge, receive
from .documents import Document, DocumentKind
from .errors import Unreadable
from .extra import require
from .fetched import Failure, Fetched
from .network import AddressRefused, NameUnknown, PinnedTransport
from .reading import read
from .robots import MOST_BYTES, Robots, RobotsAnswer
from .urls import canonical_host, canonical_url, split_canonical

AGENT = "guardflow"
USER_AGENT = f"{AGENT}/0.1 (research reader; obeys robots.txt)"
MOST_REDIRECTS = 5
RETRIES = 2
_TRANSIENT = frozenset({408, 429, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KINDS: dict[str, DocumentKind] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "text",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "application/pdf": "pdf",
}
_STEP_SECONDS = 10.0
"""Without a byte for so long, a connection counts as dead."""


Result = TypeVar("Result")


class _Failed(Exception):
    """Carries a failure to where it becomes a result."""

    def __init__(self, failure: Failure, *, status: int | None = None, after: float = 0.0) -> None:
        super().__init__(failure.detail)
        self.failure = failure
        self.status = status
        self.after = after


@dataclass(slots=True)
class _Trip:
    """One fetch on its way: where it is, and how much of its time is used. Waiting for a turn is not counted."""

    at: str
    left: float
    status: int | None = None
    requests: int = 0
    kind: DocumentKind = "html"
    charset: str | None = None


@dataclass(slots=True)
class _Host:
    """Politeness towards one host."""

    turns: anyio.CapacityLimiter
    pace: anyio.Lock = field(default_factory=anyio.Lock)
    free_at: float = 0.0


class WebFetcher:
    """Fetches pages; an async context manager, used by many tasks at once.

    Args:
        user_agent: what it calls itself. robots.txt is read for its first word.
        deadline: seconds a fetch may take with all redirects and repeats, not counting waits for a turn.
        per_host: requests to one host at a time.
        limits: bytes of a page.
        allow: sockets to connect to although they are not public, such as ``"127.0.0.1:8123"``: for tests and
            known inner servers. Never from user content.
        resolver: asks for a host's addresses; the system's by default.
        tls: the TLS context; public certificate authorities by default.

    Raises:
        ConfigError: a package of the extra ``research`` is not installed.
    """

    def __init__(
        self,
        *,
        user_agent: str = USER_AGENT,
        deadline: float = 30.0,
        per_host: int = 2,
        limits: Limits | None = None,
        allow: Collection[str] = (),
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        require("fetching pages", "protego", "lxml", "trafilatura", "markdown_it", "pypdf")
        self._agent = re.split(r"[/\s]", user_agent, maxsplit=1)[0]
        self._deadline = deadline
        self._per_host = per_host
        self._limits = limits or Limits()
        self._ports = PORTS | {int(socket.rpartition(":")[2]) for socket in allow}
        self._hosts: dict[str, _Host] = {}
        self._readers = anyio.CapacityLimiter(2)  # parsing takes a core each
        self._robots = Robots(self._fetch_robots)
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.AsyncClient(
            transport=PinnedTransport(resolver, allow=frozenset(allow), tls=tls),
            headers={
                "User-Agent": user_agent,
                "Accept": "text/html,application/xhtml+xml,text/markdown,text/plain,application/pdf;q=0.9",
                "Accept-Encoding": ACCEPTED,
            },
            timeout=_STEP_SECONDS,
            follow_redirects=False,
            trust_env=False,  # a transport of one's own rules out proxies already; this holds if that changes
            cookies=no_cookies,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def fetch(self, url: str) -> Fetched:
        """Fetch one page and read it.

        Connection errors, timeouts and the statuses 408, 429, 502, 503 and 504 are tried again, twice at most
        and within the deadline.
        """
        trip = _Trip(at=url, left=self._deadline)
        try:
            body = await self._with_retries(url, trip)
            document = await self._read(body, trip)
        except _Failed as failed:
            return Fetched(
                url=url,
                final_url=trip.at,
                status=failed.status if failed.status is not None else trip.status,
                failure=failed.failure,
                requests=trip.requests,
            )
        return Fetched(
            url=url, final_url=trip.at, status=trip.status, document=document, requests=trip.requests
        )

    async def _with_retries(self, url: str, trip: _Trip) -> bytes:
        def worth_it(error: BaseException) -> bool:
            return isinstance(error, _Failed) and error.failure.transient and error.after < trip.left

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.after if isinstance(error, _Failed) else 0.0
            return max(asked, backoff(state))

        async def sleep(seconds: float) -> None:
            trip.left -= seconds
            await anyio.sleep(seconds)

        backoff = tenacity.wait_random_exponential(multiplier=0.3, max=4)
        # A new object for each call: tenacity's carry state.
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(1 + RETRIES),
            wait=pause,
            retry=tenacity.retry_if_exception(worth_it),
            sleep=sleep,
            reraise=True,
        )
        return await attempts(self._follow, url, trip)

    async def _follow(self, url: str, trip: _Trip) -> bytes:
        """One attempt: the page's body, after redirects. Every hop passes all checks anew."""
        at = url
        for _ in range(1 + MOST_REDIRECTS):
            target, origin = self._checked(at)
            trip.at = str(target)
            rules = await _within(trip, partial(self._robots.rules, origin))
            if not rules.permit(trip.at, self._agent):
                why = "it is forbidden by robots.txt" if rules.parsed else "its robots.txt could not be had"
                raise _Failed(Failure(reason="robots", detail=why))
            async with self._turn(target.host, rules.delay(self._agent)):
                answer = await _within(trip, partial(self._request, target, trip))
            if isinstance(answer, bytes):
                return answer
            at = answer
        raise _Failed(Failure(reason="redirects", detail=f"it redirects more than {MOST_REDIRECTS} times"))

    def _checked(self, url: str) -> tuple[httpx.URL, str]:
        """The URL to request, without its fragment, and its origin; refuses what is no plain web address."""
        try:
            parts, port = split_canonical(canonical_url(url))
            target = httpx.URL(url.strip()).copy_with(fragment=None)
        except (ValueError, httpx.InvalidURL) as error:
            raise _Failed(Failure(reason="bad_url", detail=f"it is refused: {error}")) from error
        if target.userinfo or "@" in target.netloc.decode("latin-1"):
            raise _Failed(Failure(reason="bad_url", detail="it holds a user name"))
        if port not in self._ports:
            raise _Failed(Failure(reason="bad_url", detail=f"it is on port {port}, which is no web port"))
        if canonical_host(target.host).strip("[]") != parts.hostname:
            raise _Failed(Failure(reason="bad_url", detail="it names a host that programs read differently"))
        return target, f"{parts.scheme}://{parts.netloc}"

    async def _request(self, target: httpx.URL, trip: _Trip) -> bytes | str:
        """Send one request: its body, or where it redirects to."""
        trip.requests += 1
        async with _translated(), self._client.stream("GET", target) as response:
            trip.status = response.status_code
            if response.status_code in _REDIRECTS:
                return _location(response, target)
            if response.status_code not in (200, 203):
                raise _bad_status(response)
            trip.kind, trip.charset = _kind(response, target)
            return await self._body(response, self._limits)

    async def _body(self, response: httpx.Response, limits: Limits) -> bytes:
        length = response.headers.get("content-length", "")
        if length.isdigit() and len(length) < 20 and int(length) > limits.received:
            raise TooLarge(f"it is {length} bytes long, more than {limits.received}")
        return await receive(response.aiter_raw(), response.headers.get("content-encoding", ""), limits)

    async def _fetch_robots(self, url: str) -> RobotsAnswer:
        """Get a robots.txt; status 0 if its redirects lead nowhere, 404 if there are too many of them.

        What keeps us from the origin itself is raised: it is why the page cannot be had, either.
        """
        limits = Limits(received=MOST_BYTES, unpacked=2 * MOST_BYTES)
        at = url
        for _ in range(1 + MOST_REDIRECTS):
            try:
                target, _ = self._checked(at)
                async with _translated(), self._client.stream("GET", target) as response:
                    if response.status_code in _REDIRECTS:
                        at = _location(response, target)
                        continue
                    if response.status_code != 200:
                        return RobotsAnswer(response.status_code)
                    body = await self._body(response, limits)
                    return RobotsAnswer(200, body.decode("utf-8", "replace"))
            except _Failed as failed:
                if at == url and failed.failure.reason not in ("redirects", "too_large", "unreadable"):
                    raise
                return RobotsAnswer(0)
        return RobotsAnswer(404)  # RFC 9309, 2.3.1.2

    @asynccontextmanager
    async def _turn(self, host: str, delay: float) -> AsyncGenerator[None]:
        """Wait until this host may be asked again."""
        known = self._hosts.setdefault(host, _Host(anyio.CapacityLimiter(self._per_host)))
        async with known.turns:
            if delay:
                async with known.pace:
                    await anyio.sleep(max(0.0, known.free_at - time.monotonic()))
                    known.free_at = time.monotonic() + delay
            yield

    async def _read(self, body: bytes, trip: _Trip) -> Document:
        title = trip.at.partition("?")[0].rstrip("/").rpartition("/")[2]
        job = partial(
            read, io.BytesIO(body), trip.kind, uri=trip.at, fallback_title=title, declared=trip.charset
        )
        try:
            return await anyio.to_thread.run_sync(job, limiter=self._readers, abandon_on_cancel=True)
        except Unreadable as error:
            raise _Failed(Failure(reason="unreadable", detail=error.message)) from error


async def _within(trip: _Trip, call: Callable[[], Awaitable[Result]]) -> Result:
    """Make a call in what is left of the trip's time."""
    started = time.monotonic()
    try:
        with anyio.fail_after(max(trip.left, 0.0)):
            return await call()
    except TimeoutError as error:
        raise _Failed(Failure(reason="timeout", detail="it took longer than its deadline")) from error
    finally:
        trip.left -= time.monotonic() - started


@asynccontextmanager
async def _translated() -> AsyncGenerator[None]:
    """Turn what goes wrong in a request into the failure it is."""
    try:
        yield
    except AddressRefused as error:
        raise _Failed(Failure(reason="private_address", detail=f"it is refused: {error}")) from error
    except NameUnknown as error:
        raise _Failed(Failure(reason="unknown_host", detail=f"it cannot be found: {error}")) from error
    except TooLarge as error:
        raise _Failed(Failure(reason="too_large", detail=str(error))) from error
    except Malformed as error:
        raise _Failed(Failure(reason="unreadable", detail=str(error))) from error
    except (httpcore.TimeoutException, httpx.TimeoutException) as error:
        failure = Failure(reason="timeout", detail="it did not answer in time", transient=True)
        raise _Failed(failure) from error
    except (
        httpx.RemoteProtocolError
    ) as error:  # of httpx itself, which looks at redirects; the rest is httpcore's
        raise _Failed(Failure(reason="redirects", detail="it redirects to nowhere")) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpx.TransportError) as error:
        detail = f"it broke off ({type(error).__name__})"
        raise _Failed(Failure(reason="connection", detail=detail, transient=True)) from error
    except (httpcore.UnsupportedProtocol, httpx.InvalidURL, ValueError) as error:
        raise _Failed(Failure(reason="bad_url", detail=f"it cannot be requested ({error})")) from error


def _location(response: httpx.Response, target: httpx.URL) -> str:
    location = response.headers.get("location", "")
    try:
        if location:
            return str(target.join(location))
    except (httpx.InvalidURL, ValueError):
        pass  # the same as none
    raise _Failed(Failure(reason="redirects", detail="it redirects to nowhere"), status=response.status_code)


def _bad_status(response: httpx.Response) -> _Failed:
    status = response.status_code
    asked = response.headers.get("retry-after", "")
    failure = Failure(
        reason="status", detail=f"it answered with status {status}", transient=status in _TRANSIENT
    )
    return _Failed(failure, status=status, after=float(asked) if asked.isdigit() and len(asked) < 7 else 0.0)


def _kind(response: httpx.Response, target: httpx.URL) -> tuple[DocumentKind, str | None]:
    """How to read the body, by its declared type, and its declared encoding."""
    declared = response.headers.get("content-type", "text/html")
    name = declared.partition(";")[0].strip().lower()
    kind = _KINDS.get(name)
    if kind is None:
        raise _Failed(Failure(reason="content_type", detail=f"it is {name[:60]!r}, which is not read"))
    if kind == "text" and target.path.lower().endswith((".md", ".markdown")):
        kind = "markdown"
    return kind, response.charset_encoding
