"""The command line: one file a command group; each parses, calls one library function, and prints."""

import sys

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit. Ctrl-C before anything ran ends it quietly."""
    try:
        from .app import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()
