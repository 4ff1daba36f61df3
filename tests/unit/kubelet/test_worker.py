"""A pod's worker: what its machine asks for is done, in order, and whatever breaks comes back as an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.hollow import HollowCgroups, HollowNetwork, HollowProber, HollowVolumes
from pybernetes.kubelet.machine import config, dns, stimuli
from pybernetes.kubelet.machine.events import Event
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.kubelet.runtime.images import PullFailure
from pybernetes.kubelet.runtime.types import Container, ContainerConfig, Image, RuntimeFailure, Sandbox, SandboxConfig
from pybernetes.kubelet.worker import Node, Parts, PodWorker

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class API:
    """Implements interfaces.Cluster: keeps what it is told."""

    def __init__(self) -> None:
        self.status = core.PodStatus()
        self.events: list[Event] = []
        self.deleted = False
        self.down = 0  # how many writes fail

    async def set_status(self, pod: core.Pod, status: core.PodStatus) -> None:
        if self.down:
            self.down -= 1
            raise ConnectionError("down")
        self.status = status

    async def delete(self, pod: core.Pod) -> None:
        self.deleted = True

    def record(self, pod: core.Pod, event: Event) -> None:
        self.events.append(event)

    async def lookup(self, pod: core.Pod) -> config.Lookup:
        return lambda kind, name: None

    def services(self, pod: core.Pod) -> Mapping[str, str]:
        return {}


class Runtime(HollowRuntime):
    """A hollow runtime that notes its calls, and fails those that `failures` names, once for each error."""

    def __init__(self) -> None:
        super().__init__(lambda: T0)
        self.calls: list[str] = []
        self.failures: dict[str, list[Exception]] = {}
        self.present = True

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.failures.get(name):
            raise self.failures[name].pop(0)

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        self._call("run_sandbox")
        return await super().run_sandbox(config)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        self._call("stop_sandbox")
        await super().stop_sandbox(sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self._call("remove_sandbox")
        await super().remove_sandbox(sandbox_id)

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        self._call("create_container")
        return await super().create_container(sandbox_id, config, sandbox)

    async def start_container(self, container_id: str) -> None:
        self._call("start_container")
        await super().start_container(container_id)

    async def stop_container(self, container_id: str, grace: float) -> None:
        self._call("stop_container")
        await super().stop_container(container_id, grace)

    async def remove_container(self, container_id: str) -> None:
        self._call("remove_container")
        await super().remove_container(container_id)

    async def image_status(self, image: str) -> Image | None:
        self._call("image_status")
        return await super().image_status(image) if self.present else None

    async def pull_image(self, image: str, auth: str = "") -> Image:
        self._call("pull_image")
        return await super().pull_image(image, auth)


class Pulls:
    """Implements interfaces.Images without secrets."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def present(self, pod: core.Pod, image: str) -> Image | None:
        return await self._runtime.image_status(image)

    async def pull(self, pod: core.Pod, image: str) -> Image:
        return await self._runtime.pull_image(image)


class Hooks(HollowProber):
    """Hooks that fail as told."""

    error: Exception | None = None

    async def hook(
        self, pod: core.Pod, container: core.Container, container_id: str, handler: core.LifecycleHandler, ip: str
    ) -> None:
        if self.error is not None:
            raise self.error


class World:
    """One worker on a clock of its own."""

    def __init__(self, pod: core.Pod, resolver: dns.Resolver | None = None) -> None:
        self.clock, self.api, self.runtime, self.prober = VirtualClock(epoch=T0), API(), Runtime(), Hooks()
        self.volumes, self.network = HollowVolumes(), HollowNetwork()
        self.gone: list[str] = []
        self.pod = pod
        node = Node("n", ("192.0.2.1",), "hollow", resolver=resolver or dns.Resolver(), has_resolvers=False)
        self.parts = Parts(
            node,
            self.runtime,
            self.network,
            self.volumes,
            self.prober,
            Pulls(self.runtime),
            HollowCgroups(),
            self.api,
            self.clock,
            self.clock.now,
        )

    def start(self) -> PodWorker:
        self.worker = PodWorker(self.pod, self.parts, self.gone.append)
        return self.worker

    async def run(self, seconds: float = 1.0) -> None:
        """The worker begun, or a while later; its machine valid."""
        if not hasattr(self, "worker"):
            await self.start().relist()
        await self.clock.advance(seconds)
        self.worker.machine.validate()

    @property
    def waiting(self) -> str:
        states = [s.state.waiting for s in self.api.status.container_statuses if s.state is not None]
        return next((w.reason for w in states if w is not None), "")

    def reasons(self) -> list[str]:
        return [event.reason for event in self.api.events]

    async def delete(self) -> None:
        from pybernetes.kubelet.machine.stimuli import SpecChanged

        gone = core.Pod(metadata=self.pod.metadata, spec=self.pod.spec)
        gone.metadata.deletion_timestamp, gone.metadata.deletion_grace_period_seconds = T0, 2
        self.worker.handle(SpecChanged(gone))
        await self.run(60)


