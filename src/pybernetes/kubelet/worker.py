"""Carries out what a pod's machine decides (upstream: pod_workers.go, kuberuntime_container.go startContainer)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api.errors import StatusError
from pybernetes.api.quantity import Quantity
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core

from .interfaces import Cgroups, Cluster, Images, PodNetwork, Prober, Runtime, Volumes
from .machine import config, dns, instructions, stimuli
from .machine.defaults import USUAL, Defaults
from .machine.events import (
    ERR_IMAGE_NEVER_PULL,
    ERR_IMAGE_PULL,
    POST_START_HOOK_ERROR,
    RUN_CONTAINER_ERROR,
    normal,
    pod_text,
    pulled_text,
    warning,
)
from .machine.eviction import EVICTED
from .machine.pod import PodMachine
from .machine.state import SETUP_RETRY
from .machine.termination import DEFAULT_GRACE, MINIMUM_GRACE
from .runtime.images import PullFailure, check_reference
from .runtime.types import Container, ContainerConfig, Image, RuntimeFailure, Sandbox, SandboxConfig

logger = logging.getLogger(__name__)

STATUS_RETRY = 1.0
FAILED_MOUNT = "FailedMount"
CREATE_CONTAINER_ERROR = "CreateContainerError"
# A hook's own failures, and what its author's URL may cause: a container must be stopped whatever its hook does.
HOOK_ERRORS = (RuntimeFailure, TimeoutError, OSError, ValueError)
# What tells nothing new of sandbox and containers, so that a list that was begun before still holds.
STALE_NOTHING = (
    stimuli.Observed,
    stimuli.Tick,
    stimuli.ProbeResult,
    stimuli.SpecChanged,
    stimuli.Noticed,
    stimuli.Pulling,
)


@dataclass(frozen=True, slots=True)
class Node:
    """What workers know of their node."""

    name: str
    ips: tuple[str, ...]
    runtime_name: str  # the scheme of container ids in a status
    memory: int = 0
    allocatable: Mapping[str, Quantity] | None = None
    cluster_dns: dns.Cluster = field(default_factory=dns.Cluster)
    resolver: dns.Resolver = field(default_factory=dns.Resolver)  # the host's
    has_resolvers: bool = True  # containers read a resolv.conf, which hollow ones do not
    pod_logs_dir: str = "/var/log/pods"
    seccomp_dir: str = "/var/lib/kubelet/seccomp"
    defaults: Defaults = USUAL


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker works with."""

    node: Node
    runtime: Runtime
    network: PodNetwork
    volumes: Volumes
    prober: Prober
    images: Images
    cgroups: Cgroups
    cluster: Cluster
    clock: Clock
    now: Callable[[], datetime]


class _NoImage(RuntimeFailure):
    """`event` is the event's text where it is another."""

    def __init__(self, message: str, reason: str, event: str = "") -> None:
        super().__init__(message, reason)
        self.event = event


