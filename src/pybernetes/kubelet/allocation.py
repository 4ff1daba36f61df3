"""What the node gives to pods: which it takes, and whether they get the resources that they ask for later (upstream: pkg/kubelet/allocation)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from pybernetes.api.types import core_v1 as core

from .machine import admission, resize
from .machine import node as n
from .machine.stimuli import SpecChanged
from .node.keeper import NodeKeeper
from .options import KubeletOptions
from .worker import PodWorker


class AllocationManager:
    """Decides by the Node as `keeper` has it; before it is registered, by what it will be registered as."""

    def __init__(
        self,
        options: KubeletOptions,
        keeper: NodeKeeper,
        workers: Mapping[str, PodWorker],
        facts: Callable[[], n.NodeFacts],
        now: Callable[[], datetime],
        strict_groups: bool,
    ) -> None:
        """`strict_groups`: what NodeView says of it."""
        self._strict_groups = strict_groups
        self._options, self._keeper, self._workers, self._facts, self._now = options, keeper, workers, facts, now
        self._deferred: dict[str, core.Pod] = {}  # by uid, with the resources that they ask for

    def refusal(self, pod: core.Pod) -> admission.Refusal | None:
        """Why the node does not take it. One that runs already was taken before."""
        if pod.metadata.deletion_timestamp is not None or pod.status.phase not in ("", "Pending"):
            return None
        if pod.status.container_statuses:
            return None
        return admission.refused(pod, self._active(), self._view())

    def changed(self, worker: PodWorker, pod: core.Pod) -> SpecChanged:
        """What its worker is to be told: a pod that asks for other resources goes on with its own until they are granted."""
        uid, granted = pod.metadata.uid, worker.machine.pod
        self._deferred.pop(uid, None)
        if worker.machine.finished or not resize.asks_for_more(granted, pod):
            return SpecChanged(pod)
        pending = resize.pending(pod, self._active(besides=uid), self._view())
        if pending is None:
            return SpecChanged(pod)
        self._deferred[uid] = pod
        return SpecChanged(resize.as_granted(pod, granted), pending)

    def deferred(self) -> list[tuple[PodWorker, core.Pod]]:
        """Those to be asked for again, since others may have gone meanwhile."""
        self._deferred = {uid: pod for uid, pod in self._deferred.items() if uid in self._workers}
        return [(self._workers[uid], pod) for uid, pod in self._deferred.items()]

    def _active(self, besides: str = "") -> list[core.Pod]:
        workers: Iterable[PodWorker] = (worker for uid, worker in self._workers.items() if uid != besides)
        return [worker.machine.pod for worker in workers if not worker.machine.finished]

    def _view(self) -> admission.NodeView:
        facts = self._facts()
        node = self._keeper.node if self._keeper.registered else n.new_node(facts, self._now())
        return admission.NodeView(
            node.metadata.labels,
            n.merged_allocatable(facts, node.status),
            node.spec.taints,
            self._options.hostname_override,
            facts.pressure,
            self._options.allowed_unsafe_sysctls,
            self._strict_groups,
        )
