"""Measures: `bench/run [apiserver] [scheduler] [cluster]`; all of them without a name."""

from __future__ import annotations

import importlib
import sys

from .figures import report

SUITES = ("apiserver", "scheduler", "cluster")


def main(names: list[str]) -> int:
    """Prints the figures of each suite as it ends."""
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print(f"bench: there is no suite {unknown[0]!r}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    for name in names or SUITES:
        try:
            report(importlib.import_module(f"bench.{name}").main())
        except RuntimeError as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            return 1
    return 0


sys.exit(main(sys.argv[1:]))