class PodWorker:
    """One pod: its machine, and a task for every instruction in flight."""

    def __init__(
        self,
        spec: core.Pod,
        parts: Parts,
        on_gone: Callable[[str], None],
        rejected: tuple[str, str] | None = None,
    ) -> None:
        self.machine = PodMachine(
            spec, parts.node.ips, parts.node.runtime_name, rejected, parts.node.defaults.crash_maximum
        )
        self._parts = parts
        self._on_gone = on_gone
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Task[None] | None = None
        self._stopping: dict[str, asyncio.Task[None]] = {}  # by container id
        self._interruptible: dict[str, asyncio.Future[None]] = {}  # pulls and postStart hooks by container
        self._told = asyncio.Event()  # set whenever the machine learned something
        self._images: dict[str, Image] = {}
        self.volume_images: dict[str, Image] = {}  # by volume
        self._status: core.PodStatus | None = None
        self._runtime_handler = ""  # its RuntimeClass's, once it was looked up
        self._observed: tuple[int, Sequence[Sandbox], Sequence[Container]] = (-1, (), ())  # with the epoch
        self._observed_at = 0.0
        self._epoch = 0  # counts what happened to sandbox and containers: a list from before it is stale
        self._seen = parts.now()
        # What decides about it never changes while a pod lives.
        node = parts.node
        self._resolver, self._dns_events = dns.limited(dns.resolver(spec, node.cluster_dns, node.resolver))
        without = dns.missing(spec, node.cluster_dns)
        if without is not None and node.has_resolvers:
            self._dns_events.append(without)
        self.probe_results: Counter[tuple[str, str, str]] = Counter()  # (container, kind, result)
        self._status_changed = asyncio.Event()
        self._spawn(self._write_status())

    def handle(self, event: stimuli.Stimulus) -> None:
        """Tells the machine and starts what it asks for."""
        if not isinstance(event, STALE_NOTHING):
            self._epoch += 1
        for instruction in self.machine.handle(event, self._parts.now()):
            self._start(instruction)
        self._told.set()

    async def close(self) -> None:
        """Ends its tasks; containers go on."""
        tasks = [*self._tasks, *([self._timer] if self._timer is not None else [])]
        await end(*tasks)

    def _spawn(
        self, work: Awaitable[None], failed: Callable[[str], stimuli.Stimulus] | None = None
    ) -> asyncio.Task[None]:
        """`failed` makes the outcome of work that broke in a way nobody thought of: the machine must not wait for ever."""

        async def guarded() -> None:
            meta = self.machine.pod.metadata
            try:
                await work
            except RuntimeFailure as error:
                logger.warning("pod %s/%s: %s", meta.namespace, meta.name, error)
            except Exception as error:
                logger.exception("pod %s/%s", meta.namespace, meta.name)
                if failed is not None:
                    self.handle(failed(f"{type(error).__name__}: {error}"))

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _start(self, instruction: instructions.Instruction) -> None:
        match instruction:
            case instructions.Record(event):
                self._parts.cluster.record(self.machine.pod, event)
            case instructions.SetStatus(status):
                self._status = status
                self._status_changed.set()
            case instructions.WakeAt(when):
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = asyncio.ensure_future(self._wake(when))
            case instructions.PrepareVolumes():
                self._spawn(self._prepare(), stimuli.VolumesFailed)
            case instructions.CreateSandbox(attempt):
                self._spawn(self._create_sandbox(attempt), stimuli.SandboxFailed)
            case instructions.ConnectSandbox(sandbox, in_use):
                self._spawn(self._connect_sandbox(sandbox, in_use), stimuli.SandboxFailed)
            case instructions.EnsureImage(name):
                self._interruptible[name] = self._spawn(
                    self._ensure_image(name), lambda text: stimuli.ImageFailed(name, ERR_IMAGE_PULL, text)
                )
            case instructions.StartContainer(name, attempt, sandbox_id):
                self._spawn(
                    self._start_container(name, attempt, sandbox_id),
                    lambda text: stimuli.ContainerFailed(name, CREATE_CONTAINER_ERROR, text),
                )
            case instructions.StopContainer(container):
                former = self._stopping.get(container.id)
                if former is not None:
                    former.cancel()
                self._stopping[container.id] = self._spawn(self._stop_container(instruction))
            case instructions.Interrupt(name):
                if name in self._interruptible:
                    self._interruptible[name].cancel()
            case instructions.ResizeContainer(name, container_id, resources):
                self._spawn(
                    self._resize(name, container_id, resources),
                    lambda text: stimuli.Resized(name, container_id, resources, text),
                )
            case instructions.StopSandbox(sandbox_id):
                self._spawn(self._stop_sandbox(sandbox_id))
            case instructions.Probe(name, container_id, kind):
                self._spawn(
                    self._probe(name, container_id, kind),
                    lambda text: stimuli.ProbeResult(container_id, kind, None, text),
                )
            case instructions.DeletePod():
                self._spawn(self._delete())

    def _spec(self, name: str) -> core.Container:
        return self.machine.slots[name].spec

    def write_status(self) -> None:
        """Writes the status once more: what it was written to is gone."""
        if self._status is not None:
            self._status_changed.set()

    def pod_with_ips(self) -> core.Pod:
        """The pod with the addresses that it has by now, for what tells of them."""
        owner = self.machine.pod
        ips = [core.PodIP(ip=ip) for ip in self.machine.ips]
        return msgspec.structs.replace(owner, status=msgspec.structs.replace(owner.status, pod_ips=ips))

    def pod_with_status(self) -> core.Pod:
        """The pod as the kubelet itself sees it now."""
        return msgspec.structs.replace(self.machine.pod, status=self.machine.status(self._parts.now()))

    def _ip(self) -> str:
        ips = self._parts.node.ips if self.machine.pod.spec.host_network else self.machine.ips
        return next(iter(ips), "")

    async def _wake(self, when: datetime) -> None:
        await self._parts.clock.sleep((when - self._parts.now()).total_seconds())
        self._timer = None
        self.handle(stimuli.Tick())

    async def _write_status(self) -> None:
        """Writes the newest status, one at a time; tries again where the server did not answer."""
        while True:
            await self._status_changed.wait()
            self._status_changed.clear()
            status = self._status
            assert status is not None
            try:
                await self._parts.cluster.set_status(self.machine.pod, status)
            except (ConnectionError, TimeoutError, StatusError) as error:
                logger.warning("status of pod %s: %s", self.machine.pod.metadata.name, error)
                await self._parts.clock.sleep(STATUS_RETRY)
                self._status_changed.set()

    async def _prepare(self) -> None:
        try:
            await self._parts.volumes.prepare(self.machine.pod)
        except (RuntimeFailure, OSError) as error:
            reason = getattr(error, "reason", "") or FAILED_MOUNT
            self.handle(stimuli.VolumesFailed(str(error), reason))
        else:
            self.handle(stimuli.VolumesReady())

    async def _sandbox_config(self, attempt: int) -> SandboxConfig:
        """RuntimeFailure where its RuntimeClass is not there."""
        node, runtime_class = self._parts.node, self.machine.pod.spec.runtime_class_name
        if runtime_class and not self._runtime_handler:
            self._runtime_handler = await self._parts.cluster.runtime_handler(runtime_class)
        return config.sandbox_config(
            self.machine.pod,
            attempt,
            node.cluster_dns.domain,
            dns.render(self._resolver),
            f"{format_time(self._seen)[:-1]}.000000000Z",
            node.pod_logs_dir,
            self._runtime_handler,
        )

    async def _create_sandbox(self, attempt: int) -> None:
        spec, node = self.machine.pod, self._parts.node
        for event in self._dns_events:
            self.handle(stimuli.Noticed(event))
        try:
            await self._parts.cgroups.ensure(spec)
            sandbox = await self._parts.runtime.run_sandbox(await self._sandbox_config(attempt))
            ips = node.ips
            if not spec.spec.host_network:
                try:
                    ips = await self._parts.network.setup(sandbox, spec)
                except Exception:
                    await self._parts.runtime.remove_sandbox(sandbox.id)
                    raise
        except (RuntimeFailure, OSError) as error:
            self.handle(stimuli.SandboxFailed(str(error)))
        else:
            self.handle(stimuli.SandboxReady(sandbox, tuple(ips)))

    async def _connect_sandbox(self, sandbox: Sandbox, in_use: bool) -> None:
        try:
            ips = await self._parts.network.setup(sandbox, self.machine.pod)
        except (RuntimeFailure, OSError) as error:
            if not in_use:
                with contextlib.suppress(RuntimeFailure):  # it is tried again with the next one
                    await self._parts.runtime.remove_sandbox(sandbox.id)
                self.handle(stimuli.SandboxFailed(str(error)))
                return
            logger.warning("the addresses of pod %s: %s", pod_text(self.machine.pod), error)
            ips = ()
        self.handle(stimuli.SandboxReady(sandbox, tuple(ips)))

    async def _ensure_image(self, name: str) -> None:
        """The container's image, and those of its volumes."""
        spec, sources = self._spec(name), config.image_volumes(self.machine.pod)
        try:
            image, text = await self._present_or_pulled(name, spec.image, spec.image_pull_policy)
            for mount in spec.volume_mounts:
                source = sources.get(mount.name)
                if source is not None:
                    policy = source.pull_policy
                    self.volume_images[mount.name], told = await self._present_or_pulled(name, source.reference, policy)
                    self.handle(stimuli.Noticed(normal("Pulled", told, self.machine.slots[name].path)))
        except _NoImage as error:
            self.handle(stimuli.ImageFailed(name, error.reason, str(error), error.event))
            return
        self._images[name] = image
        self.handle(stimuli.ImageReady(name, text))

    async def _present_or_pulled(self, name: str, reference: str, policy: str) -> tuple[Image, str]:
        """An image, and what the event says of how it came."""
        try:
            check_reference(reference)
        except RuntimeFailure as error:
            raise _NoImage(str(error), error.reason) from error
        try:
            image = await self._parts.images.present(self.machine.pod, reference)
        except RuntimeFailure as error:
            raise _NoImage(f'Failed to inspect image "{reference}": {error}', "ImageInspectError") from error
        if image is not None and policy != "Always":
            return image, f'Container image "{reference}" already present on machine and can be accessed by the pod'
        if policy == "Never":
            text = f'Container image "{reference}" is not present with pull policy of Never'
            raise _NoImage(text, ERR_IMAGE_NEVER_PULL)
        self.handle(stimuli.Pulling(name, reference))
        begun = self._parts.clock.monotonic()
        try:
            image = await self._parts.images.pull(self.machine.pod, reference)
        except RuntimeFailure as error:
            reason = error.reason or ERR_IMAGE_PULL
            event = f'Failed to pull image "{reference}": {error}' if reason == ERR_IMAGE_PULL else ""
            if isinstance(error, PullFailure) and error.missing_secrets:
                names = ", ".join(error.missing_secrets)
                text = f"Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
                self.handle(stimuli.Noticed(warning("FailedToRetrieveImagePullSecret", text)))
            raise _NoImage(str(error), reason, event) from error
        return image, pulled_text(reference, self._parts.clock.monotonic() - begun, image.size)

    async def _start_container(self, name: str, attempt: int, sandbox_id: str) -> None:
        """Configuration, creation, start, postStart; the failing stage names the waiting reason."""
        reason = config.CONFIG_ERROR
        try:
            container_config = await self._container_config(name, attempt)
            reason = CREATE_CONTAINER_ERROR
            sandbox = await self._sandbox_config(max(self.machine.attempts - 1, 0))
            container_id = await self._parts.runtime.create_container(sandbox_id, container_config, sandbox)
            self.handle(stimuli.ContainerMade(name, started=False))
            reason = RUN_CONTAINER_ERROR
            await self._parts.runtime.start_container(container_id)
            self.handle(stimuli.ContainerMade(name, started=True))
        except (RuntimeFailure, OSError) as error:
            text = str(error)
            if reason == RUN_CONTAINER_ERROR:
                text = f'failed to start container "{name}": {text}'
            self.handle(stimuli.ContainerFailed(name, getattr(error, "reason", "") or reason, text))
            if reason == RUN_CONTAINER_ERROR:
                await self.relist()
            return
        now = self._parts.now()
        await self._started(
            Container(
                container_id,
                name,
                self.machine.pod.metadata.uid,
                attempt,
                "running",
                self._spec(name).image,
                self._images[name].ref,
                created_at=now,
                started_at=now,
                hash=config.container_hash(self._spec(name)),
            )
        )

    async def _container_config(self, name: str, attempt: int) -> ContainerConfig:
        spec, parts, owner = self._spec(name), self._parts, self.machine.pod
        ips = parts.node.ips if owner.spec.host_network else self.machine.ips
        services, lookup = parts.cluster.services(owner), await parts.cluster.lookup(owner)
        files, allocatable = await parts.volumes.env_files(owner, spec), parts.node.allocatable or {}
        variables = config.environment(owner, spec, services, lookup, ips, parts.node.ips, allocatable, files)
        mounts = await parts.volumes.mounts(owner, spec, attempt, ips, variables)
        mounts += config.image_mounts(owner, spec, self.volume_images, variables)
        container_config = config.container_config(
            owner,
            spec,
            attempt,
            self._images[name],
            variables,
            mounts,
            parts.node.memory,
            parts.node.seccomp_dir,
            parts.node.defaults,
        )
        container_config = replace(container_config, devices=tuple(parts.volumes.devices(owner, spec)))
        target = self.machine.slots.get(self.machine.slots[name].target)
        if target is not None and target.current is not None:
            container_config = replace(container_config, target_id=target.current.id)
        return container_config

    async def _started(self, container: Container) -> None:
        """The postStart hook; then it counts as running."""
        spec, owner = self._spec(container.name), self.machine.pod
        handler = spec.lifecycle.post_start if spec.lifecycle is not None else None
        if handler is not None and not self.machine.finished:
            hook = asyncio.ensure_future(self._parts.prober.hook(owner, spec, container.id, handler, self._ip()))
            self._interruptible[container.name] = hook
            try:
                await asyncio.wait([hook])
                if not hook.cancelled():
                    hook.result()
            except HOOK_ERRORS as error:
                logger.warning("pod %s: %s", pod_text(owner), error)
                self.handle(stimuli.HookFailed(container.name, "PostStart"))
                grace = owner.spec.termination_grace_period_seconds
                await self._end(container, DEFAULT_GRACE if grace is None else grace)
                self.handle(stimuli.ContainerFailed(container.name, POST_START_HOOK_ERROR, str(error)))
                await self.relist()
                return
            finally:
                hook.cancel()
        self.handle(stimuli.ContainerRuns(container))
        await self.relist()  # it may have ended while it was not yet known

    async def _stop_container(self, instruction: instructions.StopContainer) -> None:
        container, grace = instruction.container, float(instruction.grace)
        spec, begun = self._spec(container.name), self._parts.clock.monotonic()
        handler = spec.lifecycle.pre_stop if spec.lifecycle is not None else None
        if instruction.hook and handler is not None:
            try:
                async with asyncio.timeout(grace) as limit:
                    await self._parts.prober.hook(self.machine.pod, spec, container.id, handler, self._ip())
            except HOOK_ERRORS as error:
                text = "PreStop hook not completed in grace period" if limit.expired() else str(error)
                logger.warning("pod %s: %s", pod_text(self.machine.pod), text)
                if not limit.expired():
                    self.handle(stimuli.HookFailed(container.name, "PreStop"))
        await self._wait_for_turn(instruction.after, grace - (self._parts.clock.monotonic() - begun))
        left = max(grace - (self._parts.clock.monotonic() - begun), MINIMUM_GRACE)
        ended = await self._end(container, left)
        self._stopping.pop(container.id, None)
        self.handle(stimuli.Stopped(ended))

    async def _wait_for_turn(self, after: Sequence[str], seconds: float) -> None:
        """Until those that end first have ended, or so many seconds are over."""
        with contextlib.suppress(TimeoutError):
            async with self._parts.clock.timeout(seconds):
                while any(self.machine.slots[name].running for name in after):
                    self._told.clear()
                    await self._told.wait()

    async def _end(self, container: Container, grace: float) -> Container:
        """Stops a container, however long the runtime is away meanwhile; what is known of its end."""
        while True:
            try:
                await self._parts.runtime.stop_container(container.id, grace)
                _, containers = await self._parts.runtime.list(self.machine.pod.metadata.uid)
            except (RuntimeFailure, OSError) as error:
                logger.warning("stopping container %s: %s", container.name, error)
                await self._parts.clock.sleep(SETUP_RETRY)
                continue
            ended = next((c for c in containers if c.id == container.id), None)
            if ended is None or ended.state != "exited":
                ended = replace(container, state="exited", exit_code=137, finished_at=self._parts.now())
            return ended

    async def _resize(self, name: str, container_id: str, resources: core.ResourceRequirements) -> None:
        """A pod that grows does so before its container, one that shrinks after it: neither may be more than what is around it."""
        spec, owner, error = msgspec.structs.replace(self._spec(name), resources=resources), self.machine.pod, ""
        try:
            with contextlib.suppress(OSError):
                await self._parts.cgroups.ensure(owner)
            limits = config.resources(owner, spec, self._parts.node.memory, self._parts.node.defaults)
            await self._parts.runtime.update_container(container_id, limits)
            await self._parts.cgroups.ensure(owner)
        except (RuntimeFailure, OSError) as failure:
            error = str(failure)
        self.handle(stimuli.Resized(name, container_id, resources, error))

    async def _stop_sandbox(self, sandbox_id: str) -> None:
        spec = self.machine.pod
        while True:
            try:
                if sandbox_id:
                    if not spec.spec.host_network:
                        await self._parts.network.teardown(sandbox_id, spec)
                    await self._parts.runtime.stop_sandbox(sandbox_id)
                await self._parts.volumes.cleanup(spec)
                await self._parts.cgroups.remove(spec)
                break
            except (RuntimeFailure, OSError) as error:
                self.handle(stimuli.TeardownFailed(str(error)))
                await self._parts.clock.sleep(SETUP_RETRY)
        if self.machine.failed is not None and self.machine.failed[0] == EVICTED:
            await self._forget_containers()  # what was evicted for want of room leaves nothing behind
        self.handle(stimuli.SandboxStopped())

    async def _probe(self, name: str, container_id: str, kind: stimuli.ProbeKind) -> None:
        state = self.machine.slots[name].probes.get(kind)
        if state is None:
            return
        spec = self._spec(name)
        ok: bool | None = None
        try:
            ok, message = await self._parts.prober.probe(self.machine.pod, spec, container_id, state.spec, self._ip())
        except RuntimeFailure as error:
            message = str(error)  # the runtime could not ask: that says nothing of the container
        result = "unknown" if ok is None else ("successful" if ok else "failed")
        self.probe_results[name, kind.capitalize(), result] += 1
        self.handle(stimuli.ProbeResult(container_id, kind, ok, message))

    async def _delete(self) -> None:
        """The last status, what the runtime still holds, then the object."""
        spec = self.machine.pod
        while True:
            try:
                await self._forget_containers()
                await self._parts.volumes.remove(spec.metadata.uid)
                if self._status is not None:
                    await self._parts.cluster.set_status(spec, self._status)
                await self._parts.cluster.delete(spec)
                break
            except (StatusError, RuntimeFailure, OSError) as error:
                logger.warning("deleting pod %s: %s", spec.metadata.name, error)
                await self._parts.clock.sleep(1.0)
        self._on_gone(spec.metadata.uid)

    async def _forget_containers(self) -> None:
        sandboxes, containers = await self._parts.runtime.list(self.machine.pod.metadata.uid)
        for container in containers:
            await self._parts.runtime.remove_container(container.id)
        for sandbox in sandboxes:
            await self._parts.runtime.remove_sandbox(sandbox.id)

    async def relist(self) -> None:
        """Tells the machine what the runtime has of this pod."""
        uid = self.machine.pod.metadata.uid
        while True:
            epoch = self._epoch
            sandboxes, containers = await self._parts.runtime.list(uid)
            if self.observe(epoch, sandboxes, containers):
                return

    @property
    def epoch(self) -> int:
        """To be read before a list that `observe` is told of."""
        return self._epoch

    def observe(self, epoch: int, sandboxes: Sequence[Sandbox], containers: Sequence[Container]) -> bool:
        """As relist, of a list of this pod's that was begun at an epoch; False where something has happened since then."""
        if epoch != self._epoch:
            return False
        self._observed = (epoch, sandboxes, containers)
        self._observed_at = self._parts.clock.monotonic()
        self.handle(stimuli.Observed(sandboxes, containers))
        return True

    def relisted(
        self, epoch: int, sandboxes: Sequence[Sandbox], containers: Sequence[Container], sync_seconds: float
    ) -> None:
        """As observe; what was observed already is told again once in a sync period only, and of a pod that is over never.

        So do upstream's pleg and sync loop, which has no worker any more for such a pod.
        """
        now = self._parts.clock.monotonic()
        if (epoch, sandboxes, containers) == self._observed:
            if now - self._observed_at < sync_seconds:
                return
            if self.machine.terminated:
                self._observed_at = now
                return
        self.observe(epoch, sandboxes, containers)
