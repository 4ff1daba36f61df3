"""`pybernetes version`."""

from __future__ import annotations

from pybernetes import __version__


def main(arguments: list[str]) -> int:
    """Prints one line."""
    print(f"pybernetes {__version__}")
    return 0
