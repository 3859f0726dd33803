"""Statistics: pure functions of counts and samples, without any part of guardflow."""

from guardflow.stats.intervals import Interval, wilson

__all__ = ["Interval", "wilson"]
