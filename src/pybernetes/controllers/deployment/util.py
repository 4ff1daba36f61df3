"""The arithmetic and the texts of deployments; pure (upstream: pkg/controller/deployment/util, progress.go, sync.go)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from pybernetes.api.conditions import condition, without_condition
from pybernetes.api.owners import controller_ref
from pybernetes.api.times import shifted
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import LAST_APPLIED_CONFIG_ANNOTATION

from ..common import by_creation, clone, creation_order, scaled, template_hash

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = {
    LAST_APPLIED_CONFIG_ANNOTATION,
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
}
HISTORY_LENGTH = 2000  # characters of the annotation
NO_LIMIT = 2**31 - 1  # stands for "none" in revisionHistoryLimit and progressDeadlineSeconds

# --- replica sets


def same_template(a: core.PodTemplateSpec, b: core.PodTemplateSpec) -> bool:
    """Whether they differ in nothing but the hash label (EqualIgnoreHash)."""
    return a.spec == b.spec and _without_hash(a.metadata) == _without_hash(b.metadata)


def _without_hash(metadata: meta.ObjectMeta) -> meta.ObjectMeta:
    labels = {key: value for key, value in metadata.labels.items() if key != HASH_LABEL}
    return msgspec.structs.replace(metadata, labels=labels)


def find_new(d: apps.Deployment, sets: Sequence[apps.ReplicaSet]) -> apps.ReplicaSet | None:
    """The oldest with the deployment's template: where there are several, all look at the same."""
    return next((rs for rs in by_creation(sets) if same_template(rs.spec.template, d.spec.template)), None)


def new_replica_set(d: apps.Deployment) -> apps.ReplicaSet:
    """A replica set of the deployment's template, not sized yet."""
    template = clone(d.spec.template)
    hashed = template_hash(d.spec.template, d.status.collision_count)
    template.metadata.labels[HASH_LABEL] = hashed
    selector = clone(d.spec.selector or meta.LabelSelector())
    selector.match_labels[HASH_LABEL] = hashed
    return apps.ReplicaSet(
        metadata=meta.ObjectMeta(
            name=f"{d.metadata.name[: 253 - len(hashed) - 1]}-{hashed}",
            namespace=d.metadata.namespace,
            owner_references=[controller_ref(d)],
            labels=dict(template.metadata.labels),
        ),
        spec=apps.ReplicaSetSpec(
            replicas=0, min_ready_seconds=d.spec.min_ready_seconds, selector=selector, template=template
        ),
    )


def active(sets: Iterable[apps.ReplicaSet]) -> list[apps.ReplicaSet]:
    """Replica sets that ask for pods (FilterActiveReplicaSets); those at 0 are history."""
    return [rs for rs in sets if (rs.spec.replicas or 0) > 0]


def by_age(sets: Sequence[apps.ReplicaSet]) -> list[apps.ReplicaSet]:
    """The replica sets, oldest first; of one age by name."""
    return by_creation(sets)


def size(sets: Iterable[apps.ReplicaSet]) -> int:
    """The pods that they should have."""
    return sum(rs.spec.replicas or 0 for rs in sets)


def revision(rs: apps.ReplicaSet) -> int:
    """The annotation's number; 0 without one."""
    return number(rs, REVISION) or 0


def max_revision(sets: Iterable[apps.ReplicaSet]) -> int:
    return max((revision(rs) for rs in sets), default=0)


def number(rs: apps.ReplicaSet, annotation: str) -> int | None:
    """An annotation's number, None if it is absent or none."""
    try:
        return int(rs.metadata.annotations.get(annotation, ""))
    except ValueError:
        return None


def annotate_sizes(rs: apps.ReplicaSet, desired: int, most: int) -> None:
    """What the deployment asked for when the set was sized: how a later change is recognised as scaling."""
    rs.metadata.annotations.update({DESIRED: str(desired), MAX: str(most)})


def annotate_new(d: apps.Deployment, rs: apps.ReplicaSet, current: str, exists: bool) -> None:
    """The deployment's annotations and the revision, with those that it had before (SetNewReplicaSetAnnotations)."""
    notes = rs.metadata.annotations
    notes.update({key: value for key, value in d.metadata.annotations.items() if key not in NOT_COPIED})
    former = notes.get(REVISION)
    if revision(rs) < int(current):
        notes[REVISION] = current
        if former is not None:
            past = [item for item in notes.get(HISTORY, "").split(",") if item]
            while past and len(",".join([*past, former])) > HISTORY_LENGTH:
                past.pop(0)
            notes[HISTORY] = ",".join([*past, former])
    if not exists:
        replicas = d.spec.replicas or 0
        annotate_sizes(rs, replicas, replicas + max_surge(d))


# --- sizes


def fenceposts(surge: int | str | None, unavailable: int | str | None, desired: int) -> tuple[int, int]:
    """Surge and unavailable in numbers; both zero would never move (ResolveFenceposts)."""
    up, down = scaled(surge, desired, True), scaled(unavailable, desired, False)
    return (up, 1) if up == 0 and down == 0 else (up, down)


