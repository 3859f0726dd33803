"""A cassette on disk: one JSON document that people read in a diff, written whole or not at all.

`Cassette`, the pytest plugin and ``runs export`` call it. What is read is somebody else's text: every field is
checked, nothing in it is executed, and no error shows more of it than a field's name.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, cast, get_args

from guardflow.errors import CassetteError
from guardflow.hashing import JSON
from guardflow.kinds import Kind
from guardflow.testing.tape import Recording, Take, Tape
from guardflow.values import Asked, Completion, Model, OutputMode, Price, Role, Usage

SCHEMA_VERSION = 1
KIND = "guardflow cassette"
MOST_BYTES = 64 << 20
"""A larger file is no recording of one run: it is refused before it is read."""

_HASH = re.compile(r"[0-9a-f]{40}")
# What acts on a terminal, hides or turns text around in a review, or is no text at all.
_UNSEEN = re.compile(
    "[\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_MODEL = ("api_base", "output", "max_tokens", "context", "temperature", "timeout", "role")
T = TypeVar("T")


def read_tape(path: Path) -> Tape:
    """The tape in a file.

    Raises:
        CassetteError: there is none, or it is too large, cut off, of another version, or not a cassette.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CassetteError(
                f"{str(path)!r} is larger than {MOST_BYTES >> 20} MiB, which no recording of one run is",
                hint="name a file that `guardflow runs export RUN --cassette FILE` wrote",
            )
        data = path.read_bytes()
    except OSError as error:
        raise CassetteError(
            f"cassette {str(path)!r} cannot be read ({error.strerror})",
            hint="record it with `guardflow runs export RUN --cassette FILE`",
        ) from None
    return tape_from(data, what=str(path))


def tape_from(data: bytes, *, what: str) -> Tape:
    """The tape in these bytes; ``what`` names them in errors. Raises as `read_tape`."""
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CassetteError(
            f"cassette {what!r} is cut off, or is not JSON ({error})",
            hint="restore the file, or record it again",
        ) from None
    return _tape(_Fields(document, what=f"cassette {what!r}"))


def write_tape(path: Path, tape: Tape) -> None:
    """Write a tape, in place of an older one, readable by its owner only: answers may be private.

    Raises:
        CassetteError: it cannot be written, or something is there that is not a cassette.
    """
    if path.exists():
        _refuse_other(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text_of(tape))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CassetteError(
            f"cassette {str(path)!r} cannot be written ({error.strerror})", hint="choose another file"
        ) from None


def _refuse_other(path: Path) -> None:
    try:
        read_tape(path)
    except CassetteError as error:
        raise CassetteError(
            f"{str(path)!r} is there already and is no cassette that could be replaced: {error.message}",
            hint="choose another file, or delete this one",
        ) from None


