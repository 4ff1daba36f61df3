"""Hollow nodes against an API in memory: the worker and the node's keeping, without containers.

What they have to do is run what projects ship. Inputs beside init containers, Jobs and runAsNonRoot: a sidecar in a Job's
pod, an annotation for one container of several, an annotation that is none, and a range of addresses that is used up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import coordination_v1
from pybernetes.api.types import core_v1 as core
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.kubelet.hollow import HollowAddresses, HollowNetwork
from pybernetes.kubelet.hollownodes import hollow_kubelets, run_all
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.kubelet.runtime.hollowscript import Script, ScriptError, script
from pybernetes.kubelet.runtime.types import ContainerConfig, LogOptions, RuntimeFailure, Sandbox, SandboxConfig
from pybernetes.wire.remotecommand import CommandStreams


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
            await asyncio.wait_for(body(api), 60)
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


DOMAIN = "hollow.pybernetes.dev"


@pytest.mark.parametrize(
    ("annotations", "init", "ends", "expected"),
    [
        ({}, False, False, Script()),
        ({}, True, False, Script(exit_after=0.0)),
        ({}, False, True, Script(exit_after=1.0)),
        ({f"{DOMAIN}/exit-code": "3"}, False, False, Script(exit_code=3, exit_after=1.0)),
        ({f"{DOMAIN}/exit-after": "1m30s"}, True, False, Script(exit_after=90.0)),
        ({f"{DOMAIN}/exit-code": "3", f"c.{DOMAIN}/exit-code": "4"}, False, True, Script(exit_code=4, exit_after=1.0)),
        ({f"d.{DOMAIN}/exit-code": "3", "other/exit-code": "5"}, False, False, Script()),
        ({f"{DOMAIN}/never-ready": "true"}, False, False, Script(never_ready=True)),
        ({f"{DOMAIN}/logs": "", f"{DOMAIN}/exec-output": "x"}, False, False, Script(logs="", exec_output="x")),
    ],
)
def test_scripts(annotations: dict[str, str], init: bool, ends: bool, expected: Script) -> None:
    assert script(annotations, "c", init=init, ends=ends) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("exit-code", "256"),
            ("exit-code", "-1"),
            ("exit-code", "\u00b2"),
            ("exit-after", "soon"),
            ("exit-after", "-1s"),
        ),
        *(("exitcode", "1"), ("exec-exit-code", "9" * 5000)),
        *(("port-forward", text) for text in ("", "80", "80=0", "80=65536", "=80", "80=8080,", "80=" + "9" * 5000)),
        ("port-forward", ",".join(["1=1"] * 101)),
    ],
)
def test_scripts_that_say_nothing_sensible(name: str, text: str) -> None:
    with pytest.raises(ScriptError, match=f"annotation {DOMAIN}/{name}: "):
        script({f"{DOMAIN}/{name}": text}, "c")


def play(body: Callable[[MemoryClient, VirtualClock], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = VirtualClock()
        api = MemoryClient(clock=clock)
        task = asyncio.ensure_future(run_all(hollow_kubelets(api, MemoryInformers(api), ["n0"], clock=clock)))
        try:
            await clock.advance(1)
            await body(api, clock)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


async def become(api: MemoryClient, clock: VirtualClock, pod: core.Pod, seconds: float = 5) -> core.PodStatus:
    await api.create(pod)
    await clock.advance(seconds)
    return (await api.get(core.Pod, pod.metadata.name, "ns")).status


def test_init_containers_end_and_jobs_complete() -> None:
    async def body(api: MemoryClient, clock: VirtualClock) -> None:
        pod = make("init", "n0")
        pod.spec.init_containers = [core.Container(name="i", image="i")]
        pod.spec.security_context = core.PodSecurityContext(run_as_non_root=True)
        status = await become(api, clock, pod)
        assert (status.phase, status.container_statuses[0].ready) == ("Running", True)
        ended = status.init_container_statuses[0].state.terminated
        assert ended is not None and ended.exit_code == 0
        for policy in ("Never", "OnFailure"):
            pod = make(policy.lower(), "n0")
            pod.spec.restart_policy = policy
            pod.spec.init_containers = [core.Container(name="sidecar", image="i", restart_policy="Always")]
            assert (await become(api, clock, pod)).phase == "Succeeded"

    play(body)


def test_what_annotations_script() -> None:
    async def body(api: MemoryClient, clock: VirtualClock) -> None:
        async def scripted(name: str, **annotations: str) -> core.PodStatus:
            pod = make(name, "n0")
            pod.spec.restart_policy = "Never" if name == "fails" else "Always"
            pod.metadata.annotations = {f"{DOMAIN}/{key.replace('_', '-')}": text for key, text in annotations.items()}
            return await become(api, clock, pod)

        assert (await scripted("fails", exit_code="7")).phase == "Failed"
        crashing = await scripted("crashes", exit_code="7", exit_after="0s")
        waiting = crashing.container_statuses[0].state.waiting
        assert waiting is not None and waiting.reason == "CrashLoopBackOff"
        never = await scripted("waits", never_ready="true")
        assert (never.phase, never.container_statuses[0].ready) == ("Running", False)
        pulling = (await scripted("pulls", pull_error="no such manifest")).container_statuses[0].state.waiting
        assert pulling is not None and pulling.reason == "ImagePullBackOff"
        assert pulling.message.endswith("ErrImagePull: rpc error: code = Unknown desc = no such manifest")
        wrong = (await scripted("wrong", exit_cod="7")).container_statuses[0].state.waiting
        assert wrong is not None and wrong.reason == "CreateContainerConfigError"

    play(body)


def test_what_is_asked_of_a_container() -> None:
    async def main() -> None:
        runtime = HollowRuntime(lambda: datetime(2026, 1, 1, tzinfo=UTC))

        async def made(name: str, **annotations: str) -> str:
            config = SandboxConfig(
                name, "ns", name, 0, name, annotations={f"{DOMAIN}/{k}": v for k, v in annotations.items()}
            )
            sandbox = await runtime.run_sandbox(config)
            container = await runtime.create_container(sandbox.id, ContainerConfig("c", 0, "i"), config)
            await runtime.start_container(container)
            return container

        async def log(container: str, **options: Any) -> bytes:
            return b"".join([piece async for piece in runtime.logs(container, LogOptions(**options))])

        plain, scripted = await made("plain"), await made("scripted", logs="a\nb\nc", **{"exec-output": "x"})
        assert await log(plain) == b"hollow nodes run no containers\n"
        assert await log(scripted) == b"a\nb\nc\n"
        assert (await log(scripted, tail=2), await log(scripted, tail=0)) == (b"b\nc\n", b"")
        assert await log(plain, timestamps=True) == b"2026-01-01T00:00:00.000000000Z hollow nodes run no containers\n"
        assert await log(plain, since=datetime(2026, 1, 2, tzinfo=UTC)) == b""
        assert (await runtime.exec_sync(scripted, ["ls"], 1)).output == b"x"
        with pytest.raises(RuntimeFailure, match="hollow nodes run no containers"):
            await runtime.exec_sync(plain, ["ls"], 1)
        with pytest.raises(ConnectionRefusedError, match="hollow nodes run no containers"):
            await runtime.port_forward("s", 80)
        with pytest.raises(RuntimeFailure, match="hollow nodes run no containers"):
            await runtime.attach(plain, Shown(), stdin=False, tty=False)
        shown = Shown()
        attached = asyncio.ensure_future(runtime.attach(scripted, shown, stdin=False, tty=False))
        runtime.end(scripted, 0)
        await attached
        assert shown.output == b"a\nb\nc\n"

    asyncio.run(main())


class Shown(CommandStreams):
    """What somebody who attaches sees."""

    def __init__(self) -> None:
        self.output = b""

    async def write_stdout(self, data: bytes) -> None:
        self.output += data

    async def write_stderr(self, data: bytes) -> None:
        raise AssertionError(data)

    async def read_stdin(self) -> bytes:
        return b""

    async def sizes(self) -> AsyncIterator[tuple[int, int]]:
        return
        yield


def test_a_forwarded_port_is_one_of_this_machine() -> None:
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        runtime = HollowRuntime(lambda: datetime(2026, 1, 1, tzinfo=UTC))
        async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
            local = server.sockets[0].getsockname()[1]
            config = SandboxConfig("p", "ns", "u", 0, "p", annotations={f"{DOMAIN}/port-forward": f"81=1,80={local}"})
            sandbox = await runtime.run_sandbox(config)
            await runtime.create_container(sandbox.id, ContainerConfig("c", 0, "i"), config)
            connection = await runtime.port_forward(sandbox.id, 80)
            await connection.write(b"hello\n")
            assert await connection.read() == b"HELLO\n" and await connection.read() == b""
            connection.close()
            for port in (81, 82):  # nobody listens; nothing is said of it
                with pytest.raises(ConnectionRefusedError):
                    await runtime.port_forward(sandbox.id, port)

    asyncio.run(main())


def test_addresses_are_given_once_at_a_time_and_again_later() -> None:
    async def main() -> None:
        network, pod = HollowNetwork(HollowAddresses("10.0.0.0/29")), make("p", "n0")
        sandboxes = [Sandbox(str(n), "p", "ns", "u", 0, True, datetime(2026, 1, 1, tzinfo=UTC)) for n in range(6)]
        given = [await network.setup(sandbox, pod) for sandbox in sandboxes[:5]]
        assert given[0] == ("10.0.0.2",) and len(set(given)) == 5
        assert await network.setup(sandboxes[0], pod) == given[0]
        with pytest.raises(RuntimeFailure, match=r"all of 10\.0\.0\.0/29 are in use"):
            await network.setup(sandboxes[5], pod)
        await network.teardown("3", pod)
        assert await network.setup(sandboxes[5], pod) == given[3]
        network.set_range("10.1.2.0/24")  # the node has one of its own now; who has an address keeps it
        await network.teardown("4", pod)
        assert await network.setup(sandboxes[0], pod) == given[0]
        assert await network.setup(sandboxes[4], pod) == ("10.1.2.2",)

    asyncio.run(main())
