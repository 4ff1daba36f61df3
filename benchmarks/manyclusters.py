"""What whole clusters in one process cost, and leave: `python -m benchmarks.manyclusters [NUMBER]`.

At once: memory and descriptors of each further one. In turn (`python -m benchmarks.manyclusters in-turn [NUMBER]`): what the process has after
each twentieth; it is to stay as it is from the hundredth on. All controllers, the scheduler and three hollow nodes each.
Needs Linux, and nothing else.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pybernetes.testing import Cluster

FULL: dict[str, Any] = {"controllers": "all", "scheduler": True, "nodes": 3}
NUMBER = 8
IN_TURN = 200
TWENTY = 20
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes of memory that the process has."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def descriptors() -> int:
    """Open files and sockets."""
    return len(list(Path("/proc/self/fd").iterdir()))


def left() -> int:
    """Folders of clusters."""
    return len(list(Path(tempfile.gettempdir()).glob("pybernetes-*")))


def in_turn(number: int) -> None:
    before = left()
    for one in range(1, number + 1):
        with Cluster(**FULL) as kube:
            kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}})
        if one % TWENTY == 0:
            amounts = f"{resident() / 1e6:6.1f} MB {descriptors():3} descriptors {threading.active_count()} threads"
            print(f"{one:4} clusters: {amounts} {left() - before} folders", flush=True)


def at_once(number: int) -> None:
    with ExitStack() as running:
        running.enter_context(Cluster(**FULL))  # the first one imports and compiles for all
        memory, files = resident(), descriptors()
        for _ in range(number):
            running.enter_context(Cluster(**FULL))
        print(f"a further cluster: {(resident() - memory) / number / 1e6:.1f} MB")
        print(f"                   {(descriptors() - files) / number:.1f} file descriptors")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["in-turn"]:
        in_turn(int(arguments[1]) if len(arguments) > 1 else IN_TURN)
    else:
        at_once(int(arguments[0]) if arguments else NUMBER)