def text_of(tape: Tape) -> str:
    """The document. What cannot be seen in a review, or acts on a terminal, is escaped."""
    models: dict[str, tuple[Model, JSON]] = {}
    calls = [_call_json(recording, _label(recording.asked.model, models)) for recording in tape.recordings]
    document: dict[str, JSON] = {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "pipeline": tape.pipeline,
        "models": {label: stored for label, (_, stored) in models.items()},
        "calls": calls,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    return _UNSEEN.sub(_escaped, text) + "\n"


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _label(model: Model, models: dict[str, tuple[Model, JSON]]) -> str:
    """The key of a model in the file: what the stage named, with a number from the second such model on."""
    stored = _model_json(model.asked or model) | {"is": _model_json(model)}
    name, n = (model.asked or model).name, 1
    label = name
    while label in models and models[label][1] != stored:
        n += 1
        label = f"{name} #{n}"
    models[label] = (model, stored)
    return label


def _model_json(model: Model) -> dict[str, JSON]:
    stored: dict[str, JSON] = {"name": model.name}
    for name in _MODEL:
        value = getattr(model, name)
        if value is not None:
            stored[name] = value
    price = model.price
    if isinstance(price, Price):
        stored["price"] = {"input": price.input, "output": price.output, "cached_input": price.cached_input}
    elif price is not None:
        stored["price"] = price
    return stored


def _call_json(recording: Recording, model: str) -> JSON:
    asked = recording.asked
    stored: dict[str, JSON] = {"stage": recording.stage, "role": recording.role, "rung": recording.rung}
    stored |= {"model": model, "max_tokens": asked.max_tokens, "temperature": asked.temperature}
    stored |= {"sample": asked.sample, "schema": asked.schema, "prompt": recording.prompt}
    if recording.ballot:
        stored["ballot"] = recording.ballot
    stored |= {"request": recording.request, "takes": [_take_json(take) for take in recording.takes]}
    return stored


def _take_json(take: Take) -> JSON:
    completion = take.completion
    stored: dict[str, JSON] = {}
    if completion is not None:
        stored["text"] = completion.text
        for name in ("refusal", "finish_reason", "model"):
            if getattr(completion, name) is not None:
                stored[name] = getattr(completion, name)
        if completion.usage is not None:
            usage = completion.usage
            stored["usage"] = {
                "input": usage.input,
                "output": usage.output,
                "cached_input": usage.cached_input,
            }
        if completion.dropped:
            stored["dropped"] = list(completion.dropped)
        return stored
    if take.kind is None:
        return {"cancelled": True}
    stored |= {"failure": take.kind.name, "error": take.error}
    if take.retry_after is not None:
        stored["retry_after"] = take.retry_after
    if take.dropped:
        stored["dropped"] = list(take.dropped)
    if take.unsent:
        stored["unsent"] = True
    return stored


class _Fields:
    """A JSON object that is read field by field; a field that nobody reads is refused at `done`."""

    def __init__(self, value: object, *, what: str) -> None:
        self.what = what
        if not isinstance(value, dict):
            self.refuse("the whole", "an object")
        self._left = dict(cast("dict[str, object]", value))

    def _take(self, key: str, kinds: tuple[type[Any], ...], expected: str, default: object) -> Any:
        value = self._left.pop(key, default)
        if value is not None and (
            not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        ):
            self.refuse(key, expected)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, (str,), "a text", default)
        return value if value is not None else self.refuse(key, "a text")

    def text_or_none(self, key: str) -> str | None:
        return self._take(key, (str,), "a text or null", None)

    def whole_or_none(self, key: str) -> int | None:
        value = self._take(key, (int,), "a whole number", None)
        return value if value is None or value >= 0 else self.refuse(key, "a whole number from 0")

    def number_or_none(self, key: str) -> float | None:
        value = self._take(key, (int, float), "a number", None)
        return value if value is None or 0 <= value < float("inf") else self.refuse(key, "a number from 0")

    def flag(self, key: str) -> bool:
        return bool(self._take(key, (bool,), "true or false", None))

    def list(self, key: str) -> Sequence[object]:
        return self._take(key, (list,), "a list", None) or []

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.list(key)
        if not all(isinstance(text, str) for text in found):
            self.refuse(key, "a list of texts")
        return cast("tuple[str, ...]", tuple(found))

    def one_of(self, key: str, known: Sequence[T]) -> T:
        value = self._left.pop(key, None)
        return (
            cast("T", value) if value in known else self.refuse(key, f"one of {', '.join(map(str, known))}")
        )

    def hash(self, key: str) -> str:
        value = self.text(key)
        return value if _HASH.fullmatch(value) else self.refuse(key, "a hash of 40 hex digits")

    def object_or_none(self, key: str) -> _Fields | None:
        value = self._left.pop(key, None)
        return None if value is None else _Fields(value, what=f"{key!r} of {self.what}")

    def objects(self, key: str) -> Mapping[str, _Fields]:
        inside = cast("dict[str, object]", self._take(key, (dict,), "an object", None) or {})
        return {name: _Fields(value, what=f"{name!r} of {self.what}") for name, value in inside.items()}

    def has(self, key: str) -> bool:
        return key in self._left

    def is_text(self, key: str) -> bool:
        return isinstance(self._left.get(key), str)

    def done(self) -> None:
        if self._left:
            self.refuse(next(iter(self._left)), "nothing")

    def refuse(self, key: str, expected: str) -> NoReturn:
        raise CassetteError(
            f"{self.what} is damaged: {key!r} is not {expected}"
            if expected != "nothing"
            else f"{self.what} is damaged: it has a field {key!r}, which no cassette of this version has",
            hint="restore the file, or record it again",
        )


