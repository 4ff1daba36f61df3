"""`pybernetes version`."""

from __future__ import annotations

from pybernetes import __version__
from pybernetes.component import command
from pybernetes.component.flags import Values

PROGRAM = "pybernetes version"


def main(arguments: list[str]) -> int:
    """Prints one line."""
    return command.once(PROGRAM, (), run, arguments)


def run(values: Values) -> None:
    print(f"pybernetes {__version__}")
