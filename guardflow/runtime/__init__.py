"""Binds flow to models and a database: `Runtime` and what its runs give back."""

from .declared import declared_services
from .result import Parked, RunResult, Started
from .runtime import Runtime

__all__ = ["Parked", "RunResult", "Runtime", "Started", "declared_services"]
