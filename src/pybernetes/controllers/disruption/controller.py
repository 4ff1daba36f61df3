"""Says how many pods of a PodDisruptionBudget may be evicted (upstream: pkg/controller/disruption). The API server's eviction obeys it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from pybernetes.api.conditions import condition
from pybernetes.api.errors import StatusError
from pybernetes.api.labels import as_selector
from pybernetes.api.owners import controller_of
from pybernetes.api.resources import collection_path
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.types import policy_v1 as policy
from pybernetes.client.types import Informer

from ..common import clone, key_of, shown_selector
from ..framework import Context, Controller, resolve
from ..indexers import BY_LABEL, index_by_label
from .plan import (
    NoScale,
    count_healthy,
    disrupted,
    expected_and_desired,
    failed_status,
    needs_scale,
    stale_disruption,
    status_of,
)

BATCH_SECONDS = 0.02  # changes of pods are gathered
POD = "pod"  # first part of the keys of pods with a condition DisruptionTarget
UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the "
    "PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set "
    '".spec.minAvailable" field of the PDB to an integer value.'
)


class DisruptionController(Controller):
    """One queue of budgets; pods lead to theirs."""

    name = "disruption-controller"
    component = "controllermanager"
    account = "disruption-controller"
    queue_name = "disruption"

    def __init__(self, context: Context) -> None:
        super().__init__(context, 1)
        self._budgets = self.informer(policy.PodDisruptionBudget)
        self._pods = self.informer(core.Pod)
        self._rcs = self.informer(core.ReplicationController)
        self._rss = self.informer(apps.ReplicaSet)
        self._deployments = self.informer(apps.Deployment)
        self._statefuls = self.informer(apps.StatefulSet)
        self._pods.add_index(BY_LABEL, index_by_label)
        self._budgets.add_handler(self.on_change)
        self._pods.add_handler(self._on_pod)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            for pdb in self._budgets.list(pod.metadata.namespace):
                if as_selector(pdb.spec.selector).matches(pod.metadata.labels):
                    self.queue.add_after(key_of(pdb), BATCH_SECONDS)
        wait = stale_disruption(new, self.now()) if new is not None else None
        if wait is not None and new is not None:
            self.look_again((POD, *key_of(new)), wait)

    async def sync(self, key: Any) -> None:
        """A budget's status, or a pod's stale condition."""
        if len(key) == 3:
            await self._take_back(key[1], key[2])
            return
        pdb = self._budgets.get(key[1], key[0])
        if pdb is None:
            return
        now = self.now()
        try:
            status, recheck = await self._status(pdb, now)
        except (NoScale, ValueError) as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self.recorder.warning(pdb, "CalculateExpectedPodCountFailed", text)
            status, recheck = failed_status(pdb, str(error), now), None
        if status != pdb.status:
            copy = clone(pdb)
            copy.status = status
            await self.client.update(copy, "status")
        if recheck is not None:
            self.look_again(key, (recheck - now).total_seconds())

    async def _status(
        self, pdb: policy.PodDisruptionBudget, now: datetime
    ) -> tuple[policy.PodDisruptionBudgetStatus, datetime | None]:
        pods = self._selected(pdb)
        if not pods:
            self.recorder.normal(pdb, "NoPods", "No matching pods found")
        scale = await self._scale(pdb, pods) if needs_scale(pdb) else 0
        expected, desired = expected_and_desired(pdb, len(pods), scale)
        evicted = disrupted(pdb, pods, now)
        for pod in evicted.overdue:
            where = f"{pdb.metadata.namespace}/{pdb.metadata.name}"
            text = f"Pod was expected by PDB {where} to be deleted but it wasn't"
            self.recorder.warning(pod, "NotDeleted", text)
        healthy = count_healthy(pods, evicted.pods)
        return status_of(pdb, healthy, desired, expected, evicted.pods, now), evicted.recheck

    def _selected(self, pdb: policy.PodDisruptionBudget) -> list[core.Pod]:
        selector, namespace = as_selector(pdb.spec.selector), pdb.metadata.namespace
        labels = pdb.spec.selector.match_labels if pdb.spec.selector is not None else {}
        if labels:
            candidates = min(
                (list(self._pods.by_index(BY_LABEL, f"{namespace}/{k}={v}")) for k, v in labels.items()), key=len
            )
        else:
            candidates = list(self._pods.list(namespace))
        return [pod for pod in candidates if selector.matches(pod.metadata.labels)]

    async def _scale(self, pdb: policy.PodDisruptionBudget, pods: Sequence[core.Pod]) -> int:
        """The sum of what the pods' controllers ask for (getExpectedScale)."""
        sizes: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                unmanaged = True
            elif reference.uid not in sizes:
                sizes.update(await self._size(pod, reference))
        if unmanaged:
            text = UNMANAGED.format(shown_selector(pdb.spec.selector))
            self.recorder.warning(pdb, "UnmanagedPods", text)
        return sum(sizes.values())

    async def _size(self, pod: core.Pod, reference: meta.OwnerReference) -> dict[str, int]:
        """The size by uid: several replica sets of a deployment count once, the others as nothing."""
        namespace = pod.metadata.namespace
        sources: dict[str, Informer[core.ReplicationController | apps.ReplicaSet | apps.StatefulSet]] = {
            "ReplicationController": self._rcs,
            "ReplicaSet": self._rss,
            "StatefulSet": self._statefuls,
        }
        informer = sources.get(reference.kind)
        resolved = resolve(informer, reference, namespace, reference.kind) if informer is not None else None
        if resolved is None:
            return {reference.uid: await self._remote_size(pod, reference)}
        owner = controller_of(resolved)
        if reference.kind == "ReplicaSet" and owner is not None and owner.kind == "Deployment":
            deployment = resolve(self._deployments, owner, namespace, "Deployment")
            if deployment is None:
                raise NoScale(f'found no controllers for pod "{pod.metadata.name}"')
            return {reference.uid: 0, deployment.metadata.uid: deployment.spec.replicas or 0}
        return {resolved.metadata.uid: resolved.spec.replicas or 0}

    async def _remote_size(self, pod: core.Pod, reference: meta.OwnerReference) -> int:
        """Of any kind that has a scale."""
        path = collection_path(reference.api_version, reference.kind, pod.metadata.namespace)
        try:
            body = await self.client.raw("GET", f"{path}/{reference.name}/scale")
        except StatusError as error:
            if error.code not in (404, 405):
                raise
            group = reference.api_version.partition("/")[0] if "/" in reference.api_version else ""
            resource = f"{path.rpartition('/')[2]}.{group}".rstrip(".")
            raise NoScale(f"{resource} does not implement the scale subresource") from error
        scale = msgspec.json.decode(body)
        return int((scale.get("spec") or {}).get("replicas") or 0)

    async def _take_back(self, namespace: str, name: str) -> None:
        pod = self._pods.get(name, namespace)
        now = self.now()
        wait = stale_disruption(pod, now) if pod is not None else None
        if pod is None or wait is None:
            return
        if wait > 0:
            self.look_again((POD, namespace, name), wait)
            return
        copy = clone(pod)
        target = condition(copy.status.conditions, "DisruptionTarget")
        assert target is not None
        target.status, target.last_transition_time = "False", now.replace(microsecond=0)
        await self.client.update(copy, "status")
