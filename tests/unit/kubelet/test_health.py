"""The sync loop's health, and a runtime that makes the pods' network itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import core_v1 as core
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.kubelet.app import Kubelet, Machinery
from pybernetes.kubelet.hollownodes import hollow_machine, hollow_machinery
from pybernetes.kubelet.network.delegated import RuntimeNetwork
from pybernetes.kubelet.node.health import SyncLoopMonitor
from pybernetes.kubelet.options import KubeletOptions
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.kubelet.runtime.types import Container, RuntimeFailure, Sandbox, SandboxConfig

TOO_LONG = "sync Loop took longer than expected"


class Silent(HollowRuntime):
    """A runtime that can be lost; its sandboxes come with an address."""

    lost = False

    async def list(self, pod_uid: str = "") -> tuple[Sequence[Sandbox], Sequence[Container]]:
        if self.lost:
            raise RuntimeFailure("gone")
        return await super().list(pod_uid)

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        return replace(await super().run_sandbox(config), ips=("192.0.2.7",))


@pytest.mark.parametrize(("sync_seconds", "allowed"), [(60.0, 300.0), (200.0, 400.0)])
def test_twice_the_sync_period_and_five_minutes_at_least(sync_seconds: float, allowed: float) -> None:
    async def main() -> None:
        clock = VirtualClock()
        monitor = SyncLoopMonitor(clock, sync_seconds)
        await clock.advance(allowed * 2)
        assert monitor.check() == "", "it has not begun"
        monitor.entered()
        await clock.advance(allowed)
        assert monitor.check() == ""
        await clock.advance(1)
        assert monitor.check() == TOO_LONG
        monitor.entered()
        assert monitor.check() == ""

    asyncio.run(main())


def test_a_runtime_that_is_lost_makes_the_kubelet_unhealthy() -> None:
    async def main() -> None:
        clock, runtime = VirtualClock(), Silent()
        kubelet = make(MemoryClient(), clock, replace(hollow_machinery(), runtime=runtime))
        task = asyncio.ensure_future(kubelet.run())
        await clock.advance(1000)
        assert kubelet.sync_loop.check() == ""
        runtime.lost = True
        await clock.advance(290)
        assert kubelet.sync_loop.check() == ""
        await clock.advance(30)
        assert kubelet.sync_loop.check() == TOO_LONG
        runtime.lost = False
        await clock.advance(11)
        assert kubelet.sync_loop.check() == ""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def make(api: MemoryClient, clock: VirtualClock, machinery: Machinery) -> Kubelet:
    return Kubelet(
        KubeletOptions("n", resolv_conf=""),
        api,
        MemoryInformers(api).informer(core.Pod),
        MemoryInformers(api).informer(core.Node),
        None,
        machinery=machinery,
        machine=hollow_machine(),
        clock=clock,
    )


def test_addresses_that_the_runtime_gave() -> None:
    async def main() -> None:
        api = MemoryClient()
        machinery = replace(hollow_machinery(), runtime=Silent(), network=RuntimeNetwork(), runtime_name="containerd")
        task = asyncio.ensure_future(make(api, VirtualClock(), machinery).run())
        pod = core.Pod()
        pod.metadata.name, pod.metadata.namespace, pod.spec.node_name = "p", "ns", "n"
        pod.spec.containers = [core.Container(name="c", image="i")]
        await api.until(lambda: bool(api.all(core.Node)))
        await api.create(pod)
        await api.until(lambda: [p.status.phase for p in api.all(core.Pod)] == ["Running"])
        status = api.all(core.Pod)[0].status
        assert status.pod_ip == "192.0.2.7"
        assert status.container_statuses[0].container_id.startswith("containerd://")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_a_sandbox_without_an_address() -> None:
    async def main() -> None:
        sandbox = await HollowRuntime().run_sandbox(SandboxConfig("p", "ns", "u", 0, "p"))
        with pytest.raises(RuntimeFailure, match="no address"):
            await RuntimeNetwork().setup(sandbox, core.Pod())

    asyncio.run(main())
