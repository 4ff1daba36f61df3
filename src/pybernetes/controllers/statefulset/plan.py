"""What a sync of a StatefulSet does; pure (upstream: pkg/controller/statefulset, stateful_set_control.go, stateful_set_utils.go)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from pybernetes.api.owners import controller_ref
from pybernetes.api.pods import is_available, is_finished, is_ready
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import CONTROLLER_REVISION_HASH_LABEL

from ..common import clone, pod_from_template, scaled
from ..job.indexes import Indexes

HASH_LABEL = "controller.kubernetes.io/hash"  # of revisions
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)")
BURST = 500  # pods that one sync of a parallel set creates at most, as replica sets do: replicas may be 2^31-1

# --- identity


def parent_and_ordinal(pod: core.Pod) -> tuple[str, int]:
    """The name of the set and the number; ("", -1) for other names."""
    match = _NAME.fullmatch(pod.metadata.name)
    return (match[1], int(match[2])) if match else ("", -1)


def is_member(ss: apps.StatefulSet, pod: core.Pod) -> bool:
    """Whether the pod's name is one of the set's."""
    return parent_and_ordinal(pod)[0] == ss.metadata.name


def ordinal(pod: core.Pod) -> int:
    return parent_and_ordinal(pod)[1]


def ordinals(ss: apps.StatefulSet) -> range:
    """Those that should be there; too many to be listed, maybe."""
    start = ss.spec.ordinals.start if ss.spec.ordinals is not None else 0
    return range(start, start + (ss.spec.replicas or 0))


def claim_name(ss: apps.StatefulSet, claim: core.PersistentVolumeClaim, number: int) -> str:
    return f"{claim.metadata.name}-{ss.metadata.name}-{number}"


def claims_of(ss: apps.StatefulSet, number: int) -> list[core.PersistentVolumeClaim]:
    """The claims of a pod, as they would be created."""
    result = []
    for template in ss.spec.volume_claim_templates:
        claim = clone(template)
        claim.metadata.name = claim_name(ss, template, number)
        claim.metadata.namespace = ss.metadata.namespace
        claim.metadata.labels.update(ss.spec.selector.match_labels if ss.spec.selector is not None else {})
        result.append(claim)
    return result


def _volumes(ss: apps.StatefulSet, pod: core.Pod) -> list[core.Volume]:
    """The pod's volumes with those of its claims."""
    number = ordinal(pod)
    names = {claim.metadata.name for claim in ss.spec.volume_claim_templates}
    own = [
        core.Volume(
            name=claim.metadata.name,
            persistent_volume_claim=core.PersistentVolumeClaimVolumeSource(claim_name=claim_name(ss, claim, number)),
        )
        for claim in ss.spec.volume_claim_templates
    ]
    return own + [volume for volume in pod.spec.volumes if volume.name not in names]


def new_pod(ss: apps.StatefulSet, template: core.PodTemplateSpec, revision: str, number: int) -> core.Pod:
    """The pod of an ordinal, not created yet."""
    pod = pod_from_template(template, ss)
    pod.metadata.name = f"{ss.metadata.name}-{number}"
    pod.metadata.labels |= {
        POD_NAME_LABEL: pod.metadata.name,
        POD_INDEX_LABEL: str(number),
        CONTROLLER_REVISION_HASH_LABEL: revision,
    }
    pod.spec.hostname = pod.metadata.name
    pod.spec.subdomain = ss.spec.service_name
    pod.spec.volumes = _volumes(ss, pod)
    return pod


def identity_matches(ss: apps.StatefulSet, pod: core.Pod) -> bool:
    """Whether the labels of the identity are there."""
    labels = pod.metadata.labels
    index = labels.get(POD_INDEX_LABEL) == str(ordinal(pod))
    return is_member(ss, pod) and labels.get(POD_NAME_LABEL) == pod.metadata.name and index


