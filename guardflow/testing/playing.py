"""`replaying`: a cassette in the place of every model for a block, without a network.

Tests and the pytest plugin call it. What is played is `guardflow.testing.cassette`'s.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from guardflow.errors import CassetteError
from guardflow.testing.cassette import Cassette
from guardflow.testing.network import network_refused
from guardflow.testing.refreshing import GrowingCassette
from guardflow.testing.scripted import using


@contextmanager
def replaying(
    cassette: str | Path | Cassette,
    *,
    unused: Literal["ignored", "fail"] = "ignored",
    network: Literal["refused", "loopback", "allowed"] = "refused",
    missing: Literal["fail", "record"] = "fail",
) -> Generator[Cassette]:
    """Within the block, every model answers from the cassette, and nothing is sent anywhere.

    Clients of an inner `using` win over it. It holds for the tasks started inside.

    Args:
        cassette: a file, or a cassette.
        unused: whether recordings that nobody asked for fail at the end of the block.
        network: what sockets may still do: nothing, reach this machine, or everything.
        missing: "record" sends what is not on the file to the real models, whatever ``network`` says, and adds it
            to the file when the block ends, however it ends. That costs money.

    Raises:
        CassetteError: the file cannot be played; at the end, some of it was left; "record" without a file, or
            where the environment variable ``CI`` is set.
        NotRecorded: at the end: a request was not on it. It takes the place of whatever error followed from that.
        NetworkRefused: something connected, or looked up a name.

    Example:
        >>> from guardflow import Model
        >>> from guardflow.testing import Cassette, Tape, replaying
        >>> with replaying(Cassette(Tape())) as cassette:
        ...     len(cassette.unused)
        0
    """
    if missing == "record":
        player = _growing(cassette)
    else:
        player = cassette if isinstance(cassette, Cassette) else Cassette.load(cassette)
    with ExitStack() as stack:
        if missing != "record" and network != "allowed":
            stack.enter_context(network_refused(loopback="allowed" if network == "loopback" else "refused"))
        stack.enter_context(using(player.clients()))
        stack.callback(player.keep)
        try:
            yield player
        except Exception as followed:
            if player.misses and followed is not player.misses[0]:
                raise player.misses[0] from followed
            raise
    check_played(player, unused=unused)


def _growing(cassette: str | Path | Cassette) -> Cassette:
    if isinstance(cassette, Cassette):
        raise CassetteError(
            "missing='record' got a cassette, and only a file can be added to",
            hint="give replaying the file's path",
        )
    return GrowingCassette(Path(cassette))


def check_played(cassette: Cassette, *, unused: Literal["ignored", "fail"]) -> None:
    """Raise what a test should fail with at its end.

    Raises:
        NotRecorded: a request was not on the cassette.
        CassetteError: ``unused`` is "fail", and some of it was left.
    """
    if cassette.misses:
        raise cassette.misses[0]
    left = cassette.unused
    if unused == "fail" and left:
        stages = ", ".join(repr(name) for name in dict.fromkeys(recording.stage for recording in left))
        raise CassetteError(
            f"{len(left)} of {len(cassette.tape.recordings)} recordings on {cassette.name!r} were not asked for "
            f"(stages: {stages})",
            hint="record it again, or let it be with unused='ignored'",
        )
