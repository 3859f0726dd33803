"""Which ballots of a panel go on by themselves, and which wait: at the turnstile, or for room in the budget.

The panel asks it what can still happen. It counts nothing and sends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class Turns:
    """The ballots of one panel by what they are doing.

    Args:
        is_open: whether ballots may send. Before, they are only read back from the ledger.
    """

    is_open: bool
    started: int = 0
    ended: int = 0
    news: anyio.Event = field(default_factory=anyio.Event)
    """Set at the next change; then there is another one."""
    _at_turnstile: set[int] = field(default_factory=set[int])
    _opened: anyio.Event = field(default_factory=anyio.Event)
    _held: list[_Held] = field(default_factory=list["_Held"])

    @property
    def active(self) -> int:
        """How many ballots go on by themselves."""
        return self.started - self.ended - len(self._at_turnstile) - len(self._held)

    def end(self) -> None:
        """A ballot ended; what it had reserved may be room for those that are held."""
        self.ended += 1
        self._release(room=True)
        self._tell()

    def open(self) -> None:
        """Let through whoever waits at the turnstile, now and from now on."""
        self.is_open = True
        self._at_turnstile.clear()
        self._opened.set()
        self._tell()

    def place(self, ballot: int) -> Place:
        """Where this ballot waits."""
        return Place(self, ballot)

    async def wait_at_turnstile(self, ballot: int) -> None:
        if self.is_open:
            return
        self._at_turnstile.add(ballot)
        self._tell()
        await self._opened.wait()

    async def wait_for_room(self) -> bool:
        mine = _Held()
        self._held.append(mine)
        if self.active:
            self._tell()
        else:
            self._release(room=False)
        await mine.released.wait()
        return mine.room

    def _release(self, *, room: bool) -> None:
        # At once, and not when they come to run: until then they would look as if they still waited.
        for held in self._held:
            held.room = room
            held.released.set()
        self._held.clear()

    def _tell(self) -> None:
        self.news.set()
        self.news = anyio.Event()


@dataclass(slots=True)
class _Held:
    room: bool = False
    released: anyio.Event = field(default_factory=anyio.Event)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one ballot waits (`guardflow.flow.judging.Turnstile`)."""

    turns: Turns
    ballot: int

    async def enter(self) -> None:
        await self.turns.wait_at_turnstile(self.ballot)

    async def room(self) -> bool:
        return await self.turns.wait_for_room()
