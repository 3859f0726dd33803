"""What a completion or an exception says, by its shape alone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.classify import (
    REDACTED,
    RETRY_AFTER_CAP,
    kind_of_completion,
    kind_of_exception,
    redact,
    retry_after_of,
    status_of,
)
from guardflow.errors import ModelCallError
from guardflow.kinds import Kind
from guardflow.values import Completion


def made(
    name: str, message: str = "", *, bases: tuple[type, ...] = (Exception,), **fields: object
) -> Exception:
    """An exception of a provider's library, by its name and attributes."""
    error = type(name, bases, {})(message)
    for field, value in fields.items():
        setattr(error, field, value)
    return error


def caused(error: Exception, *causes: Exception) -> Exception:
    link = error
    for cause in causes:
        link.__context__ = cause
        link = cause
    return error


@pytest.mark.parametrize(
    ("completion", "kind"),
    [
        (Completion('{"a": 1}', finish_reason="stop"), None),
        (Completion('{"a": 1}', finish_reason="tool_calls"), None),
        (Completion('{"a": 1}'), None),
        (Completion("no", refusal="I cannot."), Kind.REFUSED),
        (Completion("no", refusal="I cannot.", finish_reason="content_filter"), Kind.REFUSED),
        (Completion("no", finish_reason="refusal"), Kind.REFUSED),
        (Completion("ok", refusal="  "), None),
        (Completion("part", finish_reason="content_filter"), Kind.FILTERED),
        (Completion(None, finish_reason="SAFETY"), Kind.FILTERED),
        (Completion('{"a": 1}', finish_reason="length"), Kind.TRUNCATED),
        (Completion(None, finish_reason="max_tokens"), Kind.TRUNCATED),
        (Completion(None, finish_reason="stop"), Kind.EMPTY),
        (Completion(" \n\t", finish_reason="stop"), Kind.EMPTY),
        (Completion("```json\n```", finish_reason="stop"), Kind.EMPTY),
        (Completion("```", finish_reason="stop"), Kind.EMPTY),
    ],
)
def test_a_completion_is_classified_before_it_is_parsed(completion: Completion, kind: Kind | None) -> None:
    assert kind_of_completion(completion, expects_json=True) is kind


def test_an_empty_code_fence_is_an_answer_where_text_is_wanted() -> None:
    assert kind_of_completion(Completion("```\n```"), expects_json=False) is None
    assert kind_of_completion(Completion(" "), expects_json=False) is Kind.EMPTY


@given(st.text(min_size=1).filter(lambda text: not text.isspace()))
def test_any_text_that_stopped_by_itself_can_be_parsed(text: str) -> None:
    assert kind_of_completion(Completion(text, finish_reason="stop"), expects_json=False) is None


