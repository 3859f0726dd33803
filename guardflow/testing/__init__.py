"""Tools for testing your own pipelines: scripted models, a server with every fault, real kill -9.

    from guardflow.testing import FaultServer, Reply, Scripted, using

Names load on first use: importing this package loads none of its modules, and never pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardflow.testing.cassette import Cassette
    from guardflow.testing.conformance import GuardCheck, check_guard, guard_checks
    from guardflow.testing.crash import (
        ChildExit,
        CrashPoint,
        ForkServer,
        Job,
        crash_point,
        enumerate_points,
        run_and_kill,
    )
    from guardflow.testing.network import NetworkRefused, network_refused
    from guardflow.testing.playing import replaying
    from guardflow.testing.process import FaultProcess
    from guardflow.testing.reply import Reply
    from guardflow.testing.script import Rule, Script
    from guardflow.testing.scripted import Scripted, using
    from guardflow.testing.server import FaultServer, Received
    from guardflow.testing.tape import Recording, Take, Tape

__all__ = [
    "Cassette",
    "ChildExit",
    "CrashPoint",
    "FaultProcess",
    "FaultServer",
    "ForkServer",
    "GuardCheck",
    "Job",
    "NetworkRefused",
    "Received",
    "Recording",
    "Reply",
    "Rule",
    "Script",
    "Scripted",
    "Take",
    "Tape",
    "check_guard",
    "crash_point",
    "enumerate_points",
    "guard_checks",
    "network_refused",
    "replaying",
    "run_and_kill",
    "using",
]

_HOME = {
    "conformance": ("GuardCheck", "check_guard", "guard_checks"),
    "cassette": ("Cassette",),
    "playing": ("replaying",),
    "crash": (
        "ChildExit",
        "CrashPoint",
        "ForkServer",
        "Job",
        "crash_point",
        "enumerate_points",
        "run_and_kill",
    ),
    "network": ("NetworkRefused", "network_refused"),
    "process": ("FaultProcess",),
    "reply": ("Reply",),
    "script": ("Rule", "Script"),
    "scripted": ("Scripted", "using"),
    "server": ("FaultServer", "Received"),
    "tape": ("Recording", "Take", "Tape"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