def storage_matches(ss: apps.StatefulSet, pod: core.Pod) -> bool:
    """Whether the pod has the volumes of its claims."""
    volumes = {volume.name: volume.persistent_volume_claim for volume in pod.spec.volumes}
    for claim in ss.spec.volume_claim_templates:
        source = volumes.get(claim.metadata.name)
        if source is None or source.claim_name != claim_name(ss, claim, ordinal(pod)):
            return False
    return True


def repaired(ss: apps.StatefulSet, pod: core.Pod) -> core.Pod:
    """The pod with its identity and its volumes."""
    result = clone(pod)
    result.metadata.labels |= {POD_NAME_LABEL: pod.metadata.name, POD_INDEX_LABEL: str(ordinal(pod))}
    if not storage_matches(ss, pod):
        result.spec.volumes = _volumes(ss, pod)
    return result


# --- states


def is_created(pod: core.Pod) -> bool:
    return pod.status.phase != ""


def is_terminating(pod: core.Pod) -> bool:
    return pod.metadata.deletion_timestamp is not None


def is_running_and_ready(pod: core.Pod) -> bool:
    return pod.status.phase == "Running" and is_ready(pod)


def is_healthy(pod: core.Pod) -> bool:
    return is_running_and_ready(pod) and not is_terminating(pod)


# --- retention of claims


def _policy(ss: apps.StatefulSet) -> tuple[str, str]:
    policy = ss.spec.persistent_volume_claim_retention_policy
    if policy is None:
        return "Retain", "Retain"
    return policy.when_deleted or "Retain", policy.when_scaled or "Retain"


def claim_owners(ss: apps.StatefulSet, pod: core.Pod, claim: core.PersistentVolumeClaim) -> list[meta.OwnerReference]:
    """The owners of a claim under the retention policy: the set's or the pod's end is then the claim's."""
    deleted, scaled_down = _policy(ss)
    leaving = ordinal(pod) not in ordinals(ss)
    wants_set = deleted == "Delete" and not (scaled_down == "Delete" and leaving)
    wants_pod = scaled_down == "Delete" and leaving
    rest = [ref for ref in claim.metadata.owner_references if ref.uid not in (ss.metadata.uid, pod.metadata.uid)]
    if any(ref.controller for ref in rest):
        return list(claim.metadata.owner_references)  # another controller's: hands off
    present = {ref.uid: ref for ref in claim.metadata.owner_references}
    if wants_set:
        rest.append(present.get(ss.metadata.uid) or controller_ref(ss))
    if wants_pod:
        rest.append(present.get(pod.metadata.uid) or controller_ref(pod))
    return rest


def claim_is_stale(pod: core.Pod, claim: core.PersistentVolumeClaim) -> bool:
    """Whether a claim is about to go with an earlier pod of the name."""
    return any(
        ref.kind == "Pod" and ref.name == pod.metadata.name and ref.uid != pod.metadata.uid
        for ref in claim.metadata.owner_references
    )


# --- the plan


@dataclass(frozen=True)
class CreatePod:
    """The pod is missing; those of its claims that are missing, too, are created before it."""

    pod: core.Pod


@dataclass(frozen=True)
class EnsureClaims:
    """A pending pod may wait for a claim that somebody deleted."""

    pod: core.Pod


@dataclass(frozen=True)
class UpdatePod:
    """Identity, storage or owners of claims are not as they should be."""

    pod: core.Pod


@dataclass(frozen=True)
class FixClaims:
    """Owners of a leaving pod's claims."""

    pod: core.Pod


@dataclass(frozen=True)
class DeletePod:
    """One that failed, is too many, or is of an old revision."""

    pod: core.Pod


Action = CreatePod | EnsureClaims | UpdatePod | FixClaims | DeletePod


@dataclass
class Revision:
    """A revision's name and template."""

    name: str
    template: core.PodTemplateSpec


@dataclass
class Plan:
    """The actions in their order, and the status."""

    status: apps.StatefulSetStatus
    actions: list[Action] = field(default_factory=list)


