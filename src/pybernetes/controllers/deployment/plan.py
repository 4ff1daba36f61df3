"""One sync of a deployment as a list of actions: it works on copies, and upstream's functions give its methods their names; pure.

Upstream: pkg/controller/deployment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pybernetes.api.conditions import condition
from pybernetes.api.pods import is_finished
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core

from ..common import clone
from . import util

Pods = Mapping[str, Sequence[core.Pod]]  # by uid of the replica set


@dataclass(frozen=True)
class CreateReplicaSet:
    """A new replica set; `revision` is what the deployment gets if it succeeds."""

    rs: apps.ReplicaSet


@dataclass(frozen=True)
class UpdateReplicaSet:
    """A change of a replica set, and the event that tells of it."""

    rs: apps.ReplicaSet
    event: str = ""


@dataclass(frozen=True)
class DeleteReplicaSet:
    """An old one beyond the history."""

    rs: apps.ReplicaSet


@dataclass(frozen=True)
class UpdateStatus:
    """The deployment with its new status and revision."""

    deployment: apps.Deployment


Action = CreateReplicaSet | UpdateReplicaSet | DeleteReplicaSet | UpdateStatus


class Rollout:
    """One sync of one deployment; the methods are upstream's functions of the same purpose."""

    def __init__(self, deployment: apps.Deployment, sets: Sequence[apps.ReplicaSet], pods: Pods, now: datetime) -> None:
        self.given = deployment
        self.d = clone(deployment)
        self.sets = list(sets)
        self.pods = pods
        self.now = now.replace(microsecond=0)
        self.actions: list[Action] = []
        self.new: apps.ReplicaSet | None = util.find_new(self.d, self.sets)
        self.old = [rs for rs in self.sets if self.new is None or rs.metadata.uid != self.new.metadata.uid]
        self.replicas = self.d.spec.replicas or 0

    @property
    def all(self) -> list[apps.ReplicaSet]:
        return [*self.old, *([self.new] if self.new is not None else [])]

    def run(self) -> list[Action]:
        """The actions; at most one UpdateStatus, the last."""
        d = self.d
        if d.metadata.deletion_timestamp is not None:
            self._sync_new(create=False)
            d.status = self._status()
            return self._finish()
        self._mark_paused()
        if d.spec.paused or self._is_scaling():
            self._sync_new(create=False)
            self._scale_all()
            if d.spec.paused:
                self._clean_up()
            d.status = self._status()
        elif d.spec.strategy.type == "Recreate":
            self._recreate()
        else:
            self._roll()
        return self._finish()

    def _finish(self) -> list[Action]:
        if (self.d.status, self.d.metadata.annotations) != (self.given.status, self.given.metadata.annotations):
            self.actions.append(UpdateStatus(self.d))
        return self.actions

    # --- conditions

    def _set(self, type: str, status: str, reason: str, message: str) -> None:
        util.set_condition(self.d.status, util.new_condition(type, status, reason, message, self.now))

    def _mark_paused(self) -> None:
        if not util.has_deadline(self.d):
            return
        progressing = condition(self.d.status.conditions, "Progressing")
        if progressing is not None and progressing.reason == "ProgressDeadlineExceeded":
            return
        paused = progressing is not None and progressing.reason == "DeploymentPaused"
        if self.d.spec.paused and not paused:
            self._set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        elif not self.d.spec.paused and paused:
            self._set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")

    def _status(self) -> apps.DeploymentStatus:
        return util.status_of(self.d, self.all, self.new, self.now)

    def _rollout_status(self) -> None:
        self.d.status = util.rollout_status(self.d, self.all, self.new, self.now)

    # --- the new replica set

    def _sync_new(self, create: bool) -> None:
        """Finds the replica set of the template, or makes it; revisions and their annotations follow."""
        revision = util.max_revision(self.old) + 1
        if self.new is not None:
            self._sync_existing(self.new, str(revision))
        elif create:
            self._create_new(str(revision))

    def _sync_existing(self, existing: apps.ReplicaSet, revision: str) -> None:
        rs = clone(existing)
        util.annotate_new(self.d, rs, revision, exists=True)
        rs.spec.min_ready_seconds = self.d.spec.min_ready_seconds
        if rs != existing:
            self._update(rs)
        self.d.metadata.annotations[util.REVISION] = rs.metadata.annotations[util.REVISION]
        if util.has_deadline(self.d) and condition(self.d.status.conditions, "Progressing") is None:
            self._set("Progressing", "True", "FoundNewReplicaSet", f'Found new replica set "{rs.metadata.name}"')

    def _create_new(self, revision: str) -> None:
        rs = util.new_replica_set(self.d)
        rs.spec.replicas = util.new_replicas(self.d, self.old, rs)
        util.annotate_new(self.d, rs, revision, exists=False)
        self.actions.append(CreateReplicaSet(clone(rs)))
        self.new = rs
        self.d.metadata.annotations[util.REVISION] = revision
        if util.has_deadline(self.d):
            self._set("Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{rs.metadata.name}"')

    # --- scaling

    def _update(self, rs: apps.ReplicaSet, event: str = "") -> None:
        """Plans a write, and goes on with what was written; two writes of one replica set become one."""
        name = rs.metadata.name
        for index, action in enumerate(self.actions):
            if isinstance(action, UpdateReplicaSet) and action.rs.metadata.name == name:
                self.actions[index] = UpdateReplicaSet(rs, event or action.event)
                break
        else:
            self.actions.append(UpdateReplicaSet(rs, event))
        if self.new is not None and self.new.metadata.name == name:
            self.new = rs
        self.old = [rs if other.metadata.name == name else other for other in self.old]

    def _scale(self, existing: apps.ReplicaSet, count: int) -> bool:
        """Sets the size and what the annotations say of the deployment's; whether the size changed."""
        current = existing.spec.replicas or 0
        rs = clone(existing)
        util.annotate_sizes(rs, self.replicas, self.replicas + util.max_surge(self.d))
        rs.spec.replicas = count
        if rs == existing:
            return False
        event = ""
        if current != count:
            way = "up" if count > current else "down"
            event = f"Scaled {way} replica set {rs.metadata.name} from {current} to {count}"
        self._update(rs, event)
        return bool(event)

    def _is_scaling(self) -> bool:
        """Whether an active replica set was made for another number of replicas."""
        sizes = [util.number(rs, util.DESIRED) for rs in util.active(self.all)]
        return any(size is not None and size != self.replicas for size in sizes)

    def _scale_all(self) -> None:
        one = util.active_or_latest(self.new, self.old)
        if one is not None:
            if one.spec.replicas != self.replicas:
                self._scale(one, self.replicas)
            return
        if util.is_saturated(self.d, self.new):
            for rs in util.active(self.old):
                self._scale(rs, 0)
        elif self.d.spec.strategy.type == "RollingUpdate":
            for rs, count in util.proportional_sizes(self.d, util.active(self.all)):
                self._scale(rs, count)

    # --- strategies

    def _recreate(self) -> None:
        self._sync_new(create=False)
        scaled = [self._scale(rs, 0) for rs in util.active(self.old)]
        if any(scaled) or self._old_pods_running():
            self._rollout_status()
            return
        if self.new is None:
            self._sync_new(create=True)
        assert self.new is not None
        self._scale_new(self.new, self.replicas)
        if util.is_complete(self.d, self.d.status):
            self._clean_up()
        self._rollout_status()

    def _old_pods_running(self) -> bool:
        if sum(rs.status.replicas for rs in self.old) > 0:
            return True
        new = self.new.metadata.uid if self.new is not None else ""
        return any(not is_finished(pod) for uid, pods in self.pods.items() if uid != new for pod in pods)

    def _scale_new(self, rs: apps.ReplicaSet, count: int) -> bool:
        return rs.spec.replicas != count and self._scale(rs, count)

    def _roll(self) -> None:
        self._sync_new(create=True)
        assert self.new is not None
        moved = self._reconcile_new(self.new) or self._reconcile_old(self.new)
        if not moved and util.is_complete(self.d, self.d.status):
            self._clean_up()
        self._rollout_status()

    def _reconcile_new(self, new: apps.ReplicaSet) -> bool:
        if (new.spec.replicas or 0) > self.replicas:
            return self._scale_new(new, self.replicas)
        return self._scale_new(new, util.new_replicas(self.d, self.old, new))

    def _reconcile_old(self, new: apps.ReplicaSet) -> bool:
        old_count = util.size(self.old)
        if old_count == 0:
            return False
        least = self.replicas - util.max_unavailable(self.d)
        new_unavailable = (new.spec.replicas or 0) - new.status.available_replicas
        spare = util.size(self.all) - least - new_unavailable
        if spare <= 0:
            return False
        cleaned = self._scale_down_unhealthy(spare)
        return self._scale_down_old(least) + cleaned > 0

    def _scale_down_unhealthy(self, most: int) -> int:
        """Pods that are not available serve nobody: they go first, and cost no availability."""
        total = 0
        for rs in util.by_age(util.active(self.old)):
            size = rs.spec.replicas or 0
            count = min(most - total, size - rs.status.available_replicas)
            if count > 0:
                self._scale(rs, size - count)
                total += count
        return total

    def _scale_down_old(self, least: int) -> int:
        available = sum(rs.status.available_replicas for rs in self.all)
        total = 0
        for rs in util.by_age(util.active(self.old)):
            size = rs.spec.replicas or 0
            count = min(size, available - least - total)
            if count > 0:
                self._scale(rs, size - count)
                total += count
        return total

    def _clean_up(self) -> None:
        """Deletes the oldest beyond the history; one that still has pods stays."""
        limit = self.d.spec.revision_history_limit
        if limit is None or limit == util.NO_LIMIT:
            return
        alive = sorted((rs for rs in self.old if rs.metadata.deletion_timestamp is None), key=util.revision)
        for rs in alive[: max(0, len(alive) - limit)]:
            if rs.status.replicas or rs.spec.replicas or rs.metadata.generation > rs.status.observed_generation:
                continue
            self.actions.append(DeleteReplicaSet(rs))


def plan(deployment: apps.Deployment, sets: Sequence[apps.ReplicaSet], pods: Pods, now: datetime) -> list[Action]:
    """What one sync does, in the order in which it must be done; `pods` are needed for Recreate alone."""
    return Rollout(deployment, sets, pods, now).run()
