"""Reads the lists of cases that are not the same yet, or not exact: the name of a case a line."""

from pathlib import Path

PATH = Path(__file__).with_name("known_failures.txt")
CONTROL = Path(__file__).with_name("known_failures_control.txt")
LEGACY = Path(__file__).with_name("known_failures_legacy.txt")
INEXACT = Path(__file__).with_name("inexact.txt")


def known_failures(path: Path = PATH) -> set[str]:
    """Names of cases."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return {line for line in lines if line}
