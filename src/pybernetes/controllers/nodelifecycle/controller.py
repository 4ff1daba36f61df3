"""Watches whether nodes are heard of, and taints those that are not (upstream: pkg/controller/nodelifecycle)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from datetime import datetime
from typing import Any

from pybernetes.aio.wakeup import Wakeup
from pybernetes.api.conditions import condition
from pybernetes.api.errors import StatusError
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import TAINT_NODE_NOT_READY, TAINT_NODE_UNREACHABLE
from pybernetes.client.retry import retry_on_conflict

from ..common import Key, clone
from ..framework import Context, Controller
from ..indexers import BY_NODE, by_node
from .health import (
    EXCLUDED,
    TAINTS,
    Health,
    Rates,
    Verdict,
    ZoneState,
    desired_labels,
    examine,
    has_taint,
    no_execute_taints,
    no_schedule_taints,
    not_ready_conditions,
    zone_of,
    zone_state,
)
from .taints import SlowTainter, set_taints

_log = logging.getLogger(__name__)

LEASES = "kube-node-lease"
SOON = 0.3  # seconds between a new or changed node and the look at all that it is a reason for
WORKERS = 8
TOLD_AT_ONCE = 500  # nodes registered before their events are sent: those that wait are limited, and more are dropped


class NodeLifecycleController(Controller):
    """A look at all nodes every few seconds; a queue of nodes for taints and labels, and of pods that come late."""

    name = "node-lifecycle-controller"
    account = "node-controller"
    component = "node-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, WORKERS)
        options = context.options
        self._grace = options.node_monitor_grace_period
        self._startup = options.node_startup_grace_period
        self._rates = Rates(
            options.node_eviction_rate, options.secondary_node_eviction_rate, options.large_cluster_size_threshold
        )
        self._health: dict[str, Health] = {}
        self._registered: dict[str, core.Node] = {}
        self._retry: set[str] = set()  # nodes whose pods could not all be marked
        self._zones: dict[str, ZoneState] = {}
        self._zone_of: dict[str, str] = {}
        self._tainter = SlowTainter(context.clock, self._taint_now)
        self._look = Wakeup(context.clock)
        self._nodes = self.informer(core.Node)
        self._pods = self.informer(core.Pod)
        self._leases = self.informer(coordination.Lease, namespace=LEASES)
        self._pods.add_index(BY_NODE, by_node)
        self._nodes.add_handler(self._on_node)
        self._pods.add_handler(self._on_pod)

    # --- what happens

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        if new is None:
            assert old is not None
            self._retry.discard(old.metadata.name)
            self._look.set()
            return
        self.queue.add(new.metadata.name)
        if old is None or _ready(old) != _ready(new):
            self._look.set()

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        if new is None or not new.spec.node_name or (old is not None and old.spec.node_name == new.spec.node_name):
            return
        node = self._nodes.get(new.spec.node_name)
        if node is not None and _ready(node) not in ("True", None):
            self.queue.add((new.metadata.namespace, new.metadata.name))

    def background(self) -> Iterable[Awaitable[None]]:
        return (self._monitor(), self._tainter.run())

    # --- one node, one pod

    async def sync(self, key: str | Key) -> None:
        """NoSchedule taints and labels of a node; or a pod that came to a node that is not ready."""
        if not isinstance(key, str):
            pod = self._pods.get(key[1], key[0])
            node = self._nodes.get(pod.spec.node_name) if pod is not None else None
            if pod is not None and node is not None and _ready(node) not in ("True", None):
                await self._mark_not_ready([pod])
            return
        node = self._nodes.get(key)
        if node is None:
            return
        await set_taints(self.client, node, lambda n: no_schedule_taints(n, self.now()), self.context.clock)
        labels = desired_labels(node.metadata.labels)
        if labels:
            await self._gently(
                self.client.patch(core.Node, key, "", {"metadata": {"labels": labels}}, type="strategic")
            )

    @staticmethod
    async def _gently(request: Awaitable[Any]) -> None:
        """What is gone needs nothing more."""
        try:
            await request
        except StatusError as error:
            if error.code != 404:
                raise

    # --- all nodes

    async def _monitor(self) -> None:
        clock, period = self.context.clock, self.context.options.node_monitor_period
        while True:
            try:
                await self.look()
            except (StatusError, ConnectionError, TimeoutError) as error:
                _log.warning("node lifecycle: %s", error)
            if await self._look.wait(period):
                await clock.sleep(SOON)
                self._look.clear()

    async def look(self) -> None:
        """Once: who is new, who is gone, who was not heard of; then what that means for the zones."""
        nodes: list[core.Node] = list(self._nodes.list())
        await self._register(nodes)
        statuses: dict[str, list[str | None]] = {}
        limit = asyncio.Semaphore(WORKERS)

        def count(node: core.Node, ready: str | None) -> None:
            if EXCLUDED not in node.metadata.labels:
                statuses.setdefault(self._zone_of[node.metadata.name], []).append(ready)

        async def one(node: core.Node) -> None:
            async with limit:
                verdict = await self._look_at(node)
            if verdict is not None:
                count(node, verdict.current)

        busy: list[core.Node] = []
        now = self.now()
        for node in nodes:
            verdict = self._examine(node, now)
            if verdict.is_old and self._is_settled(node, verdict.observed):
                self._health[node.metadata.name] = verdict.health
                count(node, verdict.current)
            else:
                busy.append(node)
        if busy:
            await asyncio.gather(*map(one, busy))
        await self._handle_disruption(statuses, nodes)

    def _is_settled(self, node: core.Node, ready: str) -> bool:
        """Nothing to do for a node that has the taint of its condition alone: nearly all, and not worth a task each."""
        name, taint = node.metadata.name, TAINTS["Ready"].get(ready)
        right = all(has_taint(node, key) == (key == taint) for key in TAINTS["Ready"].values())
        return right and name not in self._retry and not self._tainter.waits(name)

    async def _register(self, nodes: list[core.Node]) -> None:
        names = {node.metadata.name for node in nodes}
        for name in [name for name in self._registered if name not in names]:
            self._tell(self._registered.pop(name), "RemovingNode", f"Removing Node {name} from Controller")
            self._health.pop(name, None)
            self._zone_of.pop(name, None)
            self._tainter.remove(name)
        told = 0
        for node in nodes:
            name = node.metadata.name
            registered = self._registered.get(name)
            if registered is node:
                continue
            zone = self._zone_of[name] = zone_of(node)
            if zone not in self._zones:
                self._zones[zone] = ZoneState.INITIAL
                self._tainter.add_zone(zone, self._rates.normal)
            if registered is None:
                self._tell(node, "RegisteredNode", f"Registered Node {name} in Controller")
                told += 1
                if told % TOLD_AT_ONCE == 0:
                    await self.context.events.flush()
                await self._reachable(node)
            self._registered[name] = node

    def _tell(self, node: core.Node, reason: str, event: str) -> None:
        name = node.metadata.name
        about = core.ObjectReference(api_version="v1", kind="Node", name=name, uid=node.metadata.uid)
        self.recorder.normal(about, reason, f"Node {name} event: {event}")

    def _examine(self, node: core.Node, now: datetime) -> Verdict:
        lease = self._leases.get(node.metadata.name, LEASES)
        renewed = (lease.spec.renew_time or "") if lease is not None else ""
        before = self._health.get(node.metadata.name)
        return examine(node, renewed, before, now, self.monotonic(), self._grace, self._startup)

    async def _look_at(self, node: core.Node) -> Verdict | None:
        """None where its status could not be written: then nothing is concluded this time."""
        name = node.metadata.name
        try:
            node, verdict = await retry_on_conflict(
                self._judge, node, lambda: self.client.get(core.Node, name), clock=self.context.clock
            )
        except StatusError as error:
            _log.warning("node lifecycle: status of %s: %s", name, error)
            return None
        self._health[node.metadata.name] = verdict.health
        if verdict.current is not None:
            await self._conclude(node, verdict)
        return verdict

    async def _judge(self, node: core.Node) -> tuple[core.Node, Verdict]:
        """The verdict on this version of the node; written where it changes the status."""
        verdict = self._examine(node, self.now())
        if verdict.conditions is not None:
            desired = clone(node)
            desired.status.conditions = list(verdict.conditions)
            await self.client.update(desired, "status")
        return node, verdict

    async def _conclude(self, node: core.Node, verdict: Verdict) -> None:
        await self._taint_by(node, verdict.observed)
        name = node.metadata.name
        lost = verdict.current != "True" and verdict.observed == "True"
        if lost:
            about = core.ObjectReference(kind="Node", name=name, uid=node.metadata.uid)
            self.recorder.normal(about, "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        if lost or (name in self._retry and verdict.observed != "True"):
            try:
                await self._mark_not_ready(self._pods.by_index(BY_NODE, name))
            except (StatusError, ConnectionError, TimeoutError) as error:
                _log.warning("node lifecycle: pods of %s: %s", name, error)
                self._retry.add(name)
                return
        self._retry.discard(name)

    async def _mark_not_ready(self, pods: Iterable[core.Pod]) -> None:
        for pod in pods:
            conditions = not_ready_conditions(pod, self.now())
            if conditions is None:
                continue
            desired = clone(pod)
            desired.status.conditions = conditions
            await self._gently(self.client.update(desired, "status"))
            self.recorder.warning(pod, "NodeNotReady", "Node is not ready")

    # --- NoExecute taints

    async def _taint_by(self, node: core.Node, ready: str) -> None:
        if ready == "True":
            await self._reachable(node)
            return
        key, opposite = TAINT_NODE_UNREACHABLE, TAINT_NODE_NOT_READY
        if ready == "False":
            key, opposite = opposite, key
        if has_taint(node, opposite):  # no further node is lost: no need to go slowly
            await set_taints(self.client, node, lambda n: no_execute_taints(n, key, self.now()), self.context.clock)
        elif not has_taint(node, key):
            self._tainter.add(self._zone_of[node.metadata.name], node.metadata.name)

    async def _reachable(self, node: core.Node) -> None:
        await set_taints(self.client, node, lambda n: no_execute_taints(n, "", self.now()), self.context.clock)
        self._tainter.remove(node.metadata.name)

    async def _taint_now(self, name: str) -> None:
        node = self._nodes.get(name)
        key = TAINTS["Ready"].get(_ready(node) or "") if node is not None else None
        if node is not None and key is not None:
            await set_taints(self.client, node, lambda n: no_execute_taints(n, key, self.now()), self.context.clock)

    async def _handle_disruption(self, statuses: dict[str, list[str | None]], nodes: list[core.Node]) -> None:
        """Sets the zones' rates; with all zones lost it is rather we who are cut off, and nothing is evicted."""
        threshold = self.context.options.unhealthy_zone_threshold
        states = {zone: zone_state(ready, threshold) for zone, ready in statuses.items()}
        full = ZoneState.FULL_DISRUPTION
        was_lost = all(state is full for zone, state in self._zones.items() if zone in states)
        lost = all(state is full for state in states.values())
        for zone in [zone for zone in self._zones if zone not in states]:
            del self._zones[zone]
        if lost and was_lost:
            return
        if lost:
            _log.info("no node is ready: nothing is evicted until one is")
            for node in nodes:
                await self._reachable(node)
        elif was_lost:
            _log.info("some nodes are ready again")
            uptime = self.monotonic()
            self._health = {
                name: Health(uptime, health.heartbeat, health.renewed) for name, health in self._health.items()
            }
        for zone, state in states.items():
            if lost:
                self._tainter.set_rate(zone, 0.0)
            elif was_lost or state is not self._zones.get(zone):
                self._tainter.set_rate(zone, self._rates.of(state, len(statuses[zone])))
            self._zones[zone] = full if lost else state


def _ready(node: core.Node) -> str | None:
    ready = condition(node.status.conditions, "Ready")
    return ready.status if ready is not None else None