def _rolling(d: apps.Deployment) -> tuple[int, int]:
    rolling = d.spec.strategy.rolling_update
    if d.spec.strategy.type != "RollingUpdate" or rolling is None:
        return 0, 0
    return fenceposts(rolling.max_surge, rolling.max_unavailable, d.spec.replicas or 0)


def max_surge(d: apps.Deployment) -> int:
    return _rolling(d)[0]


def max_unavailable(d: apps.Deployment) -> int:
    replicas = d.spec.replicas or 0
    return min(_rolling(d)[1], replicas) if replicas else 0


def new_replicas(d: apps.Deployment, old: Sequence[apps.ReplicaSet], new: apps.ReplicaSet) -> int:
    """How large the new one may be now (NewRSNewReplicas)."""
    replicas, current = d.spec.replicas or 0, new.spec.replicas or 0
    if d.spec.strategy.type == "Recreate":
        return replicas
    rolling = d.spec.strategy.rolling_update
    surge = scaled(rolling.max_surge if rolling else None, replicas, True)
    room = replicas + surge - size([*old, new])
    return current if room <= 0 else current + min(room, replicas - current)


def active_or_latest(new: apps.ReplicaSet | None, old: Sequence[apps.ReplicaSet]) -> apps.ReplicaSet | None:
    """The only active one; if there is none the newest; None if there are several (FindActiveOrLatest)."""
    if new is None and not old:
        return None
    live = active([*old, *([new] if new is not None else [])])
    if not live:
        return new if new is not None else max(old, key=creation_order)
    return live[0] if len(live) == 1 else None


def is_saturated(d: apps.Deployment, rs: apps.ReplicaSet | None) -> bool:
    """Whether a set has all pods that the deployment asks for, available."""
    return (
        rs is not None
        and rs.spec.replicas == number(rs, DESIRED) == d.spec.replicas
        and rs.status.available_replicas == d.spec.replicas
    )


def proportional_sizes(d: apps.Deployment, sets: Sequence[apps.ReplicaSet]) -> list[tuple[apps.ReplicaSet, int]]:
    """Spreads a change of size in the middle of a rollout over all active sets; the first gets what is left over."""
    replicas = d.spec.replicas or 0
    allowed = replicas + max_surge(d) if replicas > 0 else 0
    missing = allowed - size(sets)
    # The larger first; of the same size the newer when there is more to come, the older when there is less.
    ordered = sorted(sets, key=creation_order, reverse=missing > 0)
    ordered.sort(key=lambda rs: -(rs.spec.replicas or 0))
    sizes: list[int] = []
    added = 0
    for rs in ordered:
        share = _share(rs, d, missing, added) if missing else 0
        sizes.append((rs.spec.replicas or 0) + share)
        added += share
    if missing and sizes:
        sizes[0] = max(0, sizes[0] + missing - added)
    return list(zip(ordered, sizes, strict=True))


def _share(rs: apps.ReplicaSet, d: apps.Deployment, missing: int, added: int) -> int:
    if not rs.spec.replicas or missing == added:
        return 0
    fraction, rest = _fraction(rs, d), missing - added
    return min(fraction, rest) if missing > 0 else max(fraction, rest)


def _fraction(rs: apps.ReplicaSet, d: apps.Deployment) -> int:
    current, replicas = rs.spec.replicas or 0, d.spec.replicas or 0
    if replicas == 0:
        return -current
    before = number(rs, MAX) or d.status.replicas
    if before == 0:
        return 0
    exact = current * (replicas + max_surge(d)) / before
    return math.floor(exact + 0.5) - current


# --- status and conditions


def new_condition(type: str, status: str, reason: str, message: str, now: datetime) -> apps.DeploymentCondition:
    moment = now.replace(microsecond=0)
    return apps.DeploymentCondition(
        type=type,
        status=status,
        reason=reason,
        message=message,
        last_update_time=moment,
        last_transition_time=moment,
    )


def set_condition(status: apps.DeploymentStatus, new: apps.DeploymentCondition) -> None:
    """Adds or replaces; nothing where status and reason are the same, the time of transition only where status changes."""
    present = condition(status.conditions, new.type)
    if present is not None and present.status == new.status:
        if present.reason == new.reason:
            return
        new.last_transition_time = present.last_transition_time
    status.conditions = [*without_condition(status.conditions, new.type), new]


def has_deadline(d: apps.Deployment) -> bool:
    return d.spec.progress_deadline_seconds not in (None, NO_LIMIT)


