"""What fetching a page comes to: a document, or the reason why there is none. Plain data, safe to store."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from .documents import Document

FailureReason = Literal[
    "bad_url",  # not a plain http or https URL on a web port
    "private_address",  # the host is not on the open internet
    "unknown_host",
    "robots",  # robots.txt forbids it, or could not be had
    "redirects",  # too many, or to nowhere
    "status",
    "content_type",
    "too_large",
    "unreadable",  # broken, encrypted, or without text
    "timeout",
    "connection",
]


class Failure(BaseModel):
    """Why a page could not be had; ``detail`` is a clause that starts with "it"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: FailureReason
    detail: str
    transient: bool = False


class Fetched(BaseModel):
    """The outcome for one URL: exactly one of ``document`` and ``failure`` is there.

    Args:
        url: what was asked for.
        final_url: where the last request went, after redirects.
        status: the last HTTP status, if there was one.
        requests: how many requests for the page were sent, redirects and repeats included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    final_url: str
    status: int | None = None
    document: Document | None = None
    failure: Failure | None = None
    requests: int = 0