API_CONNECTION = type("APIConnectionError", (Exception,), {})
BAD_REQUEST = type("BadRequestError", (Exception,), {})
HTTP_STATUS = type("HTTPStatusError", (Exception,), {})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (made("RateLimitError", status_code=429), Kind.RATE_LIMIT),
        (made("RateLimitError", status_code=429, body={"code": "insufficient_quota"}), Kind.QUOTA),
        (made("RateLimitError", status_code=429, body={"type": "insufficient_quota", "code": None}), Kind.QUOTA),
        (made("RateLimitError", status_code=429, body={"error": {"code": "insufficient_quota"}}), Kind.QUOTA),
        (made("RateLimitError", "Error code: insufficient_quota", status_code=429), Kind.QUOTA),
        (made("APIError", status_code=402), Kind.QUOTA),
        (made("BadRequestError", "Your credit balance is too low to access", status_code=400), Kind.QUOTA),
        (made("Timeout", bases=(API_CONNECTION,), status_code=408), Kind.TIMEOUT),
        (TimeoutError(), Kind.TIMEOUT),
        (made("APIError", status_code=504), Kind.TIMEOUT),
        (made("ReadTimeout", bases=(type("TimeoutException", (Exception,), {}),)), Kind.TIMEOUT),
        (caused(made("Timeout", bases=(API_CONNECTION,), status_code=408), made("ConnectTimeout", bases=(type("TimeoutException", (Exception,), {}),))), Kind.CONNECTION),
        (caused(made("Timeout", status_code=408), made("ConnectionTimeoutError", bases=(TimeoutError,))), Kind.CONNECTION),
        (caused(made("InternalServerError", status_code=500), made("ConnectError", bases=(type("NetworkError", (Exception,), {}),))), Kind.CONNECTION),
        (caused(made("InternalServerError", "x - Connection error.", status_code=500), ConnectionRefusedError()), Kind.CONNECTION),
        (made("InternalServerError", "OpenAIException - Connection error.", status_code=500), Kind.CONNECTION),
        (caused(made("InternalServerError", "connection error in the pool", status_code=500), made("HTTPStatusError")), Kind.OVERLOADED),
        (API_CONNECTION("x"), Kind.CONNECTION),
        (ConnectionResetError(), Kind.CONNECTION),
        (made("InternalServerError", status_code=500), Kind.OVERLOADED),
        (made("BadGatewayError", status_code=502), Kind.OVERLOADED),
        (made("ServiceUnavailableError", status_code=503), Kind.OVERLOADED),
        (made("APIError", status_code=529), Kind.OVERLOADED),
        (made("APIError", status_code=409), Kind.OVERLOADED),
        (made("ContextWindowExceededError", bases=(BAD_REQUEST,), status_code=400), Kind.CONTEXT),
        (made("BadRequestError", status_code=400, body={"code": "context_length_exceeded"}), Kind.CONTEXT),
        (made("BadRequestError", "the request exceeds the available context size", status_code=400), Kind.CONTEXT),
        (made("APIError", status_code=413), Kind.CONTEXT),
        (made("ContentPolicyViolationError", bases=(BAD_REQUEST,), status_code=400), Kind.FILTERED),
        (made("BadRequestError", status_code=400, body={"code": "content_filter"}), Kind.FILTERED),
        (made("BadRequestError", status_code=400), Kind.BAD_REQUEST),
        (made("UnsupportedParamsError", bases=(BAD_REQUEST,), status_code=400), Kind.BAD_REQUEST),
        (made("BadRequestError", status_code=422), Kind.BAD_REQUEST),
        (made("AuthenticationError", status_code=401), Kind.AUTH),
        (made("APIError", status_code=403), Kind.AUTH),
        (made("InternalServerError", "Missing credentials. Please pass an `api_key`", status_code=500), Kind.AUTH),
        (made("NotFoundError", status_code=404), Kind.NOT_FOUND),
        (caused(API_CONNECTION("No module named 'mcp'"), ModuleNotFoundError("No module named 'mcp'")), Kind.BUG),
        (caused(API_CONNECTION("'X' object has no attribute"), AttributeError()), Kind.BUG),
        (caused(made("InternalServerError", status_code=500), made("OpenAIError"), made("JSONDecodeError")), Kind.OVERLOADED),
        (made("InternalServerError", "Empty or invalid response from LLM endpoint", status_code=500), Kind.OVERLOADED),
        (made("JSONDecodeError"), Kind.OVERLOADED),
        (ValueError("ours"), Kind.BUG),
        (KeyError("ours"), Kind.BUG),
        (made("SomethingNew"), Kind.BUG),
        (ModelCallError("x", kind=Kind.QUOTA), Kind.QUOTA),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else f"{type(value).__name__}:{str(value)[:20]}",
)  # fmt: skip
def test_an_exception_is_known_by_its_shape(error: Exception, kind: Kind) -> None:
    assert kind_of_exception(error) is kind


def test_an_import_that_failed_long_before_does_not_make_a_dropped_connection_a_bug() -> None:
    error = caused(API_CONNECTION("dropped"), ConnectionResetError(), ImportError("an optional extra"))
    assert kind_of_exception(error) is Kind.CONNECTION


def test_an_endless_chain_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert kind_of_exception(first) is Kind.BUG
    assert status_of(first) is None


def test_the_status_may_sit_on_a_cause() -> None:
    assert status_of(caused(ValueError(), made("X", status_code=503))) == 503
    assert status_of(made("X", status_code=True)) is None


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"llm_provider-retry-after": "3"}, 3.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 31 Dec 2025 23:00:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "999999999"}, RETRY_AFTER_CAP),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"x": "1"}, None),
    ],
)
def test_retry_after_is_read_and_kept_sane(headers: dict[str, str], seconds: float | None) -> None:
    error = made("RateLimitError", litellm_response_headers=headers)
    assert retry_after_of(error, now=NOW) == seconds


def test_retry_after_is_found_on_the_response_of_a_cause() -> None:
    response = type("Response", (), {"headers": {"retry-after": "4"}})()
    assert retry_after_of(caused(ValueError(), made("X", response=response))) == 4.0
    assert retry_after_of(ValueError()) is None


def test_secrets_go_by_value_the_longest_first() -> None:
    assert redact("key=abcdef123 and abcdef", ["abcdef", "abcdef123"]) == f"key={REDACTED} and {REDACTED}"


@pytest.mark.parametrize(
    "text",
    ["sk-proj-abcDEF123456", "Incorrect API key: sk-abcd****************wxyz.", "Bearer eyJhbGciOi.J9abc-_"],
)
def test_what_looks_like_a_key_goes_without_being_known(text: str) -> None:
    assert REDACTED in redact(text, [])
    assert "abc" not in redact(text, [])


@pytest.mark.parametrize(
    "text", ["a task-specific_risk-assessment", "the disk-encryption-key", "whisk-brooms-1"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text, ["", "zzz"]) == text


@given(st.text(), st.lists(st.text(min_size=4), max_size=4))
def test_no_secret_survives(text: str, secrets: list[str]) -> None:
    shown = redact(text + "".join(secrets), secrets)
    assert not [s for s in secrets if s in shown.replace(REDACTED, "")] or any(s in REDACTED for s in secrets)
