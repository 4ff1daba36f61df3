"""What clusters of tests cost: `python -m benchmarks.testing`. The smallest of several runs; on a shared machine an upper bound."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

TIMES = 7
FULL: dict[str, Any] = {"controllers": "all", "scheduler": True, "nodes": 3}


def smallest(action: Callable[[], float], times: int = TIMES) -> str:
    """Milliseconds."""
    return f"{min(action() for _ in range(times)) * 1000:8.1f} ms"


def main() -> None:
    began = time.perf_counter()
    from pybernetes.testing import Cluster

    def timed(options: dict[str, Any], measure: Callable[[Any], object] | None = None) -> float:
        start = time.perf_counter()
        with Cluster(**options) as kube:
            if measure is not None:
                start = time.perf_counter()
                measure(kube)
            return time.perf_counter() - start

    def stopped(options: dict[str, Any]) -> float:
        with Cluster(**options):
            pass
            start = time.perf_counter()
        return time.perf_counter() - start

    def restored(kube: Any) -> None:
        kube.restore(state)

    with Cluster() as first:
        print(f"import to the first answer    {(time.perf_counter() - began) * 1000:8.1f} ms")
        state = first.snapshot()
        for number in range(100):
            first.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{number}"}})
        loaded = first.snapshot()
        start = time.perf_counter()
        first.restore(state)
        first.restore(loaded)
        print(f"restore of 100 objects        {(time.perf_counter() - start) * 500:8.1f} ms")
    print(f"next cluster, bare            {smallest(lambda: timed({}))}")
    print(f"its end                       {smallest(lambda: stopped({}))}")
    print(f"next cluster, everything      {smallest(lambda: timed(FULL), 4)}")
    print(f"its end                       {smallest(lambda: stopped(FULL), 3)}")
    hour = smallest(lambda: timed(FULL, lambda kube: kube.clock.advance("1h")), 2)
    print(f"an hour of it                 {hour}")
    print(f"Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