def make(image: str = "i", **container: Any) -> core.Pod:
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "p", "ns", "u"
    pod.spec.restart_policy = "Always"
    pod.spec.containers = [core.Container(name="c", image=image, **container)]
    return pod


def play(pod: core.Pod, body: Callable[[World], Awaitable[None]], resolver: dns.Resolver | None = None) -> None:
    async def main() -> None:
        world = World(pod, resolver)
        try:
            await body(world)
        finally:
            await world.worker.close()

    asyncio.run(main())


def test_a_life() -> None:
    async def body(world: World) -> None:
        await world.run()
        assert world.api.status.phase == "Running"
        assert world.reasons() == ["Pulled", "Created", "Started"]
        assert world.runtime.calls == ["run_sandbox", "image_status", "create_container", "start_container"]
        await world.delete()
        assert world.runtime.calls[4:] == ["stop_container", "stop_sandbox", "remove_container", "remove_sandbox"]
        assert world.api.deleted and world.gone == ["u"]
        assert world.reasons()[3:] == ["Killing"]

    play(make(), body)


def test_a_missing_image_is_pulled() -> None:
    async def body(world: World) -> None:
        world.runtime.present = False
        await world.run()
        assert world.reasons() == ["Pulling", "Pulled", "Created", "Started"]

    play(make(), body)


@pytest.mark.parametrize("image", ["http://foo/bar:1", "Foo/bar:1", "nginx:", "a b"])
def test_a_name_that_is_none_asks_nobody_and_the_pod_can_go(image: str) -> None:
    async def body(world: World) -> None:
        await world.run()
        assert world.waiting == "InvalidImageName"
        assert "image_status" not in world.runtime.calls
        assert world.reasons() == ["InspectFailed", "Failed"]
        await world.delete()
        assert world.gone == ["u"]

    play(make(image), body)


BROKEN = {
    "run_sandbox": "ContainerCreating",
    "image_status": "ErrImagePull",
    "create_container": "CreateContainerError",
    "start_container": "CreateContainerError",
}


@pytest.mark.parametrize("call", BROKEN)
def test_what_nobody_thought_of_is_tried_again(call: str) -> None:
    """An error that is no RuntimeFailure leaves the machine waiting for nothing."""

    async def body(world: World) -> None:
        world.runtime.failures[call] = [ZeroDivisionError("oops")]
        await world.run(1)
        assert world.waiting == BROKEN[call]
        await world.run(400)
        assert world.api.status.phase == "Running"

    play(make(), body)


def test_volumes_and_probes_that_break() -> None:
    async def body(world: World) -> None:
        errors: list[Exception] = [KeyError("x"), RuntimeFailure("not yet")]

        async def prepare(pod: core.Pod) -> None:
            if errors:
                raise errors.pop(0)

        async def probe(*arguments: object) -> tuple[bool, str]:
            raise KeyError("y")

        world.volumes.prepare = prepare
        world.prober.probe = probe
        await world.run(10)
        assert world.reasons().count("FailedMount") == 2
        assert world.api.status.phase == "Running"
        assert world.worker.probe_results["c", "Readiness", "unknown"] == 0
        await world.run(30)
        assert "Unhealthy" in world.reasons()
        assert not world.api.status.container_statuses[0].ready

    play(make(readiness_probe=core.Probe(exec=core.ExecAction(command=["x"]), period_seconds=10)), body)


