"""The Docker daemon as a part: the supervisor's fork becomes it."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    """Returns only where the program is missing."""
    try:
        os.execvp("dockerd", ["dockerd", *arguments])
    except OSError as error:
        print(f"dockerd cannot be started: {error.strerror}; install docker.io", file=sys.stderr)
        return 1
