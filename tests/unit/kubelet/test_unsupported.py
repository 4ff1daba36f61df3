"""Fields of a pod that the API takes and a node on Docker cannot do: refused where upstream's kubelet refuses, never left out.

The kind: accepted, not done. Beside user namespaces, image volumes and resizes, which have tests of their own: runtime
classes, recursive read-only mounts, strict supplemental groups, device claims, variables from files; and stop signals and
hostnameOverride, which are done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import node_v1
from pybernetes.client.memory import MemoryClient
from pybernetes.kubelet.cluster import APICluster
from pybernetes.kubelet.machine import hosts
from pybernetes.kubelet.machine.admission import refused
from pybernetes.kubelet.recorder import Recorder
from pybernetes.kubelet.runtime import dockerconfig as d
from pybernetes.kubelet.runtime.docker import DockerRuntime
from pybernetes.kubelet.runtime.types import ContainerConfig, RuntimeFailure, SandboxConfig
from pybernetes.kubelet.volumes.manager import VolumeManager

from .test_admission import NODE, make
from .test_docker import Engine, run
from .test_volumemanager import Objects
from .test_volumemanager import make as make_with_volumes


def failure(work: Callable[[], Awaitable[object]]) -> RuntimeFailure:
    async def main() -> None:
        await work()

    with pytest.raises(RuntimeFailure) as caught:
        asyncio.run(main())
    return caught.value


def test_groups_of_the_image() -> None:
    pod = make(security_context=core.PodSecurityContext(supplemental_groups_policy="Strict"))
    text = "SupplementalGroupsPolicy=Strict is not supported in this node"
    assert refused(pod, [], NODE) == ("SupplementalGroupsPolicyNotSupported", text)
    merged = make(security_context=core.PodSecurityContext(supplemental_groups_policy="Merge"))
    assert refused(merged, [], NODE) is None


def test_recursive_read_only_mounts(tmp_path: Path) -> None:
    manager = VolumeManager(str(tmp_path), Objects(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    volume = core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource())

    async def mounts(mode: str) -> None:
        mount = core.VolumeMount(name="e", mount_path="/e", read_only=True, recursive_read_only=mode)
        pod = make_with_volumes(volume, mounts=[mount])
        await manager.prepare(pod)
        await manager.mounts(pod, pod.spec.containers[0], 0, ["10.0.0.2"], {})

    error = failure(lambda: mounts("Enabled"))
    what = 'volume "e" requested recursive read-only mode, but it is not supported by the runtime'
    assert (error.reason, str(error)) == (
        "CreateContainerConfigError",
        f"failed to resolve recursive read-only mode: {what}",
    )
    asyncio.run(mounts("IfPossible"))


def test_device_claims(tmp_path: Path) -> None:
    manager = VolumeManager(str(tmp_path), Objects(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    pod = make_with_volumes()
    pod.spec.resource_claims = [core.PodResourceClaim(name="gpu", resource_claim_name="g")]
    error = failure(lambda: manager.prepare(pod))
    assert error.reason == "FailedPrepareDynamicResources"
    assert str(error).startswith("Failed to prepare dynamic resources: ")


def test_runtime_classes_are_looked_up() -> None:
    made = node_v1.RuntimeClass(handler="gvisor")
    made.metadata.name = "sandboxed"
    clock = VirtualClock()
    api = MemoryClient(made, clock=clock)
    cluster = APICluster(api, Recorder(api, "n", clock), None, clock)
    assert asyncio.run(cluster.runtime_handler("sandboxed")) == "gvisor"
    assert str(failure(lambda: cluster.runtime_handler("none"))) == 'runtimeclass.node.k8s.io "none" not found'


def test_a_handler_is_one_of_the_daemons_or_refused(tmp_path: Path) -> None:
    answers = {("GET", "/info"): (200, b'{"CgroupDriver": "cgroupfs", "Runtimes": {"runc": {}, "runsc": {}}}')}

    async def body(runtime: DockerRuntime, engine: Engine) -> None:
        with pytest.raises(RuntimeFailure, match='RuntimeHandler "kata" not supported'):
            await runtime.run_sandbox(SandboxConfig("p", "ns", "u", 0, "p", runtime_handler="kata"))
        assert not any(method == "POST" for method, _, _ in engine.asked)

    run(tmp_path, answers, body)
    shown = SandboxConfig("p", "ns", "u", 0, "p", runtime_handler="runsc")
    assert d.sandbox_create(shown, "i", "", 0)["HostConfig"]["Runtime"] == "runsc"
    assert d.container_create(ContainerConfig("c", 0, "i"), shown, "s", "", 0, True)["HostConfig"]["Runtime"] == "runsc"
    own = SandboxConfig("p", "ns", "u", 0, "p", runtime_handler="docker")
    assert "Runtime" not in d.sandbox_create(own, "i", "", 0)["HostConfig"]


def test_a_name_of_its_own() -> None:
    pod = make(hostname_override="my.own.name", subdomain="sub")
    pod.metadata.name, pod.metadata.namespace = "p", "ns"
    assert hosts.sandbox_hostname(pod, "cluster.local") == "my.own.name"
    assert "10.0.0.2\tmy.own.name\n" in hosts.hosts_file(pod, ["10.0.0.2"], "cluster.local", "")


def test_stop_signals_reach_docker() -> None:
    sandbox = SandboxConfig("p", "ns", "u", 0, "p")
    body = d.container_create(ContainerConfig("c", 0, "i", stop_signal="SIGUSR1"), sandbox, "s", "", 0, True)
    assert body["StopSignal"] == "SIGUSR1"
    assert "StopSignal" not in d.container_create(ContainerConfig("c", 0, "i"), sandbox, "s", "", 0, True)
