"""A raw completion, or whatever was raised instead of one, to its `Kind`.

Flow classifies every completion before it parses it; adapters classify every exception. Exceptions are known by
their shape (class names, status, body, causes), so that no provider's package is ever imported here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

from guardflow.kinds import Kind
from guardflow.values import Completion

RETRY_AFTER_CAP = 3600.0
"""The longest pause, in seconds, that a provider's Retry-After is believed."""

_CAUSES = 16
"""How many causes of an exception are looked at; chains may be endless by mistake."""

_FILTERED = frozenset(
    {
        "content_filter",
        "content_filtered",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "guardrail_intervened",
    }
)
_TRUNCATED = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
_EMPTY_FENCE = re.compile(r"\s*```\w*\s*(```\s*)?")


def kind_of_completion(c: Completion, *, expects_json: bool) -> Kind | None:
    """What is wrong with an answer before it is parsed; None if it can be parsed.

    A cut-off answer is TRUNCATED even where nothing came through at all: reasoning may have eaten the tokens.

    Args:
        c: the answer as it came.
        expects_json: whether it should be JSON; then an empty code fence is no content either.
    """
    reason = (c.finish_reason or "").lower()
    if (c.refusal and not c.refusal.isspace()) or reason == "refusal":
        return Kind.REFUSED
    if reason in _FILTERED:
        return Kind.FILTERED
    if reason in _TRUNCATED:
        return Kind.TRUNCATED
    text = c.text or ""
    if not text or text.isspace() or (expects_json and _EMPTY_FENCE.fullmatch(text)):
        return Kind.EMPTY
    return None


_TIMEOUTS = frozenset(
    {
        "TimeoutError",
        "Timeout",
        "APITimeoutError",
        "TimeoutException",
        "ServerTimeoutError",
        "ReadTimeoutError",
    }
)
_NOT_CONNECTED = frozenset({"ConnectTimeout", "ConnectionTimeoutError", "ConnectTimeoutError"})
"""Time-outs before anything was sent, of httpx, httpcore, aiohttp and urllib3: nobody was reached, nothing was paid."""
_CONNECTIONS = frozenset(
    {
        "ConnectionError",
        "gaierror",
        "SSLError",
        "NetworkError",
        "ProtocolError",
        "ProxyError",
        "UnsupportedProtocol",
        "ClientConnectionError",
        "ClientPayloadError",
        "IncompleteRead",
        "IncompleteReadError",
    }
)
"""Of the standard library, httpx, httpcore and aiohttp. openai's APIConnectionError is looked at last: litellm
raises it for its own programming errors too."""
_MISTAKES = frozenset({"ImportError", "AttributeError", "TypeError", "NameError", "NotImplementedError"})
_UNREADABLE = frozenset({"JSONDecodeError", "UnicodeDecodeError", "APIResponseValidationError"})
_UNREADABLE_IF_WRAPPED = _UNREADABLE | {"KeyError", "IndexError", "ValueError"}
"""What litellm trips over when an answer is no completion. Raised bare, the last three are bugs of ours."""
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_KNOWN_CODES = _FILTER_CODES | _QUOTA_CODES | {"context_length_exceeded"}
_QUOTA_WORDS = re.compile(
    r"insufficient[_ ]quota|insufficient[_ ](balance|credits?|funds)|billing[_ ](hard[_ ])?limit|"
    r"credit balance is too low|payment required",
    re.IGNORECASE,
)
_CONTEXT_WORDS = re.compile(
    r"context_length_exceeded|(maximum|available) context (length|size)|context (window|limit) .{0,40}exceed|"
    r"exceed.{0,40}context|prompt is too long|input is too long|too many input tokens|request_too_large",
    re.IGNORECASE,
)
_OPAQUE_CONNECTION = re.compile(
    r"connection error|cannot connect|connection refused|server disconnected", re.IGNORECASE
)
_OPAQUE_ANSWER = re.compile(r"empty or invalid response|'choices' that is not", re.IGNORECASE)
_NO_CREDENTIALS = re.compile(r"missing credentials|api[_ ]key.{0,60}must be set|no api key", re.IGNORECASE)


def kind_of_exception(exc: BaseException) -> Kind:
    """What an exception of a model request says. Unknown ones are BUG: they must be seen, never retried.

    An answer with status 200 that is no completion (HTML of a gateway, half a JSON) is OVERLOADED: a server was
    reached, and what answered was not the model, which is most often a proxy in front of one that is down.
    """
    kind = getattr(exc, "kind", None)
    if isinstance(kind, Kind):
        return kind
    chain = tuple(_chain(exc))
    names = _class_names(exc)
    status = status_of(exc)
    code = _error_code(chain)
    text = str(exc)
    if _is_mistake(chain, names):
        return Kind.BUG
    # litellm's Timeout is an APIConnectionError, and a ContextWindowExceededError is a BadRequestError.
    if any(_class_names(link) & _NOT_CONNECTED for link in chain):
        return Kind.CONNECTION
    if names & _TIMEOUTS or status in (408, 504):
        return Kind.TIMEOUT
    if "ContextWindowExceededError" in names or code == "context_length_exceeded" or status == 413:
        return Kind.CONTEXT
    if "ContentPolicyViolationError" in names or code in _FILTER_CODES:
        return Kind.FILTERED
    if status == 402 or code in _QUOTA_CODES:
        return Kind.QUOTA
    if "RateLimitError" in names or status == 429:
        return Kind.QUOTA if _QUOTA_WORDS.search(text) else Kind.RATE_LIMIT
    if status in (401, 403) or _NO_CREDENTIALS.search(text):
        return Kind.AUTH
    if status in (404, 410):
        return Kind.NOT_FOUND
    if status is not None and 400 <= status < 500 and status not in (409, 425):
        if _QUOTA_WORDS.search(text):
            return Kind.QUOTA
        return Kind.CONTEXT if _CONTEXT_WORDS.search(text) else Kind.BAD_REQUEST
    return _kind_of_broken_exchange(chain, names, status, text)