def _tape(fields: _Fields) -> Tape:
    if fields.text("kind", "") != KIND:
        fields.refuse("kind", repr(KIND))
    version = fields.whole_or_none("schema_version")
    if version != SCHEMA_VERSION:
        raise CassetteError(
            f"{fields.what} is of version {version}, and this guardflow plays version {SCHEMA_VERSION}",
            hint="record it again with this guardflow, or play it with the one that recorded it",
        )
    pipeline = fields.text("pipeline", "")
    models = {label: _asked_model(stored) for label, stored in fields.objects("models").items()}
    recordings: dict[str, Recording] = {}
    for number, stored in enumerate(fields.list("calls")):
        recording = _recording(_Fields(stored, what=f"call {number} of {fields.what}"), models)
        if recording.request in recordings:
            raise CassetteError(
                f"{fields.what} is damaged: it has request {recording.request!r} twice",
                hint="put all takes of a request into one call",
            )
        recordings[recording.request] = recording
    fields.done()
    return Tape(tuple(recordings.values()), pipeline)


def _asked_model(stored: _Fields) -> Model:
    resolved = stored.object_or_none("is")
    if resolved is None:
        stored.refuse("is", "the model that was really asked")
    return _model(resolved, asked=_model(stored))


def _model(stored: _Fields, *, asked: Model | None = None) -> Model:
    model = Model(
        name=stored.text("name"),
        api_base=stored.text_or_none("api_base"),
        price=_price(stored),
        output=stored.one_of("output", get_args(OutputMode)) if stored.has("output") else None,
        max_tokens=stored.whole_or_none("max_tokens"),
        context=stored.whole_or_none("context"),
        temperature=stored.number_or_none("temperature"),
        timeout=stored.number_or_none("timeout"),
        role=stored.text_or_none("role"),
        asked=asked,
    )
    stored.done()
    return model


def _price(stored: _Fields) -> Price | Literal["free"] | None:
    if stored.is_text("price"):
        return stored.one_of("price", ("free",))
    price = stored.object_or_none("price")
    if price is None:
        return None
    asks, gives = price.number_or_none("input"), price.number_or_none("output")
    if asks is None or gives is None:
        price.refuse("input and output", "two numbers")
    found = Price(asks, gives, price.number_or_none("cached_input"))
    price.done()
    return found


def _recording(stored: _Fields, models: Mapping[str, Model]) -> Recording:
    label = stored.text("model")
    if label not in models:
        stored.refuse("model", "one of the file's models")
    asked = Asked(
        models[label],
        stored.whole_or_none("max_tokens") or 0,
        stored.number_or_none("temperature"),
        stored.whole_or_none("sample") or 0,
        stored.text_or_none("schema"),
    )
    takes = tuple(_take(_Fields(t, what=f"a take of {stored.what}")) for t in stored.list("takes"))
    if not takes:
        stored.refuse("takes", "a list with at least one take")
    recording = Recording(
        request=stored.hash("request"),
        stage=stored.text("stage"),
        asked=asked,
        takes=takes,
        role=stored.one_of("role", get_args(Role)),
        rung=stored.text("rung", ""),
        prompt=stored.text("prompt", ""),
        ballot=stored.whole_or_none("ballot") or 0,
    )
    stored.done()
    return recording


def _take(stored: _Fields) -> Take:
    if stored.flag("cancelled"):
        take = Take()
    elif stored.has("failure"):
        kind = Kind[stored.one_of("failure", tuple(kind.name or "" for kind in Kind))]
        take = Take(
            None,
            kind,
            stored.text("error", ""),
            stored.number_or_none("retry_after"),
            stored.texts("dropped"),
            stored.flag("unsent"),
        )
    else:
        take = Take(_completion(stored))
    stored.done()
    return take


def _completion(stored: _Fields) -> Completion:
    if not stored.has("text"):
        stored.refuse("text", "there (null says that the model said nothing)")
    usage = stored.object_or_none("usage")
    return Completion(
        text=stored.text_or_none("text"),
        refusal=stored.text_or_none("refusal"),
        finish_reason=stored.text_or_none("finish_reason"),
        usage=None if usage is None else _usage(usage),
        model=stored.text_or_none("model"),
        dropped=stored.texts("dropped"),
    )


def _usage(stored: _Fields) -> Usage:
    names = ("input", "output", "cached_input")
    usage = Usage(*(stored.whole_or_none(name) or 0 for name in names))
    stored.done()
    return usage


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
