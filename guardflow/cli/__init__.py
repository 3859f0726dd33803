"""The command line: one file a command group; each parses, calls one library function, and prints."""

from .app import main

__all__ = ["main"]