class Sync:
    """One sync; `claims_match` says whether the owners of a pod's claims are right, `stale` whether a claim is leaving."""

    def __init__(
        self,
        ss: apps.StatefulSet,
        pods: Sequence[core.Pod],
        current: Revision,
        update: Revision,
        now: datetime,
        claims_match: Callable[[core.Pod], bool] = lambda pod: True,
        stale: Callable[[core.Pod], bool] = lambda pod: False,
    ) -> None:
        self.ss, self.current, self.update, self.now = ss, current, update, now
        self.claims_match, self.stale = claims_match, stale
        self.monotonic = ss.spec.pod_management_policy != "Parallel"
        self.range = ordinals(ss)
        by_ordinal = {ordinal(pod): pod for pod in pods}
        present = [number for number in by_ordinal if number in self.range]
        burst = 1 if self.monotonic else BURST
        first = Indexes.of(present).first_missing(burst, self.range.stop, self.range.start)
        self.replicas = [by_ordinal.get(number) or self._versioned(number) for number in sorted((*present, *first))]
        self.left_out = len(self.range) - len(self.replicas)  # missing ones that are for later syncs
        leaving = [pod for number, pod in by_ordinal.items() if number >= 0 and number not in self.range]
        self.condemned = sorted(leaving, key=ordinal, reverse=True)
        self.plan = Plan(self._status())

    def _versioned(self, number: int) -> core.Pod:
        strategy = self.ss.spec.update_strategy
        rolling = strategy.rolling_update
        partition = rolling.partition if rolling is not None else None
        old = self.ss.status.current_replicas if partition is None else partition
        if strategy.type == "RollingUpdate" and number < self.range.start + old:
            return new_pod(self.ss, self.current.template, self.current.name, number)
        return new_pod(self.ss, self.update.template, self.update.name, number)

    def _available(self, pod: core.Pod) -> bool:
        return is_running_and_ready(pod) and is_available(pod, self.ss.spec.min_ready_seconds, self.now)

    def _status(self) -> apps.StatefulSetStatus:
        status = apps.StatefulSetStatus(
            observed_generation=self.ss.metadata.generation,
            current_revision=self.current.name,
            update_revision=self.update.name,
            collision_count=self.ss.status.collision_count or 0,
            conditions=self.ss.status.conditions,
        )
        for pod in (*self.replicas, *self.condemned):
            status.replicas += is_created(pod)
            status.ready_replicas += is_running_and_ready(pod)
            status.available_replicas += self._available(pod)
            if is_created(pod) and not is_terminating(pod):
                revision = pod.metadata.labels.get(CONTROLLER_REVISION_HASH_LABEL)
                status.current_replicas += revision == self.current.name
                status.updated_replicas += revision == self.update.name
        return status

    def run(self) -> Plan:
        """The plan; where a pod blocks the others it ends there. None is replaced before all have been created."""
        if self.ss.metadata.deletion_timestamp is None and self._replicas() and self._condemned() and not self.left_out:
            self._roll()
        self._complete()
        return self.plan

    def _do(self, action: Action) -> None:
        self.plan.actions.append(action)

    def _replicas(self) -> bool:
        return all(self._replica(pod) or not self.monotonic for pod in self.replicas)

    def _replica(self, pod: core.Pod) -> bool:
        """Whether the next ones may be looked at in monotonic mode."""
        if is_finished(pod):
            if not is_terminating(pod):
                self._do(DeletePod(pod))
            return False
        if not is_created(pod):
            if not self.stale(pod):
                self._do(CreatePod(pod))
            return False
        if pod.status.phase == "Pending":
            self._do(EnsureClaims(pod))
        if self.monotonic and (is_terminating(pod) or not self._available(pod)):
            return False
        if not (identity_matches(self.ss, pod) and storage_matches(self.ss, pod) and self.claims_match(pod)):
            self._do(UpdatePod(pod))
        return True

    def _condemned(self) -> bool:
        for pod in self.condemned:
            if not self.claims_match(pod):
                self._do(FixClaims(pod))
        first = next((pod for pod in (*self.replicas, *self.condemned) if not is_healthy(pod)), None)
        for pod in self.condemned:
            if is_terminating(pod):
                if self.monotonic:
                    return False
                continue
            if self.monotonic and not self._available(pod) and pod is not first:
                return False
            self._do(DeletePod(pod))
            if self.monotonic:
                return False
        return True

    def _roll(self) -> None:
        strategy = self.ss.spec.update_strategy
        if strategy.type == "OnDelete":
            return
        rolling = strategy.rolling_update or apps.RollingUpdateStatefulSetStrategy()
        # Here each ordinal of the range has a pod: places in the list are ordinals from the start.
        targets = list(reversed(self.replicas[rolling.partition or 0 :]))
        if rolling.max_unavailable is not None:
            self._roll_several(targets, max(1, scaled(rolling.max_unavailable, len(self.range), False)))
            return
        for pod in targets:
            if self._is_old(pod):
                self._replace(pod)
                return
            if not is_healthy(pod):
                return

    def _is_old(self, pod: core.Pod) -> bool:
        return pod.metadata.labels.get(CONTROLLER_REVISION_HASH_LABEL) != self.update.name and not is_terminating(pod)

    def _roll_several(self, targets: Sequence[core.Pod], limit: int) -> None:
        # Those below the partition count as well: all of the set serves together.
        room = limit - sum(is_terminating(pod) or not self._available(pod) for pod in self.replicas)
        for pod in [pod for pod in targets if self._is_old(pod)][: max(0, room)]:
            self._replace(pod)

    def _replace(self, pod: core.Pod) -> None:
        """Of a parallel set it may be on its way already, having failed."""
        deletion = DeletePod(pod)
        if deletion not in self.plan.actions:
            self._do(deletion)
        self.plan.status.current_replicas -= 1

    def _complete(self) -> None:
        """When all are of the new revision it is the current one."""
        status, replicas = self.plan.status, self.ss.spec.replicas or 0
        if self.ss.spec.update_strategy.type != "RollingUpdate":
            return
        if status.updated_replicas == status.ready_replicas == status.replicas == replicas:
            status.current_replicas, status.current_revision = status.updated_replicas, status.update_revision


