"""Events of the kubelet: about whom, counted, and held back."""

from __future__ import annotations

import asyncio

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.eventcorrelator import BURST
from pybernetes.client.memory import MemoryClient
from pybernetes.kubelet.machine.events import Event, normal, warning
from pybernetes.kubelet.recorder import Recorder

POD = core.Pod(metadata=meta.ObjectMeta(name="p", namespace="ns", uid="u"))


def recorded(about: core.Pod | core.Node, *events: Event) -> list[core.Event]:
    async def main() -> list[core.Event]:
        client, clock = MemoryClient(), VirtualClock()
        recorder = Recorder(client, "n", clock)
        task = asyncio.ensure_future(recorder.run())
        for event in events:
            recorder.record(about, event)
        await clock.advance(10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return client.all(core.Event)

    return asyncio.run(main())


def test_repetitions_are_counted() -> None:
    back_off = warning("BackOff", "restarting", "spec.containers{c}")
    (event,) = recorded(POD, back_off, back_off, back_off)
    assert (event.count, event.reason, event.source.component, event.source.host) == (3, "BackOff", "kubelet", "n")
    assert (event.involved_object.field_path, event.involved_object.uid) == ("spec.containers{c}", "u")


def test_a_flood_about_one_pod_is_held_back() -> None:
    assert len(recorded(POD, *(normal(f"R{number}", "m") for number in range(BURST + 10)))) == BURST


def test_a_node_goes_by_its_name() -> None:
    node = core.Node(metadata=meta.ObjectMeta(name="n", uid="real"))
    (event,) = recorded(node, normal("Starting", "m"))
    assert (event.involved_object.uid, event.metadata.namespace) == ("n", "default")
