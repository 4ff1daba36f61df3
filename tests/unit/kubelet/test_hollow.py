"""Hollow nodes against an API in memory: the worker and the node's keeping, without containers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from pybernetes.api.types import coordination_v1
from pybernetes.api.types import core_v1 as core
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.kubelet.app import hollow_kubelets, run_all


def make(name: str, node: str) -> core.Pod:
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace = name, "ns"
    pod.spec.node_name = node
    pod.spec.containers = [core.Container(name="c", image="i")]
    return pod


def phases(api: MemoryClient) -> list[str]:
    return [pod.status.phase for pod in api.all(core.Pod)]


def run(body: Any, names: list[str]) -> None:
    async def main() -> None:
        api = MemoryClient()
        task = asyncio.ensure_future(run_all(hollow_kubelets(api, MemoryInformers(api), names)))
        try:
            await asyncio.wait_for(body(api), 30)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_pods_run_and_go() -> None:
    async def body(api: MemoryClient) -> None:
        await api.until(lambda: len(api.all(core.Node)) == 3)
        for number in range(12):
            await api.create(make(f"p{number}", f"n{number % 3}"))
        await api.until(lambda: phases(api) == ["Running"] * 12)
        for pod in api.all(core.Pod):
            conditions = {c.type: c.status for c in pod.status.conditions}
            assert conditions["Ready"] == conditions["PodReadyToStartContainers"] == "True"
            assert pod.status.pod_ip and pod.status.start_time
        await api.delete(core.Pod, "p0", "ns")
        await api.until(lambda: len(api.all(core.Pod)) == 11)
        await api.until(lambda: any(e.reason == "Killing" for e in api.all(core.Event)))

    run(body, ["n0", "n1", "n2"])


def test_node_is_registered_with_its_lease() -> None:
    async def body(api: MemoryClient) -> None:
        await api.until(lambda: bool(api.all(coordination_v1.Lease)))
        node = await api.get(core.Node, "n0")
        assert node.metadata.labels["kubernetes.io/hostname"] == "n0"
        ready = next(c for c in node.status.conditions if c.type == "Ready")
        assert (ready.status, ready.reason) == ("True", "KubeletReady")
        lease = api.all(coordination_v1.Lease)[0]
        assert (lease.metadata.namespace, lease.spec.holder_identity) == ("kube-node-lease", "n0")
        assert lease.spec.lease_duration_seconds == 40

    run(body, ["n0"])