def test_a_network_that_fails_leaves_no_sandbox() -> None:
    async def body(world: World) -> None:
        async def setup(sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
            raise RuntimeFailure("no address is free")

        world.network.setup = setup
        await world.run()
        assert world.runtime.sandboxes == {}
        assert world.reasons()[0] == "FailedCreatePodSandBox"

    play(make(), body)


@pytest.mark.parametrize(("works", "attempt"), [(True, 0), (False, 1)])
def test_a_sandbox_of_a_killed_kubelet_gets_its_network(works: bool, attempt: int) -> None:
    async def body(world: World) -> None:
        setup = world.network.setup

        async def fails_first(sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
            if sandbox.attempt == 0 and not works:
                raise RuntimeFailure("no address is free")
            return await setup(sandbox, pod)

        world.network.setup = fails_first
        await world.runtime.run_sandbox(SandboxConfig("p", "ns", "u", 0, "p"))
        await world.run(60)
        assert [sandbox.attempt for sandbox in world.runtime.sandboxes.values()] == [attempt]
        assert world.api.status.phase == "Running" and world.api.status.pod_ip

    play(make(), body)


HOOK = core.LifecycleHandler(exec=core.ExecAction(command=["x"]))


@pytest.mark.parametrize("missing", [[], ["a"], ["a", "b"]])
def test_a_pull_that_fails_tells_of_secrets_that_are_not_there(missing: list[str]) -> None:
    """The kind: a cause that only the node's log knew. A pull that succeeds without them tells nothing."""

    async def body(world: World) -> None:
        world.runtime.present = False
        world.runtime.failures = {"pull_image": [PullFailure("denied", missing)]}
        await world.run()
        told = [event.message for event in world.api.events if event.reason == "FailedToRetrieveImagePullSecret"]
        names = ", ".join(missing)
        text = f"Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
        assert told == ([text] if missing else [])

    play(make(), body)


def test_images_of_volumes_are_there_before_the_container() -> None:
    pod = make(volume_mounts=[core.VolumeMount(name="v", mount_path="/v"), core.VolumeMount(name="e", mount_path="/e")])
    pod.spec.volumes = [
        core.Volume(name="v", image=core.ImageVolumeSource(reference="data:1", pull_policy="Always")),
        core.Volume(name="unused", image=core.ImageVolumeSource(reference="other:1")),
        core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource()),
    ]

    async def body(world: World) -> None:
        await world.run()
        assert world.reasons() == ["Pulling", "Pulled", "Pulled", "Created", "Started"]
        assert world.api.events[0].message == 'Pulling image "data:1"'
        assert list(world.worker.volume_images) == ["v"]

    play(pod, body)


@pytest.mark.parametrize(
    ("reference", "policy", "reason"),
    [("Data:1", "IfNotPresent", "InvalidImageName"), ("data:1", "Never", "ErrImageNeverPull")],
)
def test_images_of_volumes_that_are_not_to_be_had(reference: str, policy: str, reason: str) -> None:
    pod = make(volume_mounts=[core.VolumeMount(name="v", mount_path="/v")])
    pod.spec.volumes = [core.Volume(name="v", image=core.ImageVolumeSource(reference=reference, pull_policy=policy))]

    async def body(world: World) -> None:
        status = world.runtime.image_status

        async def only_the_containers(image: str) -> Image | None:
            return await status(image) if image == "i" else None

        world.runtime.image_status = only_the_containers  # type: ignore[method-assign]
        await world.run()
        assert world.waiting == reason and "create_container" not in world.runtime.calls

    play(pod, body)


@pytest.mark.parametrize("error", [RuntimeFailure("no"), TimeoutError(), ValueError("port"), OSError("gone")])
def test_hooks_that_fail(error: Exception) -> None:
    async def body(world: World) -> None:
        await world.run()
        world.prober.error = error
        await world.delete()
        assert world.reasons()[3:] == ["Killing", "FailedPreStopHook"]
        assert world.gone == ["u"]

    play(make(lifecycle=core.Lifecycle(pre_stop=HOOK)), body)


def test_a_container_whose_post_start_fails_is_killed_and_started_anew() -> None:
    async def body(world: World) -> None:
        world.prober.error = RuntimeFailure("no")
        await world.run()
        once = ["Pulled", "Created", "Started", "FailedPostStartHook", "Killing"]
        assert world.reasons() == [*once, *once, "BackOff"], "the first restart is at once, the second waits"
        assert world.waiting == "CrashLoopBackOff"
        world.prober.error = None
        await world.run(30)
        assert world.api.status.phase == "Running"
        assert world.api.status.container_statuses[0].restart_count == 2

    play(make(lifecycle=core.Lifecycle(post_start=HOOK)), body)


def test_a_teardown_that_fails_is_tried_again() -> None:
    async def body(world: World) -> None:
        await world.run()
        world.runtime.failures = {"stop_container": [RuntimeFailure("busy")], "stop_sandbox": [OSError("busy")]}
        await world.delete()
        assert world.gone == ["u"]
        assert [e.message for e in world.api.events if e.reason == "FailedKillPod"] == ["error killing pod: busy"]

    play(make(), body)


def test_a_status_is_written_once_the_server_is_back() -> None:
    async def body(world: World) -> None:
        world.api.down = 3
        await world.run(0.5)
        assert world.api.status.phase == ""
        await world.run(10)
        assert world.api.status.phase == "Running"

    play(make(), body)


def test_lines_that_a_resolver_does_not_take_are_told() -> None:
    async def body(world: World) -> None:
        await world.run()
        assert world.reasons()[0] == "DNSConfigForming"
        sandbox = await world.worker._sandbox_config(0)
        assert sandbox.resolv_conf.count("nameserver") == 3

    servers = tuple(f"192.0.2.{number}" for number in range(1, 6))
    play(make(), body, dns.Resolver(servers=servers))


def test_a_list_from_before_is_not_believed() -> None:
    async def body(world: World) -> None:
        await world.run()
        epoch = world.worker.epoch
        stale: Sequence[Container] = ()
        await world.delete()
        assert not world.worker.observe(epoch, (), stale)

    play(make(), body)


def test_what_is_listed_again_is_told_once_in_a_sync_period() -> None:
    async def body(world: World) -> None:
        await world.run()
        told: list[Sequence[Container]] = []
        handle = world.worker.handle

        def listen(event: stimuli.Stimulus) -> None:
            if isinstance(event, stimuli.Observed):
                told.append(event.containers)
            handle(event)

        world.worker.handle = listen

        async def relist() -> None:
            world.worker.relisted(world.worker.epoch, *await world.runtime.list(), sync_seconds=60)

        await world.worker.relist()
        for _ in range(5):
            await world.run(10)
            await relist()
        assert len(told) == 1
        await world.run(10)
        await relist()
        assert len(told) == 2, "the period is over"
        gone = next(iter(world.runtime.containers))
        await world.runtime.remove_container(gone)
        await relist()  # what differs is told at once
        await world.run(1)
        assert not [c for c in told[2] if c.id == gone]
        assert gone not in world.runtime.containers and world.runtime.containers, "it is made anew"

    play(make(), body)


def test_a_pod_that_is_over_is_told_only_what_differs() -> None:
    async def body(world: World) -> None:
        await world.run()
        world.runtime.end(next(iter(world.runtime.containers)), 0)
        await world.worker.relist()
        await world.run(10)
        assert world.worker.machine.terminated
        told: list[stimuli.Stimulus] = []

        def listen(event: stimuli.Stimulus) -> None:
            told.append(event)

        world.worker.handle = listen
        for _ in range(30):
            await world.run(10)
            world.worker.relisted(world.worker.epoch, *await world.runtime.list(), sync_seconds=60)
        assert len(told) == 1, "once after it had ended"
        await world.runtime.remove_container(next(iter(world.runtime.containers)))
        world.worker.relisted(world.worker.epoch, *await world.runtime.list(), sync_seconds=60)
        assert len(told) == 2

    pod = make()
    pod.spec.restart_policy = "Never"
    play(pod, body)


def test_a_container_that_ends_is_seen_with_its_code() -> None:
    async def body(world: World) -> None:
        await world.run()
        container = next(iter(world.runtime.containers.values()))
        world.runtime.end(container.id, 3)
        world.runtime.containers[container.id] = replace(world.runtime.containers[container.id], reason="Error")
        await world.worker.relist()
        await world.run(1)
        assert world.api.status.container_statuses[0].restart_count == 1
        last = world.api.status.container_statuses[0].last_state
        assert last is not None and last.terminated is not None and last.terminated.exit_code == 3

    play(make(), body)
