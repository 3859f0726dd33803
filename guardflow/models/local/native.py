"""llama.cpp in this process: load a file, exchange one request for an answer. The only importer of xllamacpp.

`guardflow.models.local.engine` calls it. Nothing else can reach the loaded model, and llama.cpp prints nothing.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

from guardflow.errors import ConfigError, ModelCallError
from guardflow.kinds import Kind

BATCH = 64
"""Tokens read between two looks at whether anybody still waits for the answer."""
_SOCKET_PATH_LIMIT = 100
_SILENT = -1

Stopped = Literal["cancelled", "timeout", "unconstrained"]
Watch = Callable[[str], Stopped | None]
"""Given the text so far, between tokens and between portions of the prompt: why to stop, or None."""


class Server(Protocol):
    """xllamacpp's Server; memory is given back when the last reference goes."""

    def handle_chat_completions(
        self, prompt: Mapping[str, object], callback: Callable[[object], bool]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answer, or as much of it as there was when it was stopped. Times in seconds, as llama.cpp took them."""

    text: str
    finish_reason: str | None
    read: int
    reused: int
    written: int
    reading: float
    writing: float
    stopped: Stopped | None


def load(weights: Path, context: int) -> Server:
    """Load a GGUF file with room for ``context`` tokens.

    Raises:
        ConfigError: llama.cpp cannot load it; it does not say why.
    """
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = context
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = BATCH
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads()
    # What one slot holds is the cache; a second one in memory would bring back what was read in other portions.
    params.cache_ram_mib = 0
    params.warmup = False
    params.prefill_assistant = False
    params.verbosity = _SILENT
    params.n_threads_http = 1
    params.ui = params.endpoint_slots = False
    params.api_keys = [secrets.token_hex(32)]
    folder = tempfile.mkdtemp(prefix="gf-")
    try:
        # The library always opens a server of its own. Nobody needs it: a socket in a folder that only we may
        # enter and that is gone in a moment, or else a port with a key that nobody knows.
        socket = os.path.join(folder, "s.sock")
        if os.name == "posix" and len(os.fsencode(socket)) < _SOCKET_PATH_LIMIT:
            params.hostnames = [socket]
        return cast("Server", xllamacpp.Server(params))
    except RuntimeError:
        raise ConfigError(
            f"llama.cpp cannot load {str(weights)!r}",
            hint="the file may be damaged, of an architecture that this version does not know, or too big for the memory",
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def threads() -> int:
    """How many threads compute: all cores but one, which the pipeline has.

    llama.cpp's threads wait for each other after every operation, by spinning. Where one core is busy with
    something else, two threads on two cores were measured to write 2 tokens a second, and one thread 18 to 45.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores - 1, 8))


def exchange(server: Server, body: Mapping[str, object], watch: Watch) -> Exchange:
    """Send one chat request and read the answer as it is written.

    Raises:
        ModelCallError: the conversation is longer than the context (CONTEXT), or the model's chat template or
            llama.cpp refuses it (BAD_REQUEST).
    """
    reader = _Reader(watch)
    streamed = {
        **body,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # an event for each portion of the prompt: a chance to stop
    }
    try:
        server.handle_chat_completions(streamed, reader.take)
    except (ValueError, RuntimeError) as error:
        raise ModelCallError(
            f"llama.cpp refused the request: {_short(str(error))}",
            hint="check that the model's chat template knows these roles in this order",
            kind=Kind.BAD_REQUEST,
        ) from None
    return reader.result()


class _Reader:
    """Puts the events of one answer together."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._parts: list[str] = []
        self._finish: str | None = None
        self._last: Mapping[str, object] = {}
        self._error: Mapping[str, object] | None = None
        self._failure: Exception | None = None
        self._stopped: Stopped | None = None

    def take(self, event: object) -> bool:
        """One event; True ends it. The library would swallow an exception and go on writing."""
        try:
            self._take(cast("Mapping[str, object]", event))
            if self._stopped is None:
                self._stopped = self._watch("".join(self._parts))
        except Exception as failure:  # noqa: BLE001  # raised by result()
            self._failure = failure
        return self._stopped is not None or self._failure is not None

    def _take(self, event: Mapping[str, object]) -> None:
        if "error" in event or "choices" not in event:
            self._error = cast("Mapping[str, object]", event.get("error", event))
        elif event.get("usage") is not None:
            self._last = event
        for choice in cast("Sequence[Mapping[str, object]]", event.get("choices") or ()):
            self._finish = cast("str | None", choice.get("finish_reason")) or self._finish
            delta = cast("Mapping[str, object]", choice.get("delta") or {})
            if isinstance(text := delta.get("content"), str):
                self._parts.append(text)

    def result(self) -> Exchange:
        if self._failure is not None:
            raise self._failure
        if self._error is not None:
            raise _refusal(self._error)
        timings = cast("Mapping[str, float]", self._last.get("timings") or {})
        usage = cast("Mapping[str, int]", self._last.get("usage") or {})
        return Exchange(
            text="".join(self._parts),
            finish_reason=self._finish,
            read=usage.get("prompt_tokens", 0),
            reused=int(timings.get("cache_n", 0)),
            written=usage.get("completion_tokens", 0),
            reading=timings.get("prompt_ms", 0.0) / 1000,
            writing=timings.get("predicted_ms", 0.0) / 1000,
            stopped=self._stopped,
        )


def _refusal(error: Mapping[str, object]) -> ModelCallError:
    text = _short(str(error.get("message", error)))
    if error.get("type") == "exceed_context_size_error":
        return ModelCallError(
            f"the prompt is longer than the model's context: {text}",
            hint="let the ladder shrink the prompt, or use a model with a longer context",
            kind=Kind.CONTEXT,
        )
    code = error.get("code")
    kind = Kind.BAD_REQUEST if isinstance(code, int) and code < 500 else Kind.BUG
    return ModelCallError(f"llama.cpp refused the request: {text}", kind=kind)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 600 else text[:600] + "..."
