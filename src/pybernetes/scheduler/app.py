"""The scheduler at work: listens to the cluster, tries pod after pod, binds (upstream: pkg/scheduler/scheduler.go, schedule_one.go).

One task decides; bindings, status patches and events are sent by others meanwhile. A pod counts on its node from the decision on
(it is assumed), and is taken off again where it cannot be bound.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import random
from collections import deque
from collections.abc import Sequence
from typing import Literal

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.client.eventseries import SeriesBroadcaster, SeriesRecorder
from pybernetes.client.types import Client, Informer, Informers, Object
from pybernetes.component.metrics import Registry

from .binder import Binder, BindingFailed, Bound
from .cluster import SELECTED_PODS, watch_cluster
from .evictions import Evictions
from .framework.clusterevents import Event, node_events
from .framework.conditions import ERROR, UNSCHEDULABLE, condition_patch, with_nomination
from .framework.diagnosis import Diagnosis
from .framework.interface import Failure, Nomination, NoNomination, Pick, Rejection, Verdict
from .framework.nominator import Nominator
from .framework.permits import WaitingPods
from .framework.queue import Queue, QueuedPod
from .metrics import Metrics
from .model.arrays import MANY_NODES, VECTORIZED
from .model.pods import DEFAULT_SCHEDULER, PodInfo, Shapes, responsible
from .model.table import NodeTable
from .profiles.config import Built, Options, build, queue_order
from .profiles.profile import Placement
from .statuspatches import StatusPatches

_log = logging.getLogger(__name__)

FLUSH_SECONDS = 30.0  # how often pods that wait too long are looked for, as upstream does
SLICE_SECONDS = 0.005  # of deciding before the loop gets a turn: bindings go out and news come in between
SYNC_POLL = 0.05
REMEDY = "pip install 'pybernetes[scheduler]'"


class Scheduler:
    """See the module; `run` works until cancelled. Must be made before the informers run."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        options: Options,
        registry: Registry,
        clock: Clock,
        pick: Pick,
        host: str,
    ) -> None:
        self._client, self._clock, self._pick = client, clock, pick
        self._options = options
        self.table = NodeTable()
        self.cluster = watch_cluster(informers, self._on_change)
        self._shapes = Shapes()
        self._profiles: dict[str, Built] = {}
        self.waiting = WaitingPods(self._decided)
        for profile in options.profiles:
            built = build(profile, self.table, self.cluster, self.waiting, options.registry)
            self._profiles[profile.name] = built
        hints = {name: plugin.events for built in self._profiles.values() for name, plugin in built.plugins.items()}
        self.queue = Queue(
            hints, queue_order(list(self._profiles.values())), options.initial_backoff, options.max_backoff
        )
        self.nominator = Nominator()
        self._assumed: set[str] = set()
        self._held: dict[str, Bound] = {}  # decided, but a plug-in's permit is still to come
        self._allowed: deque[Bound] = deque()  # of those, what may be bound now
        self._statuses = StatusPatches(client)
        self._binder = Binder(client, self._statuses, options.concurrent_bindings, self._is_bound, self._unbound, clock)
        self._evictions = Evictions(client, clock.now, self._recorder, self._evicted)
        self._wake = asyncio.Event()
        self._is_small = not VECTORIZED  # until there are so many nodes that it is said what is missing
        self._events = SeriesBroadcaster(client, clock, host)
        self.recorders = {name: self._events.recorder(name) for name in self._profiles}
        self.metrics = Metrics(registry, self.queue.sizes, self._sizes, lambda: self.queue.incoming, self.queue.refused)
        nodes = informers.informer(core.Node)
        pods = informers.informer(core.Pod, field_selector=SELECTED_PODS)
        self._informers: list[Informer[Object]] = [nodes, pods, *self.cluster.informers]
        nodes.add_handler(self._on_node)
        pods.add_handler(self._on_pod)

    async def run(self) -> None:
        """Schedules, once the informers have told what there is."""
        while not all(informer.synced for informer in self._informers):
            await self._clock.sleep(SYNC_POLL)
        _log.info(
            "%d nodes, %d pods on them, %s pods to place", len(self.table), self.table.pod_total(), self._waiting()
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._events.run())
                group.create_task(self._binder.run())
                group.create_task(self._statuses.run())
                group.create_task(self._flush())
                group.create_task(self._schedule())
        finally:
            self._evictions.stop()

    def _waiting(self) -> int:
        return sum(self.queue.sizes().values())

    def _sizes(self) -> dict[str, int]:
        return {"nodes": len(self.table), "pods": self.table.pod_total(), "assumed_pods": len(self._assumed)}

    # News.

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        if new is None:
            self.table.remove_node(old.metadata.name if old is not None else "")
        else:
            self.table.set_node(new)
            if self._is_small and len(self.table) >= MANY_NODES:
                self._is_small = False
                _log.warning("%d nodes: to place pods takes ever longer without numpy: %s", len(self.table), REMEDY)
        for event in node_events(old, new):
            self._move(event, old, new)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        if new is None:
            if old is not None:
                self._gone(old)
        elif new.spec.node_name:
            self._assigned(old, new)
        elif responsible(new, self._profiles):
            self._pending(old, new)

    def _gone(self, pod: core.Pod) -> None:
        uid = pod.metadata.uid
        self.queue.delete(uid)
        self.nominator.remove(uid)
        if (held := self._held.pop(uid, None)) is not None:
            self.waiting.remove(uid)
            for plugin in held.plugins:
                plugin.release(held.queued.info)
        self._assumed.discard(uid)
        if pod.spec.node_name or self.table.place(uid) is not None:
            self.table.remove_pod(uid)
            self._move(Event.ASSIGNED_POD_DELETE, pod, None)

    def _assigned(self, old: core.Pod | None, new: core.Pod) -> None:
        info, node = self._shapes.info(new), new.spec.node_name
        fresh = old is None or not old.spec.node_name
        if fresh:
            self.queue.delete(info.uid)
            self.nominator.remove(info.uid)
            self._assumed.discard(info.uid)
        unchanged = self.table.refresh(info, node)
        if not unchanged:
            self.table.add_pod(info, node)
        if fresh:
            self._move(Event.ASSIGNED_POD_ADD, None, new)
        elif not unchanged:
            self._move(Event.ASSIGNED_POD_UPDATE, old, new)

    def _pending(self, old: core.Pod | None, new: core.Pod) -> None:
        info = self._shapes.info(new)
        self.nominator.observe(old.status.nominated_node_name if old is not None else "", info)
        if info.uid in self._assumed:
            waiting = self.queue.get(info.uid)
            if waiting is not None:
                waiting.info = info  # it is being bound; where that fails its newest state is tried
            return
        gate = self._gate(info)
        if old is None:
            self.queue.add(info, self._clock.monotonic(), gate is not None)
        else:
            helps = old.spec != new.spec or old.metadata.labels != new.metadata.labels
            self.queue.update(info, self._clock.monotonic(), gate is not None, helps)
        self._wake.set()

    def _gate(self, info: PodInfo) -> Verdict | None:
        for plugin in self._built(info).profile.gates:
            rejection = plugin.pre_enqueue(info)
            if rejection is not None:
                return rejection
        return None

    def _on_change(self, event: Event, old: Object | None, new: Object | None) -> None:
        if event is Event.NAMESPACE_CHANGE:
            self.table.counts.forget()
        elif event in (Event.CLAIM_ADD, Event.CLAIM_UPDATE):
            self._binder.claims_changed()
        self._move(event, old, new)

    def _move(self, event: Event, old: Object | None, new: Object | None) -> None:
        self.queue.move(event, old, new, self._clock.monotonic())
        self._wake.set()

    # Trying.

    async def _schedule(self) -> None:
        turn = self._clock.monotonic()
        while True:
            queued = self.queue.pop(self._clock.monotonic())
            if queued is None:
                await self._idle()
                turn = self._clock.monotonic()
                continue
            bound = self._try(queued)
            if bound is not None and self._permitted(bound):
                await self._binder.put(bound)
            while self._allowed:
                await self._binder.put(self._allowed.popleft())
            if self._clock.monotonic() - turn > SLICE_SECONDS:
                self.waiting.expire(self._clock.monotonic())
                await asyncio.sleep(0)
                turn = self._clock.monotonic()

    def _permitted(self, bound: Bound) -> bool:
        """Whether it may be bound now; else it waits, or is rejected."""
        permits = self._built(bound.queued.info).permits
        if not permits:
            return True
        answer = self.waiting.ask(permits, bound.queued.info, bound.node, self._clock.monotonic())
        if answer is None:
            return True
        if isinstance(answer, Rejection):
            self._rejected(bound, answer)
        else:
            self._held[bound.queued.info.uid] = bound
        return False

    def _decided(self) -> None:
        """A plug-in has allowed or rejected a pod that waited."""
        for waiting in self.waiting:
            if waiting.decided and (bound := self._held.pop(waiting.info.uid, None)) is not None:
                self.waiting.remove(waiting.info.uid)
                if waiting.rejection is not None:
                    self._rejected(bound, waiting.rejection)
                else:
                    self._allowed.append(bound)
        self._wake.set()

    def _rejected(self, bound: Bound, rejection: Rejection) -> None:
        queued, info = bound.queued, bound.queued.info
        for plugin in bound.plugins:
            plugin.release(info)
        self._give_back(info)
        self.queue.unschedulable(queued, {rejection.plugin}, self._clock.monotonic())
        self._tell(info.pod, "Warning", "FailedScheduling", "Scheduling", rejection.text)
        self._set_condition(info.pod, UNSCHEDULABLE, rejection.text)
        self._observe("unschedulable", self._built(info), bound.began)

    def _give_back(self, info: PodInfo) -> None:
        if info.uid in self._assumed:
            self._assumed.discard(info.uid)
            self.table.remove_pod(info.uid)
            self._move(Event.ASSIGNED_POD_DELETE, info.pod, None)

    async def _idle(self) -> None:
        self.waiting.expire(self._clock.monotonic())
        if self._allowed:
            await self._binder.put(self._allowed.popleft())
            return
        self._wake.clear()
        dues = (self.queue.next_due(), self.waiting.next_deadline())
        due = min((moment for moment in dues if moment is not None), default=None)
        try:
            async with self._clock.timeout(None if due is None else max(due - self._clock.monotonic(), 0.0)):
                await self._wake.wait()
        except TimeoutError:
            pass  # a back-off has ended

    async def _flush(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            self.queue.flush(self._clock.monotonic())
            self._wake.set()

    def _try(self, queued: QueuedPod) -> Bound | None:
        info = queued.info
        if info.terminating:
            self.queue.delete(info.uid)
            self._tell(
                info.pod, "Warning", "FailedScheduling", "Scheduling", f"skip schedule deleting pod: {_name(info)}"
            )
            return None
        if info.uid in self._evictions.under_way:
            self.queue.unschedulable(queued, queued.plugins, self._clock.monotonic())
            return None
        began = self._clock.monotonic()
        built = self._built(info)
        try:
            decision = built.profile.decide(info, self.nominator.by_node, self._pick)
        except Exception as error:  # one pod's trouble must not end the scheduler
            _log.exception("scheduling %s failed", _name(info))
            self._failed(queued, f"{type(error).__name__}: {error}", began)
            return None
        if isinstance(decision, Diagnosis):
            self._unschedulable(queued, built, decision, began)
            return None
        return self._assume(queued, built, decision, began)

    def _assume(self, queued: QueuedPod, built: Built, placement: Placement, began: float) -> Bound:
        info = queued.info
        updates = [u for plugin in built.binders for u in plugin.reserve(info, placement.node)]
        self.table.add_pod(info, placement.node)
        self._assumed.add(info.uid)
        self.metrics.algorithm_seconds.observe(self._clock.monotonic() - began)
        self.metrics.evaluated.inc(by=placement.evaluated)
        return Bound(queued, placement.node, updates, built.binders, began)

    def _unschedulable(self, queued: QueuedPod, built: Built, diagnosis: Diagnosis, began: float) -> None:
        info = queued.info
        after, node = "", None
        failure = Failure(info, diagnosis, self.nominator.by_node, built.profile, self._pick)
        outcome = self._post_filter(built, failure)
        if isinstance(outcome, Nomination):
            node = outcome.node
            self._preempt(info, outcome)
        elif outcome is not None:
            after = outcome.text
            if outcome.hopeless and info.pod.status.nominated_node_name:
                node = ""
                self.nominator.remove(info.uid)
        message = diagnosis.text(after)
        self.queue.unschedulable(queued, diagnosis.plugins, self._clock.monotonic())
        self._tell(info.pod, "Warning", "FailedScheduling", "Scheduling", message)
        self._set_condition(info.pod, UNSCHEDULABLE, message, node)
        self._observe("unschedulable", built, began)

    def _post_filter(self, built: Built, failure: Failure) -> Nomination | NoNomination | None:
        """The first nomination; without one what was said last (RunPostFilterPlugins)."""
        said: NoNomination | None = None
        for plugin in built.post_filters:
            answer = plugin.post_filter(failure)
            if answer is not None:
                self.metrics.preemption_attempts.inc()
            if isinstance(answer, Nomination):
                return answer
            said = answer or said
        return said

    def _failed(self, queued: QueuedPod, message: str, began: float) -> None:
        """An error: the pod is tried again after its back-off."""
        self.queue.failed(queued, self._clock.monotonic())
        self._tell(queued.info.pod, "Warning", "FailedScheduling", "Scheduling", message)
        self._set_condition(queued.info.pod, ERROR, message)
        self._observe("error", self._built(queued.info), began)
        self._wake.set()

    # Binding.

    def _is_bound(self, bound: Bound) -> None:
        info, built = bound.queued.info, self._built(bound.queued.info)
        attempts = bound.queued.attempts
        self.queue.delete(info.uid)
        self._tell(info.pod, "Normal", "Scheduled", "Binding", f"Successfully assigned {_name(info)} to {bound.node}")
        self._observe("scheduled", built, bound.began)
        self.metrics.pod_attempts.observe(attempts)
        self.metrics.sli_seconds.observe(
            self._clock.monotonic() - bound.queued.since, str(attempts) if attempts < 16 else "16+"
        )

    def _unbound(self, bound: Bound, error: BindingFailed) -> None:
        info = bound.queued.info
        if info.uid in self._assumed:
            self._give_back(info)
        elif self.table.place(info.uid) is not None:
            return  # it has got its node all the same
        if isinstance(error.cause, StatusError) and error.cause.code == 404:
            self.queue.delete(info.uid)
            return
        _log.warning("%s could not be bound to %s: %s", _name(info), bound.node, error)
        self._failed(bound.queued, str(error), bound.began)

    # Preemption.

    def _preempt(self, info: PodInfo, candidate: Nomination) -> None:
        self.metrics.preemption_victims.observe(len(candidate.victims))
        for other in self.nominator.less_important(info, candidate.node):
            self.nominator.remove(other.uid)
            self._statuses.put(other.pod, {"status": {"nominatedNodeName": None}})
            self.queue.update(other, self._clock.monotonic(), gated=False, helps=True)
        self.nominator.add(info, candidate.node)
        self._evictions.begin(info, candidate.node, candidate.victims)

    def _evicted(self, info: PodInfo, victims: Sequence[PodInfo], failed: bool) -> None:
        """Where victims still go, their end will be told; where all are gone, that was while the pod could not be tried."""
        waiting = self.queue.get(info.uid)
        if waiting is not None and (failed or not any(self.table.place(victim.uid) for victim in victims)):
            self.queue.update(waiting.info, self._clock.monotonic(), gated=False, helps=True)
            self._wake.set()

    # Telling.

    def _set_condition(self, pod: core.Pod, reason: str, message: str, node: str | None = None) -> None:
        patch = condition_patch(pod, "PodScheduled", "False", reason, message, self._clock.now())
        patch = with_nomination(patch, pod, node)
        if patch is not None:
            self._statuses.put(pod, patch)

    def _tell(self, pod: core.Pod, kind: Literal["Normal", "Warning"], reason: str, action: str, message: str) -> None:
        self._recorder(pod).event(pod, None, kind, reason, action, message)

    def _recorder(self, pod: core.Pod) -> SeriesRecorder:
        return self.recorders[pod.spec.scheduler_name or DEFAULT_SCHEDULER]

    def _built(self, info: PodInfo) -> Built:
        return self._profiles[info.pod.spec.scheduler_name or DEFAULT_SCHEDULER]

    def _observe(self, result: str, built: Built, began: float) -> None:
        self.metrics.attempts.inc(built.profile.name, result)
        self.metrics.attempt_seconds.observe(self._clock.monotonic() - began, built.profile.name, result)


def _name(info: PodInfo) -> str:
    return f"{info.namespace}/{info.pod.metadata.name}"


async def run(
    client: Client,
    informers: Informers,
    options: Options | None = None,
    *,
    registry: Registry | None = None,
    clock: Clock | None = None,
    pick: Pick = random.randrange,
) -> None:
    """Schedules, and keeps the informers (which must be nobody else's), until cancelled. Leader election is the caller's."""
    scheduler = Scheduler(
        client,
        informers,
        options or Options(),
        registry if registry is not None else Registry(),
        clock or RealClock(),
        pick,
        platform.node(),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(scheduler.run(), name="scheduler")
        group.create_task(informers.run(), name="informers")
