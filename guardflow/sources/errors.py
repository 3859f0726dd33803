"""Why something from outside could not be read. Readers raise it; corpus and web turn it into a note."""

from __future__ import annotations

from guardflow.errors import GuardflowError


class Unreadable(GuardflowError):
    """These bytes hold no text that can be used; the message says why, as a clause that starts with "it"."""
