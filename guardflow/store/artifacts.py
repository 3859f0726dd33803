"""Artifacts on SQL: bytes stored once under the hash of their content.

Fits `guardflow.flow.protocols.Artifacts`. What anything stored still names is never pruned.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from guardflow.errors import DatabaseError, StateError
from guardflow.hashing import content_hash

from . import schema
from .cells import to_cell
from .committer import Committer, Entry
from .engine import Database
from .faults import translated
from .statements import PUT_ARTIFACT

_artifacts = schema.artifacts
_ADDRESS = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
References = Iterable[str] | Callable[[], Iterable[str]]


class SqlArtifacts:
    """Content-addressed bytes."""

    def __init__(self, database: Database, committer: Committer) -> None:
        self._database = database
        self._committer = committer

    async def put(self, data: bytes) -> str:
        """Store the bytes, and return their address. The same bytes again only renew their age."""
        address = content_hash(data)
        row = (address, bytes(data), time.time())
        await self._committer.write(Entry(None, statement=PUT_ARTIFACT, rows=(row,), point="artifact"))
        return address

    async def get(self, address: str) -> bytes:
        """The bytes, checked against their address.

        Raises:
            StateError: nothing is stored there.
            DatabaseError: what is stored there is not what was put.
        """
        query = sa.select(_artifacts.c.data).where(_artifacts.c.address == to_cell(address))
        data = await self._database.query(lambda connection: connection.execute(query).scalar())
        if data is None:
            raise StateError(
                f"no artifact is stored at {address!r}",
                hint="it was pruned; fork the run from an earlier stage",
            )
        if content_hash(data) != address:
            raise DatabaseError(
                f"the artifact at {address!r} was altered in the database",
                hint="restore the database from a backup, or fork the run from an earlier stage",
            )
        return bytes(data)

    async def prune(self, *, references: References = (), older_than: float = 86_400.0) -> int:
        """Delete artifacts that nothing names any more, and return how many.

        Every item, round and run of this database is searched for addresses, in whatever form it names them.

        Args:
            references: addresses, or texts that may hold addresses, of everything that is not in our tables:
                the engine's checkpoints. A function is called after our own tables were read.
            older_than: seconds; younger ones are kept, because what will name them may not be written yet.
        """
        before = time.time() - older_than
        unnamed = await anyio.to_thread.run_sync(self._unnamed, references, before)
        if not unnamed:
            return 0
        return await self._committer.write(
            Entry(0, work=lambda connection: _delete(connection, unnamed, before))
        )

    def _unnamed(self, references: References, before: float) -> Sequence[str]:
        """Old artifacts that nothing names. It needs no lock: whatever names one from now on puts it first,
        and so makes it young again."""
        query = sa.select(_artifacts.c.address).where(_artifacts.c.put_at < before)
        with translated(self._database.url), self._database.engine.connect() as connection:
            left = set(connection.execute(query).scalars())
            if left:
                for text in _stored_texts(connection):
                    left.difference_update(_ADDRESS.findall(text))
        for text in references() if callable(references) else references:
            left.difference_update(_ADDRESS.findall(text))
        return sorted(left)


def _delete(connection: Connection, addresses: Sequence[str], before: float) -> int:
    gone = 0
    for address in addresses:
        delete = _artifacts.delete().where(_artifacts.c.address == address, _artifacts.c.put_at < before)
        gone += connection.execute(delete).rowcount
    return gone


def _stored_texts(connection: Connection) -> Iterator[str]:
    columns = (
        schema.items.c.outcome,
        schema.rounds.c.answer,
        schema.runs.c.input,
        schema.runs.c.output,
        schema.runs.c.options,
        schema.signals.c.value,
    )
    for column in columns:
        stream = connection.execution_options(yield_per=500).execute(
            sa.select(column).where(column.is_not(None))
        )
        yield from stream.scalars()
