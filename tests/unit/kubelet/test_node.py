"""The kubelet and its Node, which others write to as well: what it takes up from them, and what of theirs it leaves alone.

The kind: a kubelet that decides by a copy of its Node that is old, or writes back more than is its own. Inputs beside the
usual labels and extended resources: a taint NoExecute, a label taken away, capacity of a resource that is not extended
(attachable volumes), an ExternalIP, a foreign condition, a Ready condition that a controller has set to Unknown, and cordon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.kubelet.app import Kubelet
from pybernetes.kubelet.hollownodes import hollow_kubelets, hollow_machine
from pybernetes.kubelet.machine import node as n

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = n.NodeFacts("n0", ("192.0.2.1",), hollow_machine(cpus=2))
GPU = "example.com/gpu"


def run(body: Callable[[MemoryClient, Kubelet, VirtualClock], Awaitable[None]], *, deaf: bool = False) -> None:
    async def main() -> None:
        clock = VirtualClock()
        api = MemoryClient(clock=clock)
        [kubelet] = hollow_kubelets(api, MemoryInformers(api), ["n0"], machine=hollow_machine(cpus=2), clock=clock)
        if deaf:
            kubelet.keeper.on_node = lambda old, new: None  # type: ignore[method-assign]  # a watch that is late
        task = asyncio.ensure_future(kubelet.run())
        try:
            await clock.advance(1)
            await body(api, kubelet, clock)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


async def phase(api: MemoryClient, clock: VirtualClock, **spec: Any) -> tuple[str, str]:
    """What becomes of a pod: phase and reason."""
    pod = core.Pod(spec=core.PodSpec(node_name="n0", **spec))
    pod.metadata.name, pod.metadata.namespace = f"p{len(api.all(core.Pod))}", "ns"
    pod.spec.containers = pod.spec.containers or [core.Container(name="c", image="i")]
    await api.create(pod)
    await clock.advance(2)
    status = (await api.get(core.Pod, pod.metadata.name, "ns")).status
    return status.phase, status.reason


def asking(**requests: str) -> list[core.Container]:
    amounts = {name.replace("__", "/").replace("_", "."): Quantity.parse(text) for name, text in requests.items()}
    return [core.Container(name="c", image="i", resources=core.ResourceRequirements(requests=amounts))]


@pytest.mark.parametrize("deaf", [False, True], ids=["watched", "read again"])
def test_pods_are_judged_by_the_node_as_it_is_now(deaf: bool) -> None:
    async def body(api: MemoryClient, kubelet: Kubelet, clock: VirtualClock) -> None:
        assert await phase(api, clock, node_selector={"disk": "ssd"}) == ("Failed", "NodeAffinity")
        await api.patch(core.Node, "n0", "", {"metadata": {"labels": {"disk": "ssd"}}})
        assert await phase(api, clock, node_selector={"disk": "ssd"}) == ("Running", "")
        taint = {"key": "k", "effect": "NoExecute"}
        await api.patch(core.Node, "n0", "", {"metadata": {"labels": {"disk": None}}, "spec": {"taints": [taint]}})
        await kubelet.keeper.reread()
        assert await phase(api, clock) == ("Failed", "TaintToleration")
        await api.patch(core.Node, "n0", "", {"spec": {"taints": []}})
        assert await phase(api, clock) == ("Running", "")
        assert await phase(api, clock, node_selector={"disk": "ssd"}) == ("Failed", "NodeAffinity")

    run(body, deaf=deaf)


def test_a_pod_that_goes_while_the_node_is_read_again_is_forgotten() -> None:
    async def body(api: MemoryClient, kubelet: Kubelet, clock: VirtualClock) -> None:
        pod = core.Pod(spec=core.PodSpec(node_name="n0", node_selector={"a": "b"}))
        pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "p", "ns", "u"
        kubelet.on_pod(None, pod)
        kubelet.on_pod(pod, None)
        await clock.advance(5)
        assert not kubelet.workers

    run(body)


def test_extended_resources_of_others() -> None:
    async def body(api: MemoryClient, kubelet: Kubelet, clock: VirtualClock) -> None:
        assert await phase(api, clock, containers=asking(example_com__gpu="3")) == ("Running", "")  # nobody offers it
        patch = {"status": {"capacity": {GPU: "2", "attachable-volumes-x": "7"}}}
        await api.patch(core.Node, "n0", "", patch, subresource="status")
        await clock.advance(2)
        status = (await api.get(core.Node, "n0")).status
        assert str(status.allocatable[GPU]) == "2" and str(status.allocatable["attachable-volumes-x"]) == "7"
        assert kubelet.allocatable[GPU] == Quantity.parse("2")
        assert await phase(api, clock, containers=asking(example_com__gpu="3")) == ("Failed", "OutOfexample.com/gpu")
        await clock.advance(1000)  # the kubelet's own writes
        assert str((await api.get(core.Node, "n0")).status.capacity[GPU]) == "2"
        await api.patch(core.Node, "n0", "", {"status": {"capacity": {GPU: None}}}, subresource="status")
        await clock.advance(2)
        assert GPU not in (await api.get(core.Node, "n0")).status.allocatable

    run(body)


def test_what_others_write_beside_stays_and_what_they_write_over_is_put_right() -> None:
    async def body(api: MemoryClient, kubelet: Kubelet, clock: VirtualClock) -> None:
        node = await api.get(core.Node, "n0")
        node.metadata.labels["theirs"] = node.metadata.annotations["theirs"] = "x"
        await api.update(node)
        node = await api.get(core.Node, "n0")
        unknown = core.NodeCondition(type="Ready", status="Unknown", reason="NodeStatusUnknown")
        theirs = core.NodeCondition(type="NetworkUnavailable", status="False", reason="RouteCreated")
        node.status.conditions = [*(c for c in node.status.conditions if c.type != "Ready"), unknown, theirs]
        node.status.addresses.append(core.NodeAddress(type="ExternalIP", address="203.0.113.1"))
        node.status.capacity["cpu"] = Quantity.parse("64")
        await api.update(node, "status")
        await clock.advance(2)
        node = await api.get(core.Node, "n0")
        conditions = {c.type: c.reason for c in node.status.conditions}
        assert (conditions["Ready"], conditions["NetworkUnavailable"]) == ("KubeletReady", "RouteCreated")
        assert [a.type for a in node.status.addresses] == ["InternalIP", "ExternalIP"]
        assert str(node.status.capacity["cpu"]) == "2"
        assert node.metadata.labels["theirs"] == node.metadata.annotations["theirs"] == "x"

    run(body)


def test_cordon_is_told_of() -> None:
    async def body(api: MemoryClient, kubelet: Kubelet, clock: VirtualClock) -> None:
        for unschedulable in (True, False):
            await api.patch(core.Node, "n0", "", {"spec": {"unschedulable": unschedulable}})
            await clock.advance(20)
        reasons = [event.reason for event in api.all(core.Event)]
        assert reasons.count("NodeNotSchedulable") == reasons.count("NodeSchedulable") == 1

    run(body)


def test_the_status_is_written_as_a_patch_of_what_differs() -> None:
    old = n.node_status(FACTS, core.NodeStatus(), NOW)
    old.capacity[GPU] = Quantity.parse("1")
    assert n.status_patch(old, old) == {"status": {}}
    later = n.node_status(FACTS, old, NOW + timedelta(minutes=5))
    patch = n.status_patch(old, later)["status"]
    assert sorted(patch) == ["allocatable", "conditions"] and patch["allocatable"] == {GPU: "1"}
    assert not n.status_changed(later, n.node_status(FACTS, later, NOW + timedelta(minutes=10)))
    moved = n.node_status(n.NodeFacts("n0", ("192.0.2.9",), hollow_machine(cpus=2)), later, NOW)
    assert n.status_patch(later, moved)["status"]["addresses"] == [
        {"type": "InternalIP", "address": "192.0.2.9"},
        {"type": "Hostname", "address": "n0"},
        {"$patch": "replace"},
    ]


def test_a_kubelet_that_begins_anew_lets_nobody_count_on_what_a_former_one_offered() -> None:
    status = core.NodeStatus(capacity={GPU: Quantity.parse("2"), "cpu": Quantity.parse("2")})
    zeroed = n.zeroed_extended(status)
    assert (str(zeroed.capacity[GPU]), str(zeroed.allocatable[GPU]), str(zeroed.capacity["cpu"])) == ("0", "0", "2")


def test_a_reboot_is_told_of() -> None:
    async def main() -> None:
        clock = VirtualClock()
        api = MemoryClient(clock=clock)
        for boot in ("first", "first", "second"):
            machine = replace(hollow_machine(), boot_id=boot)
            [kubelet] = hollow_kubelets(api, MemoryInformers(api), ["n0"], machine=machine, clock=clock)
            task = asyncio.ensure_future(kubelet.run())
            await clock.advance(2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        texts = [event.message for event in api.all(core.Event) if event.reason == "Rebooted"]
        assert texts == ["Node n0 has been rebooted, boot id: second"]

    asyncio.run(main())


def test_registering_again_changes_only_what_tells_of_the_machine() -> None:
    async def main() -> None:
        clock = VirtualClock()
        api = MemoryClient(clock=clock)
        present = core.Node()
        present.metadata.name = "n0"
        present.metadata.labels = {"kubernetes.io/hostname": "old", "zone": "a"}
        await api.create(present)
        [kubelet] = hollow_kubelets(api, MemoryInformers(api), ["n0"], clock=clock)
        node = await kubelet.keeper.register()
        assert (node.metadata.labels["kubernetes.io/hostname"], node.metadata.labels["zone"]) == ("n0", "a")
        assert node.metadata.annotations == n.ANNOTATIONS
        assert node.status.capacity

    asyncio.run(main())
