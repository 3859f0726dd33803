"""Every error guardflow raises on purpose; nothing here imports anything of guardflow.

GuardflowError                     .hint says what to do, .exit_code is what the command line returns
├─ UsageError (2)                  bad input, refused before anything is spent
│  ├─ ConfigError                  settings, roles, keys
│  │  ├─ UnknownModel · MissingKey · UnpricedModel
│  ├─ PromptError                  MissingInput · UnknownInput · TemplateError
│  ├─ CassetteError                NotRecorded
│  ├─ StageError                   a stage, guard or pipeline that is defined or called wrongly
│  └─ LadderError                  a ladder or a vote that cannot work
├─ SinkError (1)                   a finished result that could not be delivered; the run is kept
├─ Retry                           raised by a code stage that wants to be tried again
├─ RunError (1)                    StageEnded · ModelCallError · ReplayMismatch
│  ├─ BudgetExceeded (5) · WaitingForPerson (6)
└─ StateError (1)                  RunNotFound · RunExists · RunIsLive · NotResumable · LeaseLost
   └─ DatabaseError                DatabaseTooNew · DatabaseLocked · DatabaseReadOnly · DiskFull · DatabaseUnreachable

Cancellation is never a GuardflowError. Every class survives pickling, because engines store errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from guardflow.kinds import Kind


class GuardflowError(Exception):
    """Base of all errors that guardflow raises on purpose.

    Args:
        message: what happened and why, with names in ``!r``.
        hint: what to do about it, as a sentence that starts with a verb.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class UsageError(GuardflowError):
    """Something was asked for that cannot work. Nothing was spent."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is missing, unknown or malformed."""


class UnknownModel(ConfigError):
    """A model name that no provider and no role answers to."""


class MissingKey(ConfigError):
    """The provider's key is not set."""


class UnpricedModel(ConfigError):
    """A usd budget was set over a model whose price is unknown."""


class PromptError(UsageError):
    """A prompt file that cannot be used."""


class MissingInput(PromptError):
    """A variable the prompt needs was not given."""


class UnknownInput(PromptError):
    """A variable was given, declared or used that does not exist on the other side."""


class TemplateError(PromptError):
    """A prompt file whose template is malformed, or asks for what the sandbox forbids."""


class CassetteError(UsageError):
    """A recording of model traffic that cannot be made, read or used."""


class NotRecorded(CassetteError):
    """A request was made that is not on the recording which stands in for the models."""

    needed: bool = True
    """False once it turned out that nothing hung on the answer: a vote was decided without that ballot."""


class StageError(UsageError):
    """A stage, guard or pipeline is defined or called in a way that cannot be made durable."""


class LadderError(UsageError):
    """A ladder or a vote that could never do what it says."""


class SinkError(GuardflowError):
    """A result could not be delivered. The run it is from is kept, and can be delivered again."""


class Retry(GuardflowError):
    """Raised inside a code stage to be tried again, as if it were a network error.

    Args:
        after: seconds to wait at least before the next try.
    """

    def __init__(self, message: str = "the stage asked to be tried again", *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class RunError(GuardflowError):
    """A run or a stage did not produce a result."""


class StageEnded(RunError):
    """A stage ended without a value. ``outcome`` tells how: status, kind, findings, attempts."""

    def __init__(self, message: str, *, hint: str = "", outcome: object = None) -> None:
        super().__init__(message, hint=hint)
        self.outcome = outcome


class ModelCallError(RunError):
    """One model request failed before there was a completion.

    Args:
        kind: what failed; None only while the error is being rebuilt.
        status: the HTTP status, if there was one.
        retry_after: seconds the provider asked us to wait, if it did.
        recorded: whether it is played back from a recording, so that nobody need wait before the next try.
        unsent: whether no request was made, because storm control held it back when it was recorded.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        kind: Kind | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        dropped: tuple[str, ...] = (),
        recorded: bool = False,
        unsent: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.dropped = dropped
        self.recorded = recorded
        self.unsent = unsent


class ReplayMismatch(RunError):
    """The code asked for something else than what this run recorded at the same place."""


class GuardCrashed(RunError):
    """A guard's code, or that of its repair, failed: the value counts as not checked, so it does not flow on.

    ``__cause__`` is what was raised, as long as the error has not been pickled.
    """


class BudgetExceeded(RunError):
    """The next request would not fit into the budget. The run's state is kept; a higher budget resumes it."""

    exit_code = 5


class WaitingForPerson(RunError):
    """The run is parked until somebody answers it."""

    exit_code = 6


class StateError(GuardflowError):
    """The stored state does not allow what was asked."""


class RunNotFound(StateError):
    """No run has this id."""


class RunExists(StateError):
    """The run id is taken by a run with another pipeline or another input."""


class RunIsLive(StateError):
    """Another process is executing this run right now."""


class NotResumable(StateError):
    """The run is in a state that this command cannot continue from."""


class LeaseLost(StateError):
    """Another process has taken this run over; this one must send nothing more."""


class DatabaseError(StateError):
    """The database refused; what was committed before is intact."""


class DatabaseTooNew(DatabaseError):
    """The database was written by a newer guardflow."""


class DatabaseLocked(DatabaseError):
    """Another process held the database's write lock for too long."""


class DatabaseReadOnly(DatabaseError):
    """The database, or its folder, cannot be written."""


class DatabaseUnreachable(DatabaseError):
    """The database server does not answer, or the file cannot be opened."""


class DiskFull(DatabaseError):
    """There is no room for the next write."""
