"""Evals: how good parts are on cases that people have labelled. Nothing here is part of a run of yours."""

from guardflow.evals.guards import GuardScore, evaluate_guards
from guardflow.evals.labels import Case, load_cases, shipped_labels

__all__ = ["Case", "GuardScore", "evaluate_guards", "load_cases", "shipped_labels"]
