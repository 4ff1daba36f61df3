"""Metrics about pods, in Prometheus' text (upstream: pkg/kubelet/metrics/collectors, cadvisor's metrics)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pybernetes.api.types import core_v1 as core

from ..machine.config import cgroup_parent
from ..node.usage import NANOS, Usage, container_cgroup, interfaces, usage
from ..worker import PodWorker

Workers = Mapping[str, PodWorker]


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    help: str
    type: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A running container, or with an empty name its pod."""

    labels: dict[str, str]
    usage: Usage


def _line(name: str, labels: Mapping[str, str], value: float, stamp: int | None = None) -> str:
    shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
    number = str(int(value)) if value == int(value) else repr(value)
    return f"{name}{'{' + shown + '}' if shown else ''} {number}{f' {stamp}' if stamp is not None else ''}"


def _family(family: Family, lines: Iterable[str]) -> list[str]:
    samples = list(lines)
    return [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.type}", *samples] if samples else []


def _containers(workers: Workers) -> Iterator[tuple[core.Pod, str, str, str]]:
    """Pod, container's name, id and image of all that run."""
    for worker in workers.values():
        for name, slot in worker.machine.slots.items():
            if slot.running and slot.current is not None:
                yield worker.machine.pod, name, slot.current.id, slot.current.image_id


def resource(workers: Workers, now: datetime) -> str:
    """/metrics/resource: what the metrics server reads."""
    stamp = int(now.timestamp() * 1000)
    containers = [
        Measured(
            {"container": name, "namespace": pod.metadata.namespace, "pod": pod.metadata.name},
            usage(container_cgroup(pod, uid)),
        )
        for pod, name, uid, _ in _containers(workers)
    ]
    running = [w.machine.pod for w in workers.values() if w.machine.sandbox is not None]
    pods = [
        Measured({"namespace": p.metadata.namespace, "pod": p.metadata.name}, usage(cgroup_parent(p))) for p in running
    ]
    node = [Measured({}, usage(""))]
    lines: list[str] = []
    for scope, word, measured in (("container", "container", containers), ("node", "node", node), ("pod", "pod", pods)):
        cpu = Family(
            f"{scope}_cpu_usage_seconds_total",
            f"[STABLE] Cumulative cpu time consumed by the {word} in core-seconds",
            "counter",
        )
        memory = Family(
            f"{scope}_memory_working_set_bytes", f"[STABLE] Current working set of the {word} in bytes", "gauge"
        )
        lines += _family(cpu, (_line(cpu.name, m.labels, m.usage.cpu_nanos / NANOS, stamp) for m in measured))
        lines += _family(memory, (_line(memory.name, m.labels, m.usage.working_set, stamp) for m in measured))
        if scope == "container":  # from which the metrics server counts what has only begun
            start = Family(
                "container_start_time_seconds",
                "[STABLE] Start time of the container since unix epoch in seconds",
                "gauge",
            )
            lines += _family(start, _starts(workers))
    error = Family(
        "resource_scrape_error",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
        "gauge",
    )
    return "\n".join([*lines, *_family(error, [_line(error.name, {}, 0)])]) + "\n"


def _starts(workers: Workers) -> Iterator[str]:
    for worker in workers.values():
        meta = worker.machine.pod.metadata
        for name, slot in worker.machine.slots.items():
            if slot.running and slot.current is not None and slot.current.started_at is not None:
                labels = {"container": name, "namespace": meta.namespace, "pod": meta.name}
                yield _line("container_start_time_seconds", labels, slot.current.started_at.timestamp())


CADVISOR: tuple[tuple[Family, Callable[[Usage], float]], ...] = (
    (
        Family("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", "counter"),
        lambda u: u.cpu_nanos / NANOS,
    ),
    (
        Family(
            "container_memory_usage_bytes",
            "Current memory usage in bytes, including all memory regardless of when it was accessed",
            "gauge",
        ),
        lambda u: u.memory,
    ),
    (
        Family("container_memory_working_set_bytes", "Current working set in bytes.", "gauge"),
        lambda u: u.working_set,
    ),
    (Family("container_memory_rss", "Size of RSS in bytes.", "gauge"), lambda u: u.rss),
    (Family("container_spec_memory_limit_bytes", "Memory limit for the container.", "gauge"), lambda u: u.limit),
)
NETWORK = (
    (Family("container_network_receive_bytes_total", "Cumulative count of bytes received", "counter"), "rx_bytes"),
    (Family("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", "counter"), "tx_bytes"),
    (
        Family(
            "container_network_receive_errors_total",
            "Cumulative count of errors encountered while receiving",
            "counter",
        ),
        "rx_errors",
    ),
    (
        Family(
            "container_network_transmit_errors_total",
            "Cumulative count of errors encountered while transmitting",
            "counter",
        ),
        "tx_errors",
    ),
)


def cadvisor(workers: Workers, now: datetime) -> str:
    """/metrics/cadvisor: CPU, memory and network of what runs."""
    stamp = int(now.timestamp() * 1000)
    measured = []
    for pod, name, uid, image in _containers(workers):
        labels = {
            "container": name,
            "id": container_cgroup(pod, uid),
            "image": image,
            "name": uid,
            "namespace": pod.metadata.namespace,
            "pod": pod.metadata.name,
        }
        measured.append(Measured(labels, usage(container_cgroup(pod, uid))))
    lines: list[str] = []
    for family, read in CADVISOR:
        lines += _family(family, (_line(family.name, m.labels, read(m.usage), stamp) for m in measured))
    networks = list(_networks(workers))
    for family, field in NETWORK:
        lines += _family(family, (_line(family.name, labels, getattr(i, field), stamp) for labels, i in networks))
    return "\n".join(lines) + "\n"


def _networks(workers: Workers) -> Iterator[tuple[dict[str, str], object]]:
    for worker in workers.values():
        pod, sandbox = worker.machine.pod, worker.machine.sandbox
        if sandbox is None or not sandbox.pid or pod.spec.host_network:
            continue
        try:
            text = Path(f"/proc/{sandbox.pid}/net/dev").read_text()
        except OSError:
            continue  # it ended just now
        for interface in interfaces(text):
            labels = {"container": "", "id": cgroup_parent(pod), "image": "", "interface": interface.name, "name": ""}
            yield {**labels, "namespace": pod.metadata.namespace, "pod": pod.metadata.name}, interface


def probes(workers: Workers) -> str:
    """/metrics/probes."""
    family = Family(
        "prober_probe_total",
        "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
        "counter",
    )
    lines = []
    for worker in workers.values():
        meta = worker.machine.pod.metadata
        for (container, kind, result), count in sorted(worker.probe_results.items()):
            labels = {
                "container": container,
                "namespace": meta.namespace,
                "pod": meta.name,
                "pod_uid": meta.uid,
                "probe_type": kind,
                "result": result,
            }
            lines.append(_line(family.name, labels, count))
    return "\n".join(_family(family, lines)) + "\n"