def choose_revisions(
    ss: apps.StatefulSet, revisions: Sequence[apps.ControllerRevision], same: Callable[[apps.ControllerRevision], bool]
) -> tuple[apps.ControllerRevision | None, int]:
    """The revision of the present template with the number that it should have; None where it must be made.

    `revisions` are oldest first; `same` tells those of the present template.
    """
    following = revisions[-1].revision + 1 if revisions else 1
    alike = [revision for revision in revisions if same(revision)]
    if not alike:
        return None, following
    if alike[-1] is revisions[-1]:
        return alike[-1], alike[-1].revision
    return alike[-1], following


def surplus_revisions(
    ss: apps.StatefulSet,
    revisions: Sequence[apps.ControllerRevision],
    pods: Sequence[core.Pod],
    live: Sequence[str],
) -> list[apps.ControllerRevision]:
    """The oldest beyond the limit that neither a pod nor the status is of."""
    used = {*live, *(pod.metadata.labels.get(CONTROLLER_REVISION_HASH_LABEL) for pod in pods)}
    rest = [revision for revision in revisions if revision.metadata.name not in used]
    limit = ss.spec.revision_history_limit
    return rest[: max(0, len(rest) - (limit if limit is not None else 10))]


def with_owners(claim: core.PersistentVolumeClaim, owners: list[meta.OwnerReference]) -> core.PersistentVolumeClaim:
    """A claim with other owners."""
    return msgspec.structs.replace(claim, metadata=msgspec.structs.replace(claim.metadata, owner_references=owners))
