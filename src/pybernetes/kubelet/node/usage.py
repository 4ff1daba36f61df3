"""What cgroups, interfaces and file systems say is used (upstream: cadvisor)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pybernetes.api.types import core_v1 as core

from ..machine.config import cgroup_parent
from .cgroups import ROOT

NANOS = 1_000_000_000
UNLIMITED = 1 << 60  # cgroup v1 says "no limit" with a number near the greatest


@dataclass(frozen=True, slots=True)
class Usage:
    """One cgroup's: nanoseconds of CPU, bytes of memory; `limit` 0 means none."""

    cpu_nanos: int = 0
    memory: int = 0
    working_set: int = 0
    rss: int = 0
    page_faults: int = 0
    major_faults: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Interface:
    """Counters of a network interface."""

    name: str
    rx_bytes: int = 0
    rx_errors: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0


def _keyed(text: str) -> dict[str, int]:
    return {
        name: int(value) for name, _, value in (line.partition(" ") for line in text.splitlines()) if value.isdigit()
    }


def read(path: Path) -> str:
    """A file of /proc or /sys without the white space around it, "" where it is gone."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def number(text: str) -> int:
    """0 where it is none, such as "max"."""
    return int(text) if text.isdigit() else 0


def usage(cgroup: str, root: Path = ROOT) -> Usage:
    """Of a cgroup by its name; zeros where it is gone."""
    name = cgroup.strip("/")
    if (root / "cgroup.controllers").exists():
        base = root / name
        stat, cpu = _keyed(read(base / "memory.stat")), _keyed(read(base / "cpu.stat"))
        memory, inactive = number(read(base / "memory.current")), stat.get("inactive_file", 0)
        limit = number(read(base / "memory.max"))
        rss, nanos = stat.get("anon", 0), cpu.get("usage_usec", 0) * 1000
        faults = (stat.get("pgfault", 0), stat.get("pgmajfault", 0))
    else:
        base = root / "memory" / name
        stat = _keyed(read(base / "memory.stat"))
        memory, inactive = number(read(base / "memory.usage_in_bytes")), stat.get("total_inactive_file", 0)
        limit = number(read(base / "memory.limit_in_bytes"))
        rss = stat.get("total_rss", 0)
        nanos = number(read(root / "cpuacct" / name / "cpuacct.usage"))
        faults = (stat.get("total_pgfault", 0), stat.get("total_pgmajfault", 0))
    limit = 0 if limit >= UNLIMITED else limit
    return Usage(nanos, memory, max(memory - inactive, 0), rss, *faults, limit)


def interfaces(text: str) -> list[Interface]:
    """/proc/PID/net/dev without the loopback."""
    result = []
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if name.strip() != "lo" and len(fields) >= 11:
            rx, rx_errors, tx, tx_errors = (int(fields[index]) for index in (0, 2, 8, 10))
            result.append(Interface(name.strip(), rx, rx_errors, tx, tx_errors))
    return result


def container_cgroup(pod: core.Pod, container_id: str) -> str:
    return f"{cgroup_parent(pod)}/{container_id}"


def file_system(path: str, now: str) -> dict[str, Any]:
    """Of the file system that a path is on."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return {}
    capacity, available = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    return {
        "time": now,
        "availableBytes": available,
        "capacityBytes": capacity,
        "usedBytes": capacity - disk.f_bfree * disk.f_frsize,
        "inodesFree": disk.f_ffree,
        "inodes": disk.f_files,
        "inodesUsed": disk.f_files - disk.f_ffree,
    }


@dataclass(slots=True)
class Rates:
    """Turns CPU counters into current use: what was used since the last question, over the time since then."""

    last: dict[str, tuple[float, int, int]] = field(default_factory=dict)

    def nano_cores(self, name: str, nanos: int, monotonic: float) -> int:
        then, before, rate = self.last.get(name, (monotonic, nanos, 0))
        if monotonic - then >= 1.0:
            rate = int((nanos - before) / (monotonic - then))
            self.last[name] = (monotonic, nanos, rate)
        elif name not in self.last:
            self.last[name] = (monotonic, nanos, 0)
        return max(rate, 0)
