"""What pods and containers use, as /stats/summary tells it (upstream: pkg/kubelet/stats)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pybernetes.api.times import format_time

from ..machine.config import cgroup_parent
from ..node.usage import Interface, Rates, Usage, container_cgroup, file_system, interfaces, number, read, usage
from ..worker import PodWorker


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
            counters = interfaces(read(Path(f"/proc/{sandbox.pid}/net/dev")))
            if counters:
                extras["network"] = {"time": now, **_counts(counters[0]), "interfaces": [_counts(i) for i in counters]}
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
        counters = interfaces(read(Path("/proc/net/dev")))
        if counters:
            result["network"] = {"time": now, **_counts(counters[0]), "interfaces": [_counts(i) for i in counters]}
        disk = file_system(self._root_dir, now)
        maximum = number(read(Path("/proc/sys/kernel/pid_max")))
        current = number(read(Path("/proc/loadavg")).split()[3].partition("/")[2])
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


def _counts(interface: Interface) -> dict[str, Any]:
    return {
        "name": interface.name,
        "rxBytes": interface.rx_bytes,
        "rxErrors": interface.rx_errors,
        "txBytes": interface.tx_bytes,
        "txErrors": interface.tx_errors,
    }
