"""The kubelet's process: one node on a runtime, or thousands of hollow ones (upstream: cmd/kubelet, kubelet.go syncLoop)."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Client, Informer, Informers

from . import node as n
from . import pod
from .cluster import APICluster
from .events import Event
from .hollow import HollowNetwork, HollowProber, HollowVolumes
from .nodekeeper import NodeKeeper
from .recorder import Recorder
from .runtime.hollow import HollowRuntime
from .runtime.types import Runtime, RuntimeFailure
from .worker import Node, Parts, PodNetwork, PodWorker, Prober, Volumes

logger = logging.getLogger(__name__)

RELIST_SECONDS = 10.0  # the back-stop of pushed changes
RECONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class KubeletOptions:
    """Named as upstream's flags and KubeletConfiguration fields."""

    hostname_override: str
    node_ip: tuple[str, ...] = ("127.0.0.1",)
    node_labels: dict[str, str] = field(default_factory=dict)
    register_with_taints: tuple[core.Taint, ...] = ()
    register_node: bool = True
    root_dir: str = "/var/lib/kubelet"
    max_pods: int = 110
    port: int = 10250


def system_now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def by_node(pod: object) -> list[str]:
    """Index of pods by the node that they are bound to."""
    return [pod.spec.node_name] if isinstance(pod, core.Pod) and pod.spec.node_name else []


class Kubelet:
    """One node. `run` returns only when cancelled; containers go on then, and the next run takes them over."""

    def __init__(
        self,
        options: KubeletOptions,
        client: Client,
        pods: Informer,
        services: Informer | None,
        *,
        runtime: Runtime,
        network: PodNetwork,
        volumes: Volumes,
        prober: Prober,
        machine: n.Machine | None = None,
        clock: Clock | None = None,
        now: Callable[[], datetime] = system_now,
    ) -> None:
        self.options = options
        self._pods, self._runtime = pods, runtime
        self._network, self._volumes, self._prober = network, volumes, prober
        self._clock: Clock = clock or RealClock()
        self._now = now
        self._machine = machine or n.read_machine(options.root_dir)
        self._recorder = Recorder(client, options.hostname_override, now)
        self._cluster = APICluster(client, self._recorder, services)
        self.keeper = NodeKeeper(client, self._recorder, self._facts, self._clock, now)
        self._workers: dict[str, PodWorker] = {}
        self._done: set[str] = set()  # uids whose object was let go: late updates of them start nothing
        self._closing: set[asyncio.Task[None]] = set()
        self._problem = ""

    async def _facts(self) -> n.NodeFacts:
        options = self.options
        facts = n.NodeFacts(
            options.hostname_override,
            options.node_ip,
            self._machine,
            port=options.port,
            max_pods=options.max_pods,
            labels=options.node_labels,
            taints=options.register_with_taints,
        )
        try:
            name, version = await self._runtime.version()
            facts = replace(facts, runtime=f"{name}://{version}", images=await self._runtime.images())
        except RuntimeFailure as error:
            return replace(facts, problems=(f"container runtime is down: {error}",))
        return facts

    async def run(self) -> None:
        """Registers, then keeps the node's pods as the API wants them."""
        if self.options.register_node:
            await self.keeper.register()
        facts = await self._facts()
        self._parts = Parts(
            Node(
                self.options.hostname_override,
                self.options.node_ip,
                self._machine.memory_bytes,
                n.allocatable(facts),
                facts.runtime.partition(":")[0],
            ),
            self._runtime,
            self._network,
            self._volumes,
            self._prober,
            self._cluster,
            self._clock,
            self._now,
        )
        self._recorder.record(self.keeper.node, Event("Normal", "Starting", "Starting kubelet."))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._recorder.run())
                if self.options.register_node:
                    group.create_task(self.keeper.keep_status())
                    group.create_task(self.keeper.keep_lease())
                group.create_task(self._watch_runtime())
                group.create_task(self._relist())
                self._pods.add_handler(self.on_pod)
        finally:
            await asyncio.gather(*(worker.close() for worker in self._workers.values()), *self._closing)

    def on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        """An informer's handler; pods of other nodes are passed over."""
        present = new if new is not None else old
        if present is None or present.spec.node_name != self.options.hostname_override:
            return
        if new is not None and old is not None and old.metadata.uid != new.metadata.uid:
            self.on_pod(old, None)
        uid = present.metadata.uid
        worker = self._workers.get(uid)
        if new is None:
            if worker is not None and not worker.machine.gone:
                worker.handle(pod.SpecChanged(_deleted(present, self._now())))
            return
        if worker is None:
            if uid in self._done:
                return
            worker = self._workers[uid] = PodWorker(new, self._parts, self._gone)
            self._later(worker.relist())
        else:
            worker.handle(pod.SpecChanged(new))

    def _gone(self, uid: str) -> None:
        worker = self._workers.pop(uid, None)
        self._done.add(uid)
        if worker is not None:
            self._later(worker.close())

    def _later(self, work: object) -> None:
        async def guarded() -> None:
            try:
                await work  # type: ignore[misc]
            except RuntimeFailure as error:
                logger.warning("%s", error)

        task = asyncio.ensure_future(guarded())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _watch_runtime(self) -> None:
        while True:
            try:
                async for uid in self._runtime.changes():
                    worker = self._workers.get(uid)
                    if worker is not None:
                        await worker.relist()
            except RuntimeFailure as error:
                logger.warning("the runtime's events ended: %s", error)
            await self._clock.sleep(RECONNECT_SECONDS)

    async def _relist(self) -> None:
        """What events may have missed; and what belongs to pods that are no more."""
        while True:
            await self._clock.sleep(RELIST_SECONDS)
            try:
                sandboxes, containers = await self._runtime.list()
                for uid, worker in list(self._workers.items()):
                    mine = [c for c in containers if c.pod_uid == uid]
                    worker.handle(pod.Observed([s for s in sandboxes if s.uid == uid], mine))
                await self._collect_garbage()
            except RuntimeFailure as error:
                logger.warning("relisting containers: %s", error)

    async def _collect_garbage(self) -> None:
        """Dead containers beyond the last two runs of each, and all of pods that the API no longer has."""
        if not self._pods.synced:
            return
        sandboxes, containers = await self._runtime.list()
        for container in containers:
            if container.pod_uid not in self._workers:
                await self._runtime.stop_container(container.id, 0)
                await self._runtime.remove_container(container.id)
                continue
            newer = [c for c in containers if (c.pod_uid, c.name) == (container.pod_uid, container.name)]
            newer = [c for c in newer if c.attempt > container.attempt]
            if container.state == "exited" and len(newer) >= 2:
                await self._runtime.remove_container(container.id)
        for sandbox in sandboxes:
            if sandbox.uid not in self._workers:
                await self._runtime.stop_sandbox(sandbox.id)
                await self._runtime.remove_sandbox(sandbox.id)


