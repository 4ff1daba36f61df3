"""What pods and containers use, from their cgroups (upstream: pkg/kubelet/stats, cadvisor)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core

from ..cgroups import ROOT
from ..config import cgroup_parent
from ..worker import PodWorker

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


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def usage(cgroup: str, root: Path = ROOT) -> Usage:
    """Of a cgroup by its name; zeros where it is gone."""
    name = cgroup.strip("/")
    if (root / "cgroup.controllers").exists():
        base = root / name
        stat, cpu = _keyed(_read(base / "memory.stat")), _keyed(_read(base / "cpu.stat"))
        memory, inactive = _number(_read(base / "memory.current")), stat.get("inactive_file", 0)
        limit = _number(_read(base / "memory.max"))
        rss, nanos = stat.get("anon", 0), cpu.get("usage_usec", 0) * 1000
        faults = (stat.get("pgfault", 0), stat.get("pgmajfault", 0))
    else:
        base = root / "memory" / name
        stat = _keyed(_read(base / "memory.stat"))
        memory, inactive = _number(_read(base / "memory.usage_in_bytes")), stat.get("total_inactive_file", 0)
        limit = _number(_read(base / "memory.limit_in_bytes"))
        rss = stat.get("total_rss", 0)
        nanos = _number(_read(root / "cpuacct" / name / "cpuacct.usage"))
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
        found = os.statvfs(path)
    except OSError:
        return {}
    capacity, available = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return {
        "time": now,
        "availableBytes": available,
        "capacityBytes": capacity,
        "usedBytes": capacity - found.f_bfree * found.f_frsize,
        "inodesFree": found.f_ffree,
        "inodes": found.f_files,
        "inodesUsed": found.f_files - found.f_ffree,
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


class Summary:
    """Answers /stats/summary."""

    def __init__(self, node_name: str, root_dir: str, started: datetime) -> None:
        self._node_name, self._root_dir, self._started = node_name, root_dir, started
        self._rates = Rates()

    def _cpu(self, name: str, used: Usage, now: str, monotonic: float) -> dict[str, Any]:
        rate = self._rates.nano_cores(name, used.cpu_nanos, monotonic)
        return {"time": now, "usageNanoCores": rate, "usageCoreNanoSeconds": used.cpu_nanos}

    @staticmethod
    def _memory(used: Usage, now: str, capacity: int = 0) -> dict[str, Any]:
        result = {"time": now}
        limit = used.limit or capacity
        counts = {
            "usageBytes": used.memory,
            "workingSetBytes": used.working_set,
            "rssBytes": used.rss,
            "pageFaults": used.page_faults,
            "majorPageFaults": used.major_faults,
        }
        return {**result, **({"availableBytes": max(limit - used.working_set, 0)} if limit else {}), **counts}

    def _pod(self, worker: PodWorker, now: str, monotonic: float, only: bool) -> dict[str, Any]:
        pod = worker.machine.pod
        containers = []
        for name, slot in worker.machine.slots.items():
            if not slot.running or slot.current is None:
                continue
            used = usage(container_cgroup(pod, slot.current.id))
            entry = {
                "name": name,
                "startTime": format_time(slot.current.started_at or self._started),
                "cpu": self._cpu(slot.current.id, used, now, monotonic),
                "memory": self._memory(used, now),
            }
            if not only:
                entry |= {"rootfs": file_system(self._root_dir, now), "logs": file_system("/var/log", now)}
            containers.append(entry)
        whole = usage(cgroup_parent(pod))
        result: dict[str, Any] = {
            "podRef": {"name": pod.metadata.name, "namespace": pod.metadata.namespace, "uid": pod.metadata.uid},
            "startTime": format_time(worker.machine.start_time or self._started),
            "containers": containers,
            "cpu": self._cpu(pod.metadata.uid, whole, now, monotonic),
            "memory": self._memory(whole, now),
        }
        if not only:
            result |= self._pod_extras(worker, now)
        return result

    def _pod_extras(self, worker: PodWorker, now: str) -> dict[str, Any]:
        extras: dict[str, Any] = {"ephemeral-storage": file_system(self._root_dir, now)}
        sandbox = worker.machine.sandbox
        if sandbox is not None and sandbox.pid and not worker.machine.pod.spec.host_network:
            found = interfaces(_read(Path(f"/proc/{sandbox.pid}/net/dev")))
            if found:
                extras["network"] = {"time": now, **_counts(found[0]), "interfaces": [_counts(i) for i in found]}
        return extras

    def node(self, memory_capacity: int, now: str, monotonic: float, only: bool) -> dict[str, Any]:
        used = usage("")
        result: dict[str, Any] = {
            "nodeName": self._node_name,
            "systemContainers": [
                {
                    "name": "pods",
                    "startTime": format_time(self._started),
                    "cpu": self._cpu("pods", usage("kubepods"), now, monotonic),
                    "memory": self._memory(usage("kubepods"), now, memory_capacity),
                }
            ],
            "startTime": format_time(self._started),
            "cpu": self._cpu("node", used, now, monotonic),
            "memory": self._memory(used, now, memory_capacity),
        }
        if only:
            return result
        found = interfaces(_read(Path("/proc/net/dev")))
        if found:
            result["network"] = {"time": now, **_counts(found[0]), "interfaces": [_counts(i) for i in found]}
        disk = file_system(self._root_dir, now)
        maximum = _number(_read(Path("/proc/sys/kernel/pid_max")))
        current = _number(_read(Path("/proc/loadavg")).split()[3].partition("/")[2])
        return {
            **result,
            "fs": disk,
            "runtime": {"imageFs": disk},
            "rlimit": {"time": now, "maxpid": maximum, "curproc": current},
        }

    def answer(
        self, workers: Mapping[str, PodWorker], memory_capacity: int, now: datetime, monotonic: float, only: bool
    ) -> dict[str, Any]:
        text = format_time(now)
        running = [w for w in workers.values() if w.machine.sandbox is not None]
        return {
            "node": self.node(memory_capacity, text, monotonic, only),
            "pods": [self._pod(worker, text, monotonic, only) for worker in running],
        }


def _counts(found: Interface) -> dict[str, Any]:
    return {
        "name": found.name,
        "rxBytes": found.rx_bytes,
        "rxErrors": found.rx_errors,
        "txBytes": found.tx_bytes,
        "txErrors": found.tx_errors,
    }
