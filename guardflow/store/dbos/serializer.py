"""Strict JSON as the only stored format, and the refusal of pickle.

DBOS obeys the ``serialization`` column of each row, so a row marked ``py_pickle`` would run code even under
another serializer: `refuse_pickle` closes that door for the whole process. Used by `engine` only.
"""

from __future__ import annotations

from typing import NoReturn

from dbos import Serializer
from dbos._serialization import DefaultSerializer

from guardflow.errors import StateError

from .rows import FORMAT, decode, encode


class StrictJSON(Serializer):
    """What DBOS stores values with: JSON text, and nothing that is not JSON."""

    def name(self) -> str:
        """The mark of every row that guardflow wrote."""
        return FORMAT

    def serialize(self, data: object) -> str:
        """Errors become their type and message; DBOS stores those only where a bug ends a run."""
        if isinstance(data, BaseException):
            return encode({"error": type(data).__name__, "message": str(data)})
        return encode(data)

    def deserialize(self, serialized_data: str) -> object:
        """The stored value, never an object with behaviour."""
        return decode(serialized_data)


def _refused(*_: object) -> NoReturn:
    raise StateError(
        "a stored value is marked as a Python pickle, which guardflow neither writes nor loads",
        hint="find out who wrote it into the database; loading it could run code",
    )


def refuse_pickle() -> None:
    """Replace DBOS's pickle serializer, once and for the whole process, by a refusal."""
    for method in ("serialize", "deserialize"):
        setattr(DefaultSerializer, method, _refused)
