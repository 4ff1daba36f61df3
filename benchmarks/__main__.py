"""Measures: `./bench [SUITE...]`; all of them without a name."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

from .figures import load_average, report

SUITES = (
    "apiserver",
    "memory",
    "etcd",
    "scheduler",
    "cluster",
    "attacks",
    "flannel",
    "proxy",
    "fairness",
    "failover",
    "workers",
    "dns",
)


def main(names: list[str]) -> int:
    """Prints the figures of each suite as it ends, and what differs from the release before. A suite that fails holds up no other; the exit
    code tells of it."""
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print(f"bench: there is no suite {unknown[0]!r}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    version, load = importlib.metadata.version("pybernetes"), load_average()  # before all: a suite is itself a load
    failed = []
    for name in names or SUITES:
        try:
            report(version, importlib.import_module(f"benchmarks.{name}").main(), load)
        except RuntimeError as error:
            print(f"bench: {name}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
    if failed:
        print(f"bench: without figures: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
