"""The kubelet's process: one node on a runtime, or thousands of hollow ones (upstream: cmd/kubelet, kubelet.go syncLoop)."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import CONFIG_HASH_ANNOTATION
from pybernetes.client.types import Client, Informer, Informers, Notifier, present

from . import garbage, static
from .allocation import AllocationManager
from .cluster import APICluster
from .interfaces import PodNetwork, Runtime
from .machine import admission, dns, resize, stimuli
from .machine import node as n
from .machine.events import Event
from .machinery import Machinery
from .node.health import SyncLoopMonitor
from .node.host import read_machine
from .node.keeper import NodeKeeper
from .node.resources import ResourceKeeper
from .options import KubeletOptions
from .recorder import Recorder
from .runtime.images import ImagePuller
from .runtime.types import Container, Image, RuntimeFailure, Sandbox
from .worker import Node, Parts, PodWorker

logger = logging.getLogger(__name__)

# Where upstream's kubelet remembers devices: without it extended resources of the Node are of an earlier life.
DEVICE_CHECKPOINT = "device-plugins/kubelet_internal_checkpoint"
RELIST_SECONDS = 10.0  # the back-stop of pushed changes
RECONNECT_SECONDS = 1.0
RANGE_SECONDS = 0.2  # between looks at a Node that has no podCIDR yet


def whole_seconds(clock: Clock) -> Callable[[], datetime]:
    """The time of day as statuses have it."""
    return lambda: clock.now().replace(microsecond=0)


class Kubelet:
    """One node. `run` returns only when cancelled; containers go on then, and the next run takes them over."""

    def __init__(
        self,
        options: KubeletOptions,
        client: Client,
        pods: Notifier[core.Pod],
        nodes: Notifier[core.Node],
        services: Informer[core.Service] | None,
        *,
        machinery: Machinery,
        cluster: APICluster | None = None,
        recorder: Recorder | None = None,
        machine: n.Machine | None = None,
        clock: Clock | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """`pods` and `nodes` may tell of other nodes', which are passed over."""
        self.options = options
        self._pods, self._runtime, self._machinery = pods, machinery.runtime, machinery
        self._clock: Clock = clock or RealClock()
        self._now = now = now or whole_seconds(self._clock)
        self._machine = machine or read_machine(options.root_dir)
        self._recorder = recorder or Recorder(client, options.hostname_override, self._clock)
        self._cluster = cluster or APICluster(client, self._recorder, services, self._clock)
        self._mirrors = static.MirrorCluster(client, self._cluster, lambda: self.keeper.node)
        self._files = static.PodFiles(options.pod_manifest_path, options.hostname_override, now)
        self.keeper = NodeKeeper(
            client,
            self._recorder,
            self._facts,
            self._clock,
            now,
            options.status_seconds,
            machinery.on_host and not Path(options.root_dir, DEVICE_CHECKPOINT).exists(),
            options.lease_seconds,
        )
        nodes.add_handler(self.on_node)
        self._judging: dict[str, core.Pod] = {}  # refused by the Node as it was last known, until it is read again
        self._workers: dict[str, PodWorker] = {}
        self._done: set[str] = set()  # uids whose object was let go: late updates of them start nothing
        self._closing: set[asyncio.Task[None]] = set()
        self._ended = False  # informers that other nodes share go on
        self.sync_loop = SyncLoopMonitor(self._clock, options.sync_seconds)
        self._resources = ResourceKeeper(
            options,
            machinery.runtime,
            machinery.volumes,
            lambda: self._workers,
            self.keeper.check_soon,
            self._tell_of_node,
            self._clock,
            now,
        )
        self._parts = self._make_parts()
        self._allocation = AllocationManager(
            options, self.keeper, self._workers, self._node_facts, now, strict_groups=not machinery.on_host
        )

    # What the kubelet's ports tell.

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    @property
    def workers(self) -> Mapping[str, PodWorker]:
        """By uid; static pods are among them."""
        return self._workers

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        named = (w for w in self._workers.values() if w.machine.pod.metadata.name == name)
        return next((w for w in named if w.machine.pod.metadata.namespace == namespace), None)

    @property
    def pressure(self) -> tuple[str, ...]:
        """MemoryPressure, DiskPressure, PIDPressure: those that the node has."""
        return self._resources.pressure

    @property
    def allocatable(self) -> Mapping[str, Quantity]:
        return n.merged_allocatable(self._node_facts(), self.keeper.node.status)

    # The node.

    def on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        """An informer's handler; other nodes are passed over."""
        if present(old, new).metadata.name == self.options.hostname_override:
            self.keeper.on_node(old, new)

    def _node_facts(
        self, runtime: str = n.UNKNOWN_RUNTIME, images: Sequence[Image] = (), problems: Sequence[str] = ()
    ) -> n.NodeFacts:
        options = self.options
        return n.NodeFacts(
            options.hostname_override,
            options.node_ip,
            self._machine,
            port=options.port,
            max_pods=options.max_pods,
            labels=options.node_labels,
            taints=options.register_with_taints,
            pressure=self.pressure,
            pod_cidr=options.pod_cidr,
            resolvable=self._machinery.on_host,
            runtime=runtime,
            images=images,
            problems=tuple(problems),
            reserved=options.reserved,
            eviction_hard=options.evictions.hard,
            pods_per_core=options.pods_per_core,
            provider_id=options.provider_id,
            max_images=options.max_images,
        )

    async def _facts(self) -> n.NodeFacts:
        text = self._machinery.network.problem
        reason = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:"
        problems = [reason + text] if text else []
        try:
            name, version = await self._runtime.version()
            return self._node_facts(f"{name}://{version}", await self._runtime.images(), problems)
        except RuntimeFailure as error:
            return self._node_facts(problems=[*problems, f"container runtime is down: {error}"])

    async def run(self) -> None:
        """Registers, then keeps the node's pods as the API wants them."""
        self.sync_loop.entered()
        self._ended = False
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._recorder.run())
                if self.options.register_node:
                    # Static pods run before the API server answers: it may be one of them.
                    group.create_task(self._keep_node())
                group.create_task(self._watch_runtime())
                group.create_task(self._relist())
                if self._machinery.on_host:
                    group.create_task(self._keep_range(self._machinery.network))
                    group.create_task(self._refresh())
                    group.create_task(self._resources.run())
                if self.options.pod_manifest_path:
                    group.create_task(self._watch_files())
                self._pods.add_handler(self.on_pod)
        finally:
            self._ended = True
            await asyncio.gather(*(worker.close() for worker in self._workers.values()), *self._closing)

    def _tell_of_node(self, event: Event) -> None:
        """Which may not be registered yet."""
        about = core.Node()
        about.metadata.name = self.options.hostname_override
        self._recorder.record(about, event)

    async def _keep_node(self) -> None:
        self._tell_of_node(Event("Normal", "Starting", "Starting kubelet."))
        await self.keeper.register()
        if self._machinery.on_host:
            text = "Updated Node Allocatable limit across pods"
            self._recorder.record(self.keeper.node, Event("Normal", "NodeAllocatableEnforced", text))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.keeper.keep_status())
            group.create_task(self.keeper.keep_lease())

    def _make_parts(self) -> Parts:
        options, machinery = self.options, self._machinery
        node = Node(
            options.hostname_override,
            options.node_ip,
            machinery.runtime_name,
            self._machine.memory_bytes,
            n.allocatable(self._node_facts()),
            dns.Cluster(options.cluster_dns, options.cluster_domain),
            host_resolver(options.resolv_conf),
            machinery.on_host,
            options.pod_logs_dir,
            f"{options.root_dir}/seccomp",
            options.defaults,
        )
        return Parts(
            node,
            machinery.runtime,
            machinery.network,
            machinery.volumes,
            machinery.prober,
            machinery.images or ImagePuller(machinery.runtime, self._cluster.secret, options.parallel_pulls),
            machinery.cgroups,
            self._cluster,
            self._clock,
            self._now,
        )

    async def _keep_range(self, network: PodNetwork) -> None:
        """The range for the pods' addresses, as soon as the node has one."""
        cidr, pause, read_at = "", RANGE_SECONDS, 0.0
        while True:
            fresh = self.keeper.node.spec.pod_cidr or self.options.pod_cidr
            if fresh and fresh != cidr:
                cidr = fresh
                network.set_range(cidr)
                self.keeper.check_soon()
            # The watch may begin late. Where networks of plugins have their own ranges there never is one: that costs the API nothing.
            if not cidr and self._clock.monotonic() >= read_at:
                await self.keeper.reread()
                pause = min(2 * pause, RELIST_SECONDS)
                read_at = self._clock.monotonic() + pause
            await self._clock.sleep(RANGE_SECONDS if not cidr else RELIST_SECONDS)

    # Pods.

    def on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        """An informer's handler; pods of other nodes are passed over."""
        about = present(old, new)
        if self._ended or about.spec.node_name != self.options.hostname_override:
            return
        if static.is_mirror(about):
            self._on_mirror(about, gone=new is None)
            return
        if new is not None and old is not None and old.metadata.uid != new.metadata.uid:
            self.on_pod(old, None)
        self._update(about.metadata.uid, about, gone=new is None)

    def _update(self, uid: str, about: core.Pod, gone: bool) -> None:
        worker = self._workers.get(uid)
        if gone:
            self._done.discard(uid)
            self._judging.pop(uid, None)
            if worker is not None and not worker.machine.gone:
                worker.handle(stimuli.SpecChanged(_deleted(about, self._now())))
        elif worker is not None:
            self._change(worker, about)
        elif uid in self._judging:
            self._judging[uid] = about
        elif uid not in self._done:
            self._begin(uid, about, self._parts)

    def _change(self, worker: PodWorker, about: core.Pod) -> None:
        before, after = worker.machine.pod.metadata, about.metadata
        worker.handle(self._allocation.changed(worker, about))
        is_told = (before.labels, before.annotations) != (after.labels, after.annotations)
        if is_told and worker.machine.volumes_ready and not worker.machine.finished:
            self._later(self._machinery.volumes.refresh(worker.pod_with_ips()))  # downward API files tell of them

    def _begin(self, uid: str, spec: core.Pod, parts: Parts) -> None:
        refusal = self._allocation.refusal(spec)
        if refusal is not None and self.keeper.registered and not admission.is_static(spec):
            self._judging[uid] = spec
            self._later(self._judge_again(uid, parts))
        else:
            self._admit(uid, spec, parts, refusal)

    async def _judge_again(self, uid: str, parts: Parts) -> None:
        """The scheduler may have seen the Node change before the watch told of it."""
        await self.keeper.reread()
        spec = self._judging.pop(uid, None)
        if spec is not None:
            self._admit(uid, spec, parts, self._allocation.refusal(spec))

    def _admit(self, uid: str, spec: core.Pod, parts: Parts, refusal: admission.Refusal | None) -> None:
        if refusal is not None:
            self._recorder.record(spec, Event("Warning", *refusal))
            refusal = (refusal[0], f"Pod was rejected: {refusal[1]}")
        reported = resize.as_reported(spec)
        asks = resize.asks_for_more(reported, spec)
        worker = self._workers[uid] = PodWorker(reported if asks else spec, parts, self._gone, refusal)
        self._later(worker.relist())
        if asks:
            self._change(worker, spec)

    def _gone(self, uid: str) -> None:
        worker = self._workers.pop(uid, None)
        self._done.add(uid)
        if worker is not None:
            self._later(worker.close())

    def _later(self, work: Awaitable[Any]) -> None:
        async def guarded() -> None:
            try:
                await work
            except (RuntimeFailure, ConnectionError, OSError) as error:
                logger.warning("%s", error)

        task = asyncio.ensure_future(guarded())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # Static pods.

    async def _watch_files(self) -> None:
        parts = replace(self._parts, cluster=self._mirrors)
        running: set[str] = set()
        while True:
            try:
                static_pods = await asyncio.to_thread(self._files.pods)
            except OSError as error:
                logger.warning("static pods: %s", error)
            else:
                for uid in running - set(static_pods):
                    worker = self._workers.get(uid)
                    if worker is not None:
                        worker.handle(stimuli.SpecChanged(_deleted(worker.machine.pod, self._now())))
                present = {uid: worker.machine.pod for uid, worker in self._workers.items()}
                down = {uid for uid, worker in self._workers.items() if worker.machine.gone}
                for uid in static.startable(static_pods, present, down):
                    self._done.discard(uid)
                    self._begin(uid, static_pods[uid], parts)
                running = set(static_pods)
            await self._clock.sleep(self.options.file_check_seconds)

    def _on_mirror(self, mirror: core.Pod, gone: bool) -> None:
        """A mirror that somebody deletes comes again while its file is there; one without a file goes."""
        uid = mirror.metadata.annotations.get(CONFIG_HASH_ANNOTATION, "")
        worker = self._workers.get(uid)
        if worker is None:
            if not gone and self._pods.synced:
                self._later(self._cluster.delete(mirror))
        elif (gone or mirror.metadata.deletion_timestamp is not None) and not worker.machine.terminating:
            worker.write_status()

    # The runtime.

    async def _watch_runtime(self) -> None:
        said = ""
        while True:
            try:
                async for uid in self._runtime.changes():
                    for worker in self._workers.values() if not uid else filter(None, [self._workers.get(uid)]):
                        self._later(worker.relist())
                    if not uid:
                        said = ""
                        self.keeper.check_soon()
            except RuntimeFailure as error:
                if str(error) != said:
                    logger.warning("the runtime's events ended: %s", error)
                    said = str(error)
                    self.keeper.check_soon()
            await self._clock.sleep(RECONNECT_SECONDS)

    async def _relist(self) -> None:
        """What events may have missed; and what belongs to pods that are no more."""
        while True:
            await self._clock.sleep(RELIST_SECONDS)
            try:
                epochs = {uid: worker.epoch for uid, worker in self._workers.items()}
                sandboxes, containers = await self._runtime.list()
                self._observe(epochs, sandboxes, containers)
                if self._pods.synced:
                    await garbage.collect(self._machinery, self._workers, sandboxes, containers)
                for worker, about in self._allocation.deferred():
                    self._change(worker, about)
                self.sync_loop.entered()
            except (RuntimeFailure, OSError) as error:
                logger.warning("relisting containers: %s", error)

    def _observe(
        self, epochs: Mapping[str, int], sandboxes: Sequence[Sandbox], containers: Sequence[Container]
    ) -> None:
        """Tells each worker what the runtime has of its pod, which may have begun after its epoch was read."""
        sandboxes_of, containers_of = defaultdict[str, list[Sandbox]](list), defaultdict[str, list[Container]](list)
        for sandbox in sandboxes:
            sandboxes_of[sandbox.uid].append(sandbox)
        for container in containers:
            containers_of[container.pod_uid].append(container)
        for uid, epoch in epochs.items():
            worker = self._workers.get(uid)
            if worker is not None:
                worker.relisted(epoch, sandboxes_of[uid], containers_of[uid], self.options.sync_seconds)

    async def _refresh(self) -> None:
        """Changed config maps and secrets, and new tokens, once in a sync period."""
        while True:
            await self._clock.sleep(self.options.sync_seconds)
            for worker in list(self._workers.values()):
                if worker.machine.volumes_ready and not worker.machine.finished:
                    await self._machinery.volumes.refresh(worker.pod_with_ips())


def host_resolver(path: str) -> dns.Resolver:
    """The host's lines; none where the flag is empty."""
    if not path:
        return dns.Resolver()
    try:
        return dns.parse(Path(path).read_text())
    except OSError as error:
        logger.warning("--resolv-conf: %s", error)
        return dns.Resolver()


def _deleted(spec: core.Pod, now: datetime) -> core.Pod:
    """A pod whose object is gone already: to be ended at once."""
    gone = copy.deepcopy(spec)
    gone.metadata.deletion_timestamp = gone.metadata.deletion_timestamp or now
    if gone.metadata.deletion_grace_period_seconds is None:
        # A static pod's file tells of no other grace than the pod's own.
        own = gone.spec.termination_grace_period_seconds if admission.is_static(gone) else 0
        gone.metadata.deletion_grace_period_seconds = own or 0
    return gone


def pod_informer(informers: Informers, node_name: str) -> Informer[core.Pod]:
    """The pods of one node."""
    return informers.informer(core.Pod, field_selector=f"spec.nodeName={node_name}")


def node_informer(informers: Informers, node_name: str) -> Informer[core.Node]:
    """One Node."""
    return informers.informer(core.Node, field_selector=f"metadata.name={node_name}")
