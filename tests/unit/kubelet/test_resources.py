"""What the keeper of memory and disk does: it tells, frees what nobody needs, and only then lets a pod go.

The kind: a pod was evicted for a disk that unused images would have freed; what containers write counted for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.hollow import HollowVolumes
from pybernetes.kubelet.machine.events import Event
from pybernetes.kubelet.machine.pod import PodMachine
from pybernetes.kubelet.machine.stimuli import Evicted, Observed, VolumesReady
from pybernetes.kubelet.machine.thresholds import Amount
from pybernetes.kubelet.node import resources
from pybernetes.kubelet.options import KubeletOptions
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.kubelet.runtime.types import Container, Image, Sandbox

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLENTY, SCARCE = Amount(90, 100), Amount(1, 100)


class Runtime(HollowRuntime):
    written = 0

    async def image_root(self) -> str:
        return "/"

    async def images(self) -> Sequence[Image]:
        return []

    async def image_ids_in_use(self) -> Collection[str]:
        return set()

    async def disk_bytes(self, container_id: str) -> int:
        return self.written


@dataclass(eq=False)
class Worker:
    """A running pod that keeps what it is told."""

    machine: PodMachine
    told: list[Any] = field(default_factory=list)
    volume_images: dict[str, Any] = field(default_factory=dict)

    def handle(self, stimulus: object) -> None:
        self.told.append(stimulus)


def worker(limit: str = "") -> Worker:
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "p", "ns", "u"
    limits = {"ephemeral-storage": Quantity.parse(limit)} if limit else {}
    pod.spec.containers = [core.Container(name="c", image="i", resources=core.ResourceRequirements(limits=limits))]
    machine = PodMachine(pod, ["192.0.2.1"], "docker")
    machine.ips = ("10.0.0.2",)
    machine.handle(VolumesReady(), NOW)
    run = Container("c-0", "c", "u", 0, "running", "i", "i@1", started_at=NOW)
    machine.handle(Observed([Sandbox("s", "p", "ns", "u", 0, True, NOW)], [run]), NOW)
    return Worker(machine)


def look(
    monkeypatch: pytest.MonkeyPatch, one: Worker, before: dict[str, Amount], after: dict[str, Amount], written: int = 0
) -> list[Event]:
    """One round: `after` is what there is when images have been freed. The Node's events."""
    seen, events = [before, after], list[Event]()
    monkeypatch.setattr(resources, "amounts", lambda root, images: seen.pop(0) if len(seen) > 1 else seen[0])
    runtime, clock = Runtime(), VirtualClock(epoch=NOW)
    runtime.written = written
    keeper = resources.ResourceKeeper(
        KubeletOptions("n"), runtime, HollowVolumes(), lambda: {"u": one}, lambda: None, events.append, clock, clock.now
    )  # type: ignore[arg-type,return-value]  # a worker is what it is asked for here
    asyncio.run(keeper._check())
    return events


@pytest.mark.parametrize(
    ("signal", "freed", "reclaimed", "evicted"),
    [
        ("imagefs.available", True, "ephemeral-storage", False),
        ("imagefs.available", False, "ephemeral-storage", True),
        ("nodefs.inodesFree", True, "inodes", False),
        ("memory.available", False, "memory", True),
    ],
)
def test_a_pod_goes_when_nothing_else_helps(
    monkeypatch: pytest.MonkeyPatch, signal: str, freed: bool, reclaimed: str, evicted: bool
) -> None:
    one = worker()
    events = look(monkeypatch, one, {signal: SCARCE}, {signal: PLENTY if freed else SCARCE})
    assert [(e.type, e.reason, e.message) for e in events] == [
        ("Warning", "EvictionThresholdMet", f"Attempting to reclaim {reclaimed}")
    ]
    assert [type(told) for told in one.told] == ([Evicted] if evicted else [])


@pytest.mark.parametrize(
    ("limit", "written", "evicted"), [("1Mi", 2 << 20, True), ("1Mi", 1 << 20, False), ("", 9 << 30, False)]
)
def test_what_containers_have_written_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, limit: str, written: int, evicted: bool
) -> None:
    one = worker(limit)
    assert look(monkeypatch, one, {}, {}, written) == []
    assert bool(one.told) == evicted
