"""What a further whole cluster in one process costs in memory and descriptors: `python -m benchmarks.manyclusters [NUMBER]`.

All controllers, the scheduler and three hollow nodes each. Needs Linux, and nothing else.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pybernetes.testing import Cluster

FULL: dict[str, Any] = {"controllers": "all", "scheduler": True, "nodes": 3}
NUMBER = 8
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes of memory that the process has."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def descriptors() -> int:
    """Open files and sockets."""
    return len(list(Path("/proc/self/fd").iterdir()))


def main(number: int) -> None:
    with ExitStack() as running:
        running.enter_context(Cluster(**FULL))  # the first one imports and compiles for all
        memory, files = resident(), descriptors()
        for _ in range(number):
            running.enter_context(Cluster(**FULL))
        print(f"a further cluster: {(resident() - memory) / number / 1e6:.1f} MB")
        print(f"                   {(descriptors() - files) / number:.1f} file descriptors")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER)
