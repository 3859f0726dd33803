"""guardflow: typed stages on durable pipelines; no answer of a model is trusted before it passed its guards.

Every public name is here, and loads its module when it is first used: ``import guardflow`` loads nothing else.

Who may import whom, high to low; a module imports only from lines below its own, `|` do not see each other:

    cli                        one file a command group; the only one that knows the terminal
    evals | testing            suites and gates; scripted models and crash points for users' tests
    runtime | telemetry        binds flow to store and models; events to OpenTelemetry
    sources | sinks            one API each
    flow                       stages, pipelines, fan_out: runs without a database, never imports store
    vote                       rules, matchers, merges: pure
    guards | ladder | budget   what is wrong, what to do about it, what it may cost
    models | prompts | store   litellm, Jinja and SQL live behind these doors
    events | settings
    classify                   a raw answer or an exception -> Kind
    records                    what is stored of runs
    values                     the frozen nouns
    agreement                  how sure a vote was
    kinds | hashing | stats
    errors | crashpoints

`tests/test_architecture.py` holds the tree to this table.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_NAMES = {
    "guardflow.errors": (
        "BudgetExceeded",
        "CassetteError",
        "ConfigError",
        "DatabaseError",
        "DatabaseLocked",
        "DatabaseReadOnly",
        "DatabaseTooNew",
        "DatabaseUnreachable",
        "DiskFull",
        "GuardCrashed",
        "GuardflowError",
        "LadderError",
        "LeaseLost",
        "MissingInput",
        "MissingKey",
        "ModelCallError",
        "NotRecorded",
        "NotResumable",
        "PromptError",
        "ReplayMismatch",
        "Retry",
        "RunError",
        "RunExists",
        "RunIsLive",
        "RunNotFound",
        "SinkError",
        "StageEnded",
        "StageError",
        "StateError",
        "TemplateError",
        "UnknownInput",
        "UnknownModel",
        "UnpricedModel",
        "UsageError",
        "WaitingForPerson",
    ),
    "guardflow.kinds": ("Kind",),
    "guardflow.agreement": (
        "Agreement",
        "Dissent",
        "FieldAgreement",
    ),
    "guardflow.values": (
        "Attempt",
        "AttemptNote",
        "CacheMode",
        "Completion",
        "Finding",
        "Message",
        "Model",
        "Outcome",
        "Price",
        "Spend",
        "Status",
        "Usage",
    ),
    "guardflow.ladder": (
        "DEFAULT_LADDER",
        "Ladder",
        "abstain",
        "degrade",
        "grow",
        "park",
        "reask",
        "rephrase",
        "resample",
        "shrink",
        "switch",
        "wait",
    ),
    "guardflow.budget": (
        "Budget",
        "BudgetLeft",
    ),
    "guardflow.guards": (
        "Guard",
        "GuardContext",
        "guard",
    ),
    "guardflow.vote": (
        "Vote",
        "ahead_by",
        "align",
        "confident",
        "exact",
        "follow",
        "k_for",
        "majority",
        "meaning",
        "quorum",
        "unanimous",
        "within",
    ),
    "guardflow.flow.context": ("Context",),
    "guardflow.flow.fan_out": ("fan_out",),
    "guardflow.flow.llm": ("LLMStage",),
    "guardflow.flow.marks": ("mark_degraded",),
    "guardflow.flow.pipeline": (
        "Pipeline",
        "pipeline",
    ),
    "guardflow.flow.race": ("first_of",),
    "guardflow.flow.recorded": (
        "budget_left",
        "now",
        "random",
        "sleep",
        "uuid",
        "wait_signal",
    ),
    "guardflow.flow.stage": (
        "Stage",
        "stage",
    ),
    "guardflow.runtime": (
        "Parked",
        "RunResult",
        "Runtime",
    ),
    "guardflow.sources.documents": (
        "Document",
        "Passage",
        "document",
        "passages",
    ),
    "guardflow.sources.duplicates": ("clusters",),
    "guardflow.sources.urls": (
        "canonical_url",
        "host_of",
        "registrable",
    ),
    "guardflow.guards.kit.injections": ("injection_flags",),
    "guardflow.guards.kit.urls": ("find_links",),
    "guardflow.guards.kit.numbers": ("numbers_from",),
    "guardflow.sinks.folder": ("write_folder",),
    "guardflow.sources.corpus": ("Corpus",),
    "guardflow.sources.web": ("WebFetcher",),
    "guardflow.sources.fetched": (
        "Failure",
        "Fetched",
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

if TYPE_CHECKING:
    from guardflow.agreement import Agreement as Agreement
    from guardflow.agreement import Dissent as Dissent
    from guardflow.agreement import FieldAgreement as FieldAgreement
    from guardflow.budget import Budget as Budget
    from guardflow.budget import BudgetLeft as BudgetLeft
    from guardflow.errors import BudgetExceeded as BudgetExceeded
    from guardflow.errors import CassetteError as CassetteError
    from guardflow.errors import ConfigError as ConfigError
    from guardflow.errors import DatabaseError as DatabaseError
    from guardflow.errors import DatabaseLocked as DatabaseLocked
    from guardflow.errors import DatabaseReadOnly as DatabaseReadOnly
    from guardflow.errors import DatabaseTooNew as DatabaseTooNew
    from guardflow.errors import DatabaseUnreachable as DatabaseUnreachable
    from guardflow.errors import DiskFull as DiskFull
    from guardflow.errors import GuardCrashed as GuardCrashed
    from guardflow.errors import GuardflowError as GuardflowError
    from guardflow.errors import LadderError as LadderError
    from guardflow.errors import LeaseLost as LeaseLost
    from guardflow.errors import MissingInput as MissingInput
    from guardflow.errors import MissingKey as MissingKey
    from guardflow.errors import ModelCallError as ModelCallError
    from guardflow.errors import NotRecorded as NotRecorded
    from guardflow.errors import NotResumable as NotResumable
    from guardflow.errors import PromptError as PromptError
    from guardflow.errors import ReplayMismatch as ReplayMismatch
    from guardflow.errors import Retry as Retry
    from guardflow.errors import RunError as RunError
    from guardflow.errors import RunExists as RunExists
    from guardflow.errors import RunIsLive as RunIsLive
    from guardflow.errors import RunNotFound as RunNotFound
    from guardflow.errors import SinkError as SinkError
    from guardflow.errors import StageEnded as StageEnded
    from guardflow.errors import StageError as StageError
    from guardflow.errors import StateError as StateError
    from guardflow.errors import TemplateError as TemplateError
    from guardflow.errors import UnknownInput as UnknownInput
    from guardflow.errors import UnknownModel as UnknownModel
    from guardflow.errors import UnpricedModel as UnpricedModel
    from guardflow.errors import UsageError as UsageError
    from guardflow.errors import WaitingForPerson as WaitingForPerson
    from guardflow.flow.context import Context as Context
    from guardflow.flow.fan_out import fan_out as fan_out
    from guardflow.flow.llm import LLMStage as LLMStage
    from guardflow.flow.marks import mark_degraded as mark_degraded
    from guardflow.flow.pipeline import Pipeline as Pipeline
    from guardflow.flow.pipeline import pipeline as pipeline
    from guardflow.flow.race import first_of as first_of
    from guardflow.flow.recorded import budget_left as budget_left
    from guardflow.flow.recorded import now as now
    from guardflow.flow.recorded import random as random
    from guardflow.flow.recorded import sleep as sleep
    from guardflow.flow.recorded import uuid as uuid
    from guardflow.flow.recorded import wait_signal as wait_signal
    from guardflow.flow.stage import Stage as Stage
    from guardflow.flow.stage import stage as stage
    from guardflow.guards import Guard as Guard
    from guardflow.guards import GuardContext as GuardContext
    from guardflow.guards import guard as guard
    from guardflow.guards.kit.injections import injection_flags as injection_flags
    from guardflow.guards.kit.numbers import numbers_from as numbers_from
    from guardflow.guards.kit.urls import find_links as find_links
    from guardflow.kinds import Kind as Kind
    from guardflow.ladder import DEFAULT_LADDER as DEFAULT_LADDER
    from guardflow.ladder import Ladder as Ladder
    from guardflow.ladder import abstain as abstain
    from guardflow.ladder import degrade as degrade
    from guardflow.ladder import grow as grow
    from guardflow.ladder import park as park
    from guardflow.ladder import reask as reask
    from guardflow.ladder import rephrase as rephrase
    from guardflow.ladder import resample as resample
    from guardflow.ladder import shrink as shrink
    from guardflow.ladder import switch as switch
    from guardflow.ladder import wait as wait
    from guardflow.runtime import Parked as Parked
    from guardflow.runtime import RunResult as RunResult
    from guardflow.runtime import Runtime as Runtime
    from guardflow.sinks.folder import write_folder as write_folder
    from guardflow.sources.corpus import Corpus as Corpus
    from guardflow.sources.documents import Document as Document
    from guardflow.sources.documents import Passage as Passage
    from guardflow.sources.documents import document as document
    from guardflow.sources.documents import passages as passages
    from guardflow.sources.duplicates import clusters as clusters
    from guardflow.sources.fetched import Failure as Failure
    from guardflow.sources.fetched import Fetched as Fetched
    from guardflow.sources.urls import canonical_url as canonical_url
    from guardflow.sources.urls import host_of as host_of
    from guardflow.sources.urls import registrable as registrable
    from guardflow.sources.web import WebFetcher as WebFetcher
    from guardflow.values import Attempt as Attempt
    from guardflow.values import AttemptNote as AttemptNote
    from guardflow.values import CacheMode as CacheMode
    from guardflow.values import Completion as Completion
    from guardflow.values import Finding as Finding
    from guardflow.values import Message as Message
    from guardflow.values import Model as Model
    from guardflow.values import Outcome as Outcome
    from guardflow.values import Price as Price
    from guardflow.values import Spend as Spend
    from guardflow.values import Status as Status
    from guardflow.values import Usage as Usage
    from guardflow.vote import Vote as Vote
    from guardflow.vote import ahead_by as ahead_by
    from guardflow.vote import align as align
    from guardflow.vote import confident as confident
    from guardflow.vote import exact as exact
    from guardflow.vote import follow as follow
    from guardflow.vote import k_for as k_for
    from guardflow.vote import majority as majority
    from guardflow.vote import meaning as meaning
    from guardflow.vote import quorum as quorum
    from guardflow.vote import unanimous as unanimous
    from guardflow.vote import within as within
else:
    # Hidden from type checkers: to them a module with __getattr__ has every name, misspelt ones too.
    __all__ = tuple(sorted(_HOME))

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            value = version("guardflow")
        elif name in _HOME:
            value = getattr(import_module(_HOME[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted((*_HOME, "__version__"))
