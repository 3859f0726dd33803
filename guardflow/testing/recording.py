"""From a stored run to a `Tape`: the run's own traffic and that of its child runs, without secrets.

``guardflow runs export RUN --cassette FILE`` calls it. It reads the database only, and runs no project code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guardflow.classify import redact
from guardflow.errors import CassetteError, RunNotFound
from guardflow.records import RunRow
from guardflow.testing.tape import Tape, tape_of

if TYPE_CHECKING:
    from guardflow.settings import Settings


async def tape_of_run(settings: Settings, run_id: str) -> Tape:
    """What a run asked of models, and what they said.

    Raises:
        RunNotFound: there is no such run.
        CassetteError: it asked nothing, or cannot be played again.
        DatabaseError: the database cannot be read.
    """
    from guardflow.runtime.inspection import looking
    from guardflow.settings import provider_environment, secret_values

    async with looking(settings) as store:
        family = _in_order(await store.runs.tree(run_id))
        if not family:
            raise RunNotFound(f"there is no run {run_id!r}", hint="see `guardflow runs list`")
        rows = [await store.ledger.attempts(run.run_id) for run in family]
    tape = tape_of(rows, pipeline=family[0].pipeline)
    if not tape.recordings:
        raise CassetteError(
            f"run {run_id!r} got no answer from any model, so there is nothing to play again",
            hint="run it to its end first",
        )
    secrets = secret_values(provider_environment(settings))
    return tape.redacted(lambda text: redact(text, secrets))


def _in_order(family: Sequence[RunRow]) -> Sequence[RunRow]:
    """The run, then its child runs by the place their ids name, which does not depend on which began first."""
    return sorted(family, key=lambda run: (run.parent is not None, _numbers_apart(run.run_id)))


def _numbers_apart(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,18})", name)]
