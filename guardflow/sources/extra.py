"""The packages of the extra ``research``, which are needed only where pages and PDFs are read."""

from __future__ import annotations

from importlib.util import find_spec

from guardflow.errors import ConfigError


def require(what: str, *packages: str) -> None:
    """Make sure that packages are there; they are not imported yet.

    Raises:
        ConfigError: one of them is not installed.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        names = ", ".join(map(repr, missing))
        raise ConfigError(f"{what} needs {names}, which is not installed", hint="install guardflow[research]")
