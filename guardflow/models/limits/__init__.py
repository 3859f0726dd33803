"""Storm control, per provider and model: who may send when. One idea a file, pure but for the waiting in `Gate`."""

from __future__ import annotations

from .gate import Gate, Permit, Refusal
from .policy import DEFAULT_POLICY, IMPATIENT, AskPatience, Limits, Patience, Policy
from .storm import Board, Storm

__all__ = [
    "DEFAULT_POLICY",
    "IMPATIENT",
    "AskPatience",
    "Board",
    "Gate",
    "Limits",
    "Patience",
    "Permit",
    "Policy",
    "Refusal",
    "Storm",
]