def _deleted(spec: core.Pod, now: datetime) -> core.Pod:
    """A pod whose object is gone already: to be ended at once."""
    gone = copy.deepcopy(spec)
    gone.metadata.deletion_timestamp = gone.metadata.deletion_timestamp or now
    gone.metadata.deletion_grace_period_seconds = gone.metadata.deletion_grace_period_seconds or 0
    return gone


def pod_informer(informers: Informers, node_name: str) -> Informer:
    """The pods of one node."""
    return informers.informer(core.Pod, field_selector=f"spec.nodeName={node_name}")


class _Share:
    """An informer of one node's pods over the shared one of all."""

    def __init__(self, pods: Informer, name: str, handlers: dict[str, Callable[..., None]]) -> None:
        self._pods, self._name, self._handlers = pods, name, handlers

    def add_handler(self, handler: Callable[..., None]) -> None:
        self._handlers[self._name] = handler
        for pod_ in self.list():
            handler(None, pod_)

    def add_index(self, index: str, keys: object) -> None:
        raise NotImplementedError("a share of an informer has no indexes of its own")

    def get(self, name: str, namespace: str = "") -> core.Pod | None:
        return next((p for p in self.list(namespace) if p.metadata.name == name), None)

    def list(self, namespace: str = "") -> list[core.Pod]:
        found = self._pods.by_index("node", self._name)
        return [p for p in found if not namespace or p.metadata.namespace == namespace]

    def by_index(self, index: str, key: str) -> Sequence[core.Pod]:
        raise NotImplementedError("a share of an informer has no indexes of its own")

    @property
    def synced(self) -> bool:
        return self._pods.synced


def hollow_machine(cpus: int = 32, memory_bytes: int = 256 << 30) -> n.Machine:
    return n.Machine(cpus, memory_bytes, 1 << 40, kernel="hollow", os_image="hollow")


async def run_hollow(
    client: Client,
    informers: Informers,
    names: Sequence[str],
    *,
    machine: n.Machine | None = None,
    pod_cidr: str = "10.244.0.0/14",
    max_pods: int = 110,
    clock: Clock | None = None,
) -> None:
    """Nodes without processes, until cancelled: one watch for all their pods. The caller runs the informers."""
    pods = informers.informer(core.Pod, field_selector="spec.nodeName!=")
    pods.add_index("node", by_node)
    handlers: dict[str, Callable[..., None]] = {}

    def dispatch(old: core.Pod | None, new: core.Pod | None) -> None:
        present = new if new is not None else old
        handler = handlers.get(present.spec.node_name) if present is not None else None
        if handler is not None:
            handler(old, new)

    pods.add_handler(dispatch)
    network, shape = HollowNetwork(pod_cidr), machine or hollow_machine()
    async with asyncio.TaskGroup() as group:
        for name in names:
            kubelet = Kubelet(
                KubeletOptions(name, max_pods=max_pods),
                client,
                _Share(pods, name, handlers),
                None,
                runtime=HollowRuntime(),
                network=network,
                volumes=HollowVolumes(),
                prober=HollowProber(),
                machine=shape,
                clock=clock,
            )
            group.create_task(kubelet.run())
