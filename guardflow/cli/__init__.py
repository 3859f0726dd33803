"""The command line: one file a command group; each parses, calls one library function, and prints."""

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    from .interrupting import end_at_once

    end_at_once()
    from .app import main as run

    run()
