"""Canonical JSON and content hashes: the identities of inputs, requests, prompts and artifacts.

Equal values give equal bytes on every machine and every Python version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence  # named in the alias below
from typing import TypeAlias

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"
"""A JSON value, for reading. It is the only shape that is stored."""


def canonical_json(value: object) -> bytes:
    """Encode a JSON value with sorted keys, no spaces, UTF-8, and no NaN.

    Raises:
        ValueError: the value holds NaN or an infinity.
        TypeError: the value is not made of JSON types.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def content_hash(data: bytes) -> str:
    """BLAKE2b-160 of the bytes, as 40 hex digits."""
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def value_hash(value: object) -> str:
    """The content hash of a JSON value's canonical form."""
    return content_hash(canonical_json(value))