def _kind_of_broken_exchange(
    chain: tuple[BaseException, ...], names: frozenset[str], status: int | None, text: str
) -> Kind:
    """No verdict of the provider on the request: the way there, the way back, or the server failed.

    A refused connection comes out of litellm as an InternalServerError 500, so causes go before the status.
    """
    causes = frozenset[str]().union(*map(_class_names, chain))
    if causes & _TIMEOUTS and not causes & {"HTTPStatusError"}:
        return Kind.TIMEOUT
    if causes & _CONNECTIONS or (_OPAQUE_CONNECTION.search(text) and "HTTPStatusError" not in causes):
        return Kind.CONNECTION
    wrapped = frozenset[str]().union(*map(_class_names, chain[1:]))
    unreadable = names & _UNREADABLE or (status is not None and wrapped & _UNREADABLE_IF_WRAPPED)
    if unreadable or _OPAQUE_ANSWER.search(text):
        return Kind.OVERLOADED
    if status is not None and (status >= 500 or status in (409, 425)) and "APIConnectionError" not in names:
        return Kind.OVERLOADED
    return Kind.CONNECTION if "APIConnectionError" in names else Kind.BUG


def status_of(exc: BaseException) -> int | None:
    """The HTTP status an exception carries, its own or that of a cause; None if it carries none.

    litellm makes statuses up (500 for a refused connection): believe it only together with `kind_of_exception`.
    """
    for link in _chain(exc):
        status = getattr(link, "status_code", None)
        if isinstance(status, int) and not isinstance(status, bool) and 100 <= status < 600:
            return status
    return None


def retry_after_of(exc: BaseException, *, now: datetime | None = None) -> float | None:
    """The seconds a provider asks to wait, of ``Retry-After`` (seconds or an HTTP date) or ``retry-after-ms``.

    Never negative, never above `RETRY_AFTER_CAP`. None if nobody asked.

    Args:
        exc: what was raised.
        now: what an HTTP date is counted from; the present if None.
    """
    for link in _chain(exc):
        for headers in _headers(link):
            seconds = _retry_after(headers, now or datetime.now(UTC))
            if seconds is not None:
                return min(max(seconds, 0.0), RETRY_AFTER_CAP)
    return None


def _retry_after(headers: Mapping[str, object], now: datetime) -> float | None:
    lower = {name.lower(): str(value).strip() for name, value in headers.items()}
    for prefix in ("", "llm_provider-"):
        for name, unit in ((f"{prefix}retry-after-ms", 1000.0), (f"{prefix}retry-after", 1.0)):
            if name not in lower:
                continue
            try:
                seconds = float(lower[name]) / unit
            except ValueError:
                pass
            else:
                if math.isfinite(seconds):
                    return seconds
                continue
            try:
                until = parsedate_to_datetime(lower[name])
            except ValueError:
                continue
            return ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds()
    return None


def _headers(exc: BaseException) -> Iterator[Mapping[str, object]]:
    """Where headers may be: litellm hides the real ones apart and gives an empty response instead."""
    response = getattr(exc, "response", None)
    for found in (
        getattr(exc, "litellm_response_headers", None),
        getattr(response, "headers", None),
        getattr(exc, "headers", None),
    ):
        if isinstance(found, Mapping) and found:
            yield cast("Mapping[str, object]", found)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception and its causes, nearest first; an explicit cause goes before the context."""
    link: BaseException | None = exc
    for _ in range(_CAUSES):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _class_names(exc: BaseException) -> frozenset[str]:
    return frozenset(cls.__name__ for cls in type(exc).__mro__)


def _is_mistake(chain: tuple[BaseException, ...], names: frozenset[str]) -> bool:
    """Whether code is wrong rather than the world: a mistake itself, or one that litellm wrapped.

    litellm dresses every error it did not expect, a missing module too, as an APIConnectionError. Only the
    direct cause counts: farther down, imports may have failed that were caught on purpose.
    """
    if names & _MISTAKES:
        return True
    return len(chain) > 1 and "APIConnectionError" in names and bool(_class_names(chain[1]) & _MISTAKES)


def _error_code(chain: tuple[BaseException, ...]) -> str | None:
    """What the provider calls the error: ``code``, else ``type``, of the body; litellm keeps it for some only."""
    for link in chain:
        body = getattr(link, "body", None)
        if not isinstance(body, Mapping):
            continue
        body = cast("Mapping[str, object]", body)
        inner = body.get("error")
        if isinstance(inner, Mapping):
            body = {**body, **cast("Mapping[str, object]", inner)}
        for field in ("code", "type"):
            code = str(body.get(field)).lower()
            if code in _KNOWN_CODES:
                return code
    return None


_KEY_SHAPE = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|gsk|xai|pplx|tvly|fc|ghp|hf|xox[abp])[-_][A-Za-z0-9_*\-]{8,}|AIza[A-Za-z0-9_\-]{20,})"
    r"|(?<=Bearer )[A-Za-z0-9._~+/\-]{8,}"
)
_URL_PASSWORD = re.compile(r"(://[^/:@\s]*:)[^/@\s]+(?=@)")
REDACTED = "[redacted]"


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without any of these values, passwords inside of URLs, and anything that has the shape of a key.

    Args:
        text: what is about to be shown, raised or logged.
        secrets: the values to remove; see `guardflow.settings.secret_values`.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, REDACTED)
    return _KEY_SHAPE.sub(REDACTED, _URL_PASSWORD.sub(rf"\1{REDACTED}", text))
