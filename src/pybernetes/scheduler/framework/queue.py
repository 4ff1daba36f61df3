"""Which pod is next (upstream: pkg/scheduler/backend/queue).

Three places: active (to be tried, by priority), back-off (to be tried after a while), unschedulable (until something in the cluster changes
that may help, five minutes at the most). Gated pods wait beside these. Times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pybernetes.client.types import Object

from ..model.pods import PodInfo
from .clusterevents import Event, Hint
from .interface import SortKey

FIRST_BACKOFF = 1.0  # upstream's podInitialBackoffSeconds and podMaxBackoffSeconds
MAX_BACKOFF = 10.0
UNSCHEDULABLE_SECONDS = 300.0  # after so long a pod is tried again without any event

Hints = Mapping[str, Mapping[Event, Hint | None]]  # plug-in -> what may help a pod that it refused


@dataclass(slots=True, eq=False)
class QueuedPod:
    """A pod that has no node yet."""

    info: PodInfo
    since: float  # when it came
    attempts: int = 0
    at: float = 0.0  # of the last try
    plugins: frozenset[str] = frozenset()  # who refused it last time
    gated: bool = False
    failed_by_error: bool = False

    def backoff_ends(self, first: float, longest: float) -> float:
        """When it may be tried again."""
        if self.attempts == 0 or (not self.plugins and not self.failed_by_error):
            return self.at
        return self.at + float(min(first * 2.0 ** min(self.attempts - 1, 64), longest))


@dataclass(slots=True)
class Queue:
    """Pods by uid; one is in one place at a time, or out with the caller between `pop` and what follows."""

    hints: Hints
    sort_key: Callable[[PodInfo, float], SortKey]  # of a pod and when it came: the smallest is next
    first_backoff: float = FIRST_BACKOFF
    max_backoff: float = MAX_BACKOFF
    incoming: Counter[tuple[str, str]] = field(default_factory=Counter)  # (queue, event): for the metric
    _pods: dict[str, QueuedPod] = field(default_factory=dict)
    _active: dict[str, QueuedPod] = field(default_factory=dict)
    _backoff: dict[str, QueuedPod] = field(default_factory=dict)
    _unschedulable: dict[str, QueuedPod] = field(default_factory=dict)
    _groups: dict[frozenset[str], dict[str, QueuedPod]] = field(default_factory=dict)  # unschedulable ones by plug-ins
    # Heaps whose entries count only while the pod is in the place that they mean.
    _order: list[tuple[SortKey, int, str]] = field(default_factory=list)
    _timer: list[tuple[float, int, str]] = field(default_factory=list)
    _errors: list[tuple[float, int, str]] = field(default_factory=list)  # those that failed by an error
    _number: int = 0

    # Pods come, change and go.

    def add(self, info: PodInfo, now: float, gated: bool = False) -> None:
        """A pod without a node has come."""
        queued = self._pods[info.uid] = QueuedPod(info, now, at=now, gated=gated)
        if gated:
            self._unschedulable[info.uid] = queued
        else:
            self._activate(queued, "PodAdd")

    def update(self, info: PodInfo, now: float, gated: bool, helps: bool) -> None:
        """A pod that waits has changed; `helps`: its spec or labels have, so that it may fit now."""
        queued = self._pods.get(info.uid)
        if queued is None:
            self.add(info, now, gated)
            return
        queued.info = info
        if queued.gated and not gated:
            queued.gated = False
            self._leave(info.uid)
            self._activate(queued, Event.UNSCHEDULED_POD_UPDATE.value)
        elif helps and info.uid in self._unschedulable and not gated:
            self._move(queued, now, Event.UNSCHEDULED_POD_UPDATE)

    def delete(self, uid: str) -> None:
        """A pod is gone, or has its node."""
        self._leave(uid)
        self._pods.pop(uid, None)

    def get(self, uid: str) -> QueuedPod | None:
        """A pod that waits or is out."""
        return self._pods.get(uid)

    # Tries.

    def pop(self, now: float) -> QueuedPod | None:
        """The next pod to be tried, None if there is none now. Without active ones a back-off is cut short, unless it is for an error."""
        self._due(now)
        queued = self._first_active() or self._first_backing_off()
        if queued is not None:
            queued.attempts += 1
        return queued

    def _first_active(self) -> QueuedPod | None:
        while self._order:
            _, _, uid = heapq.heappop(self._order)
            queued = self._active.pop(uid, None)
            if queued is not None:
                return queued
        return None

    def _first_backing_off(self) -> QueuedPod | None:
        while self._timer:
            _, _, uid = heapq.heappop(self._timer)
            queued = self._backoff.get(uid)
            if queued is not None and not queued.failed_by_error:
                return self._backoff.pop(uid)
        return None

    def unschedulable(self, queued: QueuedPod, plugins: Iterable[str], now: float) -> None:
        """No node took it: it waits for an event that may help."""
        if self._pods.get(queued.info.uid) is queued:
            queued.at, queued.plugins, queued.failed_by_error = now, frozenset(plugins), False
            self._unschedulable[queued.info.uid] = queued
            self._groups.setdefault(queued.plugins, {})[queued.info.uid] = queued
            self.incoming["unschedulable", "ScheduleAttemptFailure"] += 1

    def failed(self, queued: QueuedPod, now: float) -> None:
        """Something went wrong with it: it is tried again after its back-off."""
        if self._pods.get(queued.info.uid) is queued:
            queued.at, queued.plugins, queued.failed_by_error = now, frozenset(), True
            self._leave(queued.info.uid)
            self._back_off(queued, "ScheduleAttemptFailure")

    # Events.

    def move(self, event: Event, old: Object | None, new: Object | None, now: float) -> None:
        """Something has changed: pods that it may help are tried again."""
        for plugins, members in list(self._groups.items()):
            hints = self._hints(plugins, event)
            for queued in list(members.values()) if hints else ():
                if any(hint is None or hint(queued.info, old, new) for hint in hints):
                    self._move(queued, now, event)

    def _hints(self, plugins: frozenset[str], event: Event) -> list[Hint | None]:
        """The hints on an event; none of them: it helps no pod that these plug-ins refused."""
        if not plugins:
            return [None]
        return [self.hints[name][event] for name in plugins if event in self.hints.get(name, {})]

    def flush(self, now: float) -> None:
        """Tries again what has waited too long."""
        for queued in list(self._unschedulable.values()):
            if not queued.gated and now - queued.at > UNSCHEDULABLE_SECONDS:
                self._leave(queued.info.uid)
                self._activate(queued, "UnschedulableTimeout")

    def next_due(self) -> float | None:
        """The monotonic time at which the next back-off ends; None where no pod is in one."""
        ends = []
        for timer in (self._timer, self._errors):
            while timer and timer[0][2] not in self._backoff:
                heapq.heappop(timer)
            ends += [timer[0][0]] if timer else []
        return min(ends, default=None)

    def sizes(self) -> dict[str, int]:
        """How many pods are active, in back-off, unschedulable and gated: the metric pending_pods."""
        gated = sum(queued.gated for queued in self._unschedulable.values())
        return {
            "active": len(self._active),
            "backoff": len(self._backoff),
            "unschedulable": len(self._unschedulable) - gated,
            "gated": gated,
        }

    def refused(self) -> Counter[tuple[str, str]]:
        """Unschedulable pods by (plug-in, scheduler name)."""
        waiting = [queued for queued in self._unschedulable.values() if not queued.gated]
        return Counter((name, q.info.pod.spec.scheduler_name) for q in waiting for name in q.plugins)

    # Places.

    def _move(self, queued: QueuedPod, now: float, event: Event) -> None:
        self._leave(queued.info.uid)
        if queued.backoff_ends(self.first_backoff, self.max_backoff) > now:
            self._back_off(queued, event.value)
        else:
            self._activate(queued, event.value)

    def _activate(self, queued: QueuedPod, event: str) -> None:
        self._number += 1
        self._active[queued.info.uid] = queued
        heapq.heappush(self._order, (self.sort_key(queued.info, queued.since), self._number, queued.info.uid))
        self.incoming["active", event] += 1

    def _back_off(self, queued: QueuedPod, event: str) -> None:
        self._number += 1
        self._backoff[queued.info.uid] = queued
        ends = queued.backoff_ends(self.first_backoff, self.max_backoff)
        timer = self._errors if queued.failed_by_error else self._timer
        heapq.heappush(timer, (ends, self._number, queued.info.uid))
        self.incoming["backoff", event] += 1

    def _leave(self, uid: str) -> None:
        for place in (self._active, self._backoff):
            place.pop(uid, None)
        queued = self._unschedulable.pop(uid, None)
        members = self._groups.get(queued.plugins) if queued is not None else None
        if members is not None:
            members.pop(uid, None)
            if queued is not None and not members:
                del self._groups[queued.plugins]

    def _due(self, now: float) -> None:
        for timer in (self._timer, self._errors):
            while timer and timer[0][0] <= now:
                _, _, uid = heapq.heappop(timer)
                queued = self._backoff.get(uid)
                # An entry of an earlier stay in back-off must not end a later one.
                if queued is not None and queued.backoff_ends(self.first_backoff, self.max_backoff) <= now:
                    del self._backoff[uid]
                    self._activate(queued, "BackoffComplete")