def status_of(
    d: apps.Deployment, sets: Sequence[apps.ReplicaSet], new: apps.ReplicaSet | None, now: datetime
) -> apps.DeploymentStatus:
    """What the replica sets amount to (calculateStatus)."""
    available = sum(rs.status.available_replicas for rs in sets)
    terminating = [rs.status.terminating_replicas for rs in sets]
    counts = [count for count in terminating if count is not None]
    status = apps.DeploymentStatus(
        observed_generation=d.metadata.generation,
        replicas=sum(rs.status.replicas for rs in sets),
        updated_replicas=new.status.replicas if new is not None else 0,
        ready_replicas=sum(rs.status.ready_replicas for rs in sets),
        available_replicas=available,
        unavailable_replicas=max(0, size(sets) - available),
        terminating_replicas=sum(counts) if len(counts) == len(terminating) else None,
        collision_count=d.status.collision_count,
        conditions=[clone(c) for c in d.status.conditions],
    )
    if available >= (d.spec.replicas or 0) - max_unavailable(d):
        reason, text, value = "MinimumReplicasAvailable", "Deployment has minimum availability.", "True"
    else:
        reason, text = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        value = "False"
    set_condition(status, new_condition("Available", value, reason, text, now))
    return status


def is_complete(d: apps.Deployment, status: apps.DeploymentStatus) -> bool:
    """Whether all pods are new and available."""
    replicas = d.spec.replicas or 0
    return (
        status.updated_replicas == status.replicas == status.available_replicas == replicas
        and status.observed_generation >= d.metadata.generation
    )


def is_progressing(d: apps.Deployment, status: apps.DeploymentStatus) -> bool:
    """Whether something moved since the last status."""
    before = d.status
    return (
        status.updated_replicas > before.updated_replicas
        or status.replicas - status.updated_replicas < before.replicas - before.updated_replicas
        or status.ready_replicas > before.ready_replicas
        or status.available_replicas > before.available_replicas
    )


def is_timed_out(d: apps.Deployment, status: apps.DeploymentStatus, now: datetime) -> bool:
    """Whether nothing moved for the progress deadline."""
    progressing = condition(status.conditions, "Progressing")
    if not has_deadline(d) or progressing is None or progressing.reason == "NewReplicaSetAvailable":
        return False
    if progressing.reason == "ProgressDeadlineExceeded":
        return True
    updated = progressing.last_update_time
    return updated is not None and shifted(updated, d.spec.progress_deadline_seconds or 0) < now


def rollout_status(
    d: apps.Deployment, sets: Sequence[apps.ReplicaSet], new: apps.ReplicaSet | None, now: datetime
) -> apps.DeploymentStatus:
    """The status with what is to say about progress (syncRolloutStatus)."""
    status = status_of(d, sets, new, now)
    progressing = condition(d.status.conditions, "Progressing")
    if not has_deadline(d):
        status.conditions = without_condition(status.conditions, "Progressing")
    done_before = (
        status.replicas == status.updated_replicas
        and progressing is not None
        and progressing.reason == "NewReplicaSetAvailable"
    )
    if has_deadline(d) and not done_before:
        _set_progress(d, status, new, progressing, now)
    failures = [c for rs in ([new] if new is not None else []) for c in rs.status.conditions]
    failures += [c for rs in sets for c in rs.status.conditions]
    failure = condition(failures, "ReplicaFailure")
    if failure is None:
        status.conditions = without_condition(status.conditions, "ReplicaFailure")
    else:
        told = new_condition("ReplicaFailure", failure.status, failure.reason, failure.message, now)
        told.last_update_time = told.last_transition_time = failure.last_transition_time
        set_condition(status, told)
    return status


def _set_progress(
    d: apps.Deployment,
    status: apps.DeploymentStatus,
    new: apps.ReplicaSet | None,
    progressing: apps.DeploymentCondition | None,
    now: datetime,
) -> None:
    what = f'ReplicaSet "{new.metadata.name}"' if new is not None else f'Deployment "{d.metadata.name}"'
    if is_complete(d, status):
        text = f"{what} has successfully progressed."
        set_condition(status, new_condition("Progressing", "True", "NewReplicaSetAvailable", text, now))
    elif is_progressing(d, status):
        moved = new_condition("Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing.", now)
        if progressing is not None and progressing.status == "True":
            moved.last_transition_time = progressing.last_transition_time
        # Removed first: the time of update must move even where status and reason stay.
        status.conditions = without_condition(status.conditions, "Progressing")
        set_condition(status, moved)
    elif is_timed_out(d, status, now):
        text = f"{what} has timed out progressing."
        set_condition(status, new_condition("Progressing", "False", "ProgressDeadlineExceeded", text, now))


def deadline_in(d: apps.Deployment, now: datetime) -> float | None:
    """Seconds until it must be looked at again for its deadline (requeueStuckDeployment)."""
    progressing = condition(d.status.conditions, "Progressing")
    if not has_deadline(d) or progressing is None or progressing.last_update_time is None:
        return None
    if is_complete(d, d.status) or progressing.reason == "ProgressDeadlineExceeded":
        return None
    deadline = shifted(progressing.last_update_time, d.spec.progress_deadline_seconds or 0)
    return max(0.0, (deadline - now).total_seconds()) + 1.0
