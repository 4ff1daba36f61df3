"""What is left of clusters that have come and gone in one process: `python -m tests.api.leaks 200 [full]`."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from pybernetes.testing import Cluster

FULL: dict[str, Any] = {"controllers": "all", "scheduler": True, "nodes": 3}


def counted() -> dict[str, int]:
    """Threads, descriptors, and folders of clusters that are there now."""
    gc.collect()
    return {
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0,
        "folders": len(list(Path(tempfile.gettempdir()).glob("pybernetes-*"))),
    }


def left_after(times: int, options: dict[str, Any]) -> dict[str, int]:
    """How many more of each there are after so many clusters; the first is not counted, it brings what stays."""
    with tempfile.TemporaryDirectory() as folder:
        before_that, tempfile.tempdir = tempfile.tempdir, folder
        try:
            _one(options)
            before = counted()
            for _ in range(times):
                _one(options)
            after = counted()
        finally:
            tempfile.tempdir = before_that
    return {name: after[name] - before[name] for name in after if after[name] > before[name]}


def _one(options: dict[str, Any]) -> None:
    with Cluster(**options) as kube:
        kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})


def _resident() -> int:
    """MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    options = FULL if "full" in sys.argv else {}
    for _ in range(4):
        left = left_after(times // 4, options)
        print(f"{times // 4} clusters: left {left or 'nothing'}, {_resident()} MB", flush=True)


if __name__ == "__main__":
    main()
