"""Reads known_failures.txt: a case a line, `folder/` for a whole folder of a feature that is still to come."""

from pathlib import Path

from .golden import cases

PATH = Path(__file__).with_name("known_failures.txt")


def known_failures() -> set[str]:
    """Names of cases; folders are not checked for cases that pass by chance."""
    lines = [line.split("#")[0].strip() for line in PATH.read_text().splitlines()]
    names = {line for line in lines if line and not line.endswith("/")}
    return names | {case for line in lines if line.endswith("/") for case in cases(line.rstrip("/"))}
