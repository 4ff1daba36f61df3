"""What a sync of a job does; pure (upstream: pkg/controller/job/job_controller.go, syncJob, manageJob, trackJobStatusAndRemoveFinalizers)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pybernetes.api.conditions import condition
from pybernetes.api.pods import is_active, is_ready, is_terminating, ready_since
from pybernetes.api.times import shifted
from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core

from ..common import clone
from . import util
from .backoff import Backoff, finish_time, remaining
from .indexes import Indexes
from .policies import judge, met_success_rule

BURST = 500  # pods that one sync creates or deletes at most
MAX_UNCOUNTED = 500  # uids in the status: more would make the object too large


@dataclass
class Changes:
    """What a sync does to pods. `delete` holds active ones; `end` says that the job is over for them."""

    delete: list[core.Pod] = field(default_factory=list)
    end: bool = False
    create: int = 0
    indexes: list[int] = field(default_factory=list)  # of the pods to create, for indexed jobs
    again: float | None = None  # seconds until the next look
    managed: bool = False  # whether the number of pods was looked at


class Round:
    """One sync: counts, then verdict, then `decide`; after the doing `status` tells what is to be written.

    `released` are uids of pods whose finalizer was removed already, which the cache has not shown yet.
    """

    def __init__(
        self,
        job: batch.Job,
        pods: Sequence[core.Pod],
        released: Collection[str],
        backoff: Backoff,
        now: datetime,
    ) -> None:
        self.job = clone(job)
        self.now = now.replace(microsecond=0)
        self.pods = sorted(pods, key=lambda p: util.index_of(p) or 0) if util.is_indexed(job) else list(pods)
        self.released = released
        self.active_pods = [pod for pod in self.pods if is_active(pod)]
        self.active = len(self.active_pods)
        self.ready = sum(map(is_ready, self.active_pods))
        self.terminating = sum(map(is_terminating, self.pods))
        status = self.job.status
        self.uncounted = status.uncounted_terminated_pods or batch.UncountedTerminatedPods()
        counted = {*self.uncounted.succeeded, *self.uncounted.failed}
        fresh = [pod for pod in self.tracked() if pod.metadata.uid not in counted and self._has_place(pod)]
        succeeded = [pod for pod in fresh if pod.status.phase == "Succeeded"]
        failed = [pod for pod in fresh if util.is_failed(pod, self.job)]
        policy = self.job.spec.pod_failure_policy
        self.succeeded = status.succeeded + len(succeeded) + len(self.uncounted.succeeded)
        self.failed = status.failed + len(self.uncounted.failed)
        self.failed += sum(judge(policy, pod).counts for pod in failed)
        self.backoff = backoff.after(succeeded, failed, self.now)
        self.former_indexes = Indexes()  # those that the status has as completed
        self.succeeded_indexes = Indexes()
        self.failed_indexes: Indexes | None = None  # None where indexes have no back-off limit of their own
        self.delayed: dict[int, core.Pod] = {}  # the last failed pod of an index that has no successor yet
        self.verdict: batch.JobCondition | None = None
        self.events: list[tuple[str, str, str]] = []

    def tracked(self) -> list[core.Pod]:
        """Pods that have the finalizer still."""
        return [pod for pod in self.pods if util.has_finalizer(pod) and pod.metadata.uid not in self.released]

    def _has_place(self, pod: core.Pod) -> bool:
        return not util.is_indexed(self.job) or util.valid_index(pod, self.job) is not None

    def condition(self, type: str, reason: str, message: str, status: str = "True") -> batch.JobCondition:
        """A condition whose times are this sync's."""
        return batch.JobCondition(
            type=type,
            status=status,
            reason=reason,
            message=message,
            last_probe_time=self.now,
            last_transition_time=self.now,
        )

    # --- is it over?

    def decide(self, satisfied: bool) -> Changes:
        """What to do about the pods; `satisfied`: the cache has seen all earlier creations and deletions."""
        job = self.job
        if job.status.start_time is None and not util.is_suspended(job):
            job.status.start_time = self.now
        changes = Changes()
        self.verdict = self._earlier_verdict() or self._failure(changes)
        if util.is_indexed(job):
            self._count_indexes()
        if self.verdict is not None:
            changes.delete, changes.end = list(self.active_pods), True
        elif satisfied and job.metadata.deletion_timestamp is None:
            self._manage(changes)
        return changes

    def _earlier_verdict(self) -> batch.JobCondition | None:
        conditions = self.job.status.conditions
        met = condition(conditions, "SuccessCriteriaMet")
        if met is not None and met.status == "True":
            return met
        target = condition(conditions, "FailureTarget")
        if target is not None and target.status == "True":
            return self.condition("Failed", target.reason, target.message)
        return None

    def _failure(self, changes: Changes) -> batch.JobCondition | None:
        job, spec = self.job, self.job.spec
        if spec.pod_failure_policy is not None:
            for pod in self.pods:
                verdict = judge(spec.pod_failure_policy, pod) if util.is_failed(pod, job) else None
                if verdict is not None and verdict.message:
                    return self.condition("FailureTarget", "PodFailurePolicy", verdict.message)
        if self.failed > (spec.backoff_limit or 0) or self._restarted_too_often():
            text = "Job has reached the specified backoff limit"
            return self.condition("FailureTarget", "BackoffLimitExceeded", text)
        if spec.active_deadline_seconds is None or util.is_suspended(job) or job.status.start_time is None:
            return None
        end = shifted(job.status.start_time, spec.active_deadline_seconds)
        if self.now >= end:
            text = "Job was active longer than specified deadline"
            return self.condition("FailureTarget", "DeadlineExceeded", text)
        changes.again = (end - self.now).total_seconds()
        return None

    def _restarted_too_often(self) -> bool:
        if self.job.spec.template.spec.restart_policy != "OnFailure":
            return False
        restarts = sum(
            status.restart_count
            for pod in self.pods
            if pod.status.phase in ("Running", "Pending")
            for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
        )
        limit = self.job.spec.backoff_limit or 0
        return restarts > 0 if limit == 0 else restarts >= limit

    def _count_indexes(self) -> None:
        job, completions = self.job, self.job.spec.completions or 0
        self.former_indexes = Indexes.parse(job.status.completed_indexes, completions)
        done = [pod for pod in self.pods if pod.status.phase == "Succeeded" and util.has_finalizer(pod)]
        self.succeeded_indexes = self.former_indexes | Indexes.of(util.valid_index(pod, job) for pod in done)
        self.succeeded = len(self.succeeded_indexes)
        if util.per_index(job):
            self._count_failed_indexes(completions)
        if self.verdict is None:
            rule = met_success_rule(job, self.succeeded_indexes)
            if rule is not None:
                text = f"Matched rules at index {rule}"
                self.verdict = self.condition("SuccessCriteriaMet", "SuccessPolicy", text)

    def _count_failed_indexes(self, completions: int) -> None:
        job = self.job
        failed = Indexes.parse(job.status.failed_indexes or "", completions)
        ended = [pod for pod in self.tracked() if util.valid_index(pod, job) is not None]
        failed |= Indexes.of(util.index_of(pod) for pod in ended if util.index_has_failed(pod, job))
        self.failed_indexes = failed - self.succeeded_indexes
        most = job.spec.max_failed_indexes
        if self.verdict is None and most is not None and len(self.failed_indexes) > most:
            text = "Job has exceeded the specified maximal number of failed indexes"
            self.verdict = self.condition("FailureTarget", "MaxFailedIndexesExceeded", text)
        count = len(self.failed_indexes) + self.succeeded
        if self.verdict is None and self.failed_indexes and count >= completions:
            self.verdict = self.condition("FailureTarget", "FailedIndexes", "Job has failed indexes")
        active = {util.index_of(pod) for pod in self.active_pods}
        for pod in self.tracked():
            index = util.valid_index(pod, job)
            if index is None or index in active or not util.is_failed(pod, job):
                continue
            if index in self.succeeded_indexes or index in self.failed_indexes:
                continue
            last = self.delayed.get(index)
            if last is None or self._is_later(pod, last):
                self.delayed[index] = pod

    def _is_later(self, pod: core.Pod, last: core.Pod) -> bool:
        counts = util.absolute_failure_count(last) <= util.absolute_failure_count(pod)
        return counts and finish_time(pod, self.now) >= finish_time(last, self.now)

    # --- how many pods?

    def _manage(self, changes: Changes) -> None:
        changes.managed = True
        job = self.job
        if util.is_suspended(job):
            changes.delete = list(self.active_pods)
            return
        target = self._target()
        surplus = self._surplus(max(0, self.active - target))[:BURST]
        if surplus:
            changes.delete = surplus
            return
        missing = target - self.active - (self.terminating if util.only_replaces_failed(job) else 0)
        if missing > 0:
            self._create(min(missing, BURST), changes)

    def _target(self) -> int:
        spec = self.job.spec
        parallelism = spec.parallelism or 0
        if spec.completions is None:
            return self.active if self.succeeded > 0 else parallelism
        return max(0, min(spec.completions - self.succeeded, parallelism))

    def _surplus(self, least: int) -> list[core.Pod]:
        """At least so many: pods of one index twice or of no index first."""
        rest, doomed = list(self.active_pods), []
        if util.is_indexed(self.job):
            by_index: dict[int, core.Pod] = {}
            for pod in sorted(rest, key=_deletion_key, reverse=True):
                index = util.valid_index(pod, self.job)
                if index is None or index in by_index:
                    doomed.append(pod)
                else:
                    by_index[index] = pod
            rest = list(by_index.values())
        if len(doomed) < least:
            doomed += sorted(rest, key=_deletion_key)[: least - len(doomed)]
        return doomed

    def _create(self, count: int, changes: Changes) -> None:
        job = self.job
        if not util.is_indexed(job):
            wait = self.backoff.remaining(self.now)
            if wait > 0:
                changes.again = _sooner(changes.again, wait)
            else:
                changes.create = count
            return
        taken = self._taken_indexes()
        if util.per_index(job):
            waits = {index: self._index_wait(index) for index in self.delayed if index not in taken}
            waits = {index: wait for index, wait in waits.items() if wait > 0}
            indexes = (taken | Indexes.of(waits)).first_missing(count, job.spec.completions or 0)
            if len(indexes) < count and waits:
                changes.again = _sooner(changes.again, min(waits.values()))
        else:
            wait = self.backoff.remaining(self.now)
            if wait > 0:
                changes.again = _sooner(changes.again, wait)
                return
            indexes = taken.first_missing(count, job.spec.completions or 0)
        changes.indexes, changes.create = indexes, len(indexes)

    def _taken_indexes(self) -> Indexes:
        """Those that are over, or have a pod that runs or must end first."""
        pods = [*self.active_pods]
        if util.only_replaces_failed(self.job):
            pods += [pod for pod in self.pods if is_terminating(pod)]
        over = self.succeeded_indexes | (self.failed_indexes or Indexes())
        return over | Indexes.of(map(util.index_of, pods))

    def _index_wait(self, index: int) -> float:
        pod = self.delayed.get(index)
        if pod is None:
            return 0.0
        return remaining(util.absolute_failure_count(pod) + 1, finish_time(pod, self.now), self.now)

    # --- after the doing

    def deleted(self, pods: Sequence[core.Pod]) -> None:
        """These pods were deleted in this sync."""
        self.active -= len(pods)
        self.terminating += len(pods)
        self.ready -= sum(map(is_ready, pods))

    def conclude(self, changes: Changes, satisfied: bool) -> bool:
        """Conditions from what was done; whether the status must be written. Before `track`."""
        status = self.job.status
        if changes.end:
            if self.active > 0 or not satisfied:
                self.verdict = None  # not over while pods are left, or may be there unseen
        elif self._complete():
            text = "Reached expected number of succeeded pods"
            self.verdict = self.condition("SuccessCriteriaMet", "CompletionsReached", text)
        changed = self._suspension() if changes.managed and self.verdict is None else False
        counts = (self.active, self.ready, self.terminating)
        changed = changed or counts != (status.active, status.ready, status.terminating)
        status.active, status.ready, status.terminating = counts
        return changed

    def _complete(self) -> bool:
        completions = self.job.spec.completions
        if completions is None:
            return self.succeeded > 0 and self.active == 0
        return self.succeeded >= completions and self.active == 0

    def _suspension(self) -> bool:
        if util.is_suspended(self.job):
            changed = self.ensure(self.condition("Suspended", "JobSuspended", "Job suspended"))
            if changed:
                self.events.append(("Normal", "Suspended", "Job suspended"))
            return changed
        changed = self.ensure(self.condition("Suspended", "JobResumed", "Job resumed", "False"))
        if changed:
            self.events.append(("Normal", "Resumed", "Job resumed"))
            self.job.status.start_time = self.now
        return changed

    def ensure(self, new: batch.JobCondition) -> bool:
        """Sets a condition; one that is not there is not added as False."""
        conditions = self.job.status.conditions
        present = condition(conditions, new.type)
        if present is not None:
            if (present.status, present.reason, present.message) == (new.status, new.reason, new.message):
                return False
            conditions[conditions.index(present)] = new
            return True
        if new.status == "False":
            return False
        conditions.append(new)
        return True

    # --- tracking: the status first says which pods it counts, then their finalizers go

    def track(self) -> tuple[list[core.Pod], bool, bool]:
        """Pods whose finalizer goes, whether the status must be written before, whether all could be taken."""
        status = self.job.status
        uids = {pod.metadata.uid for pod in self.tracked()}
        self.uncounted = clone(self.uncounted)
        status.uncounted_terminated_pods = self.uncounted
        flush = self.settle(uids)
        before = {*self.uncounted.succeeded, *self.uncounted.failed}
        release: list[core.Pod] = []
        new_indexes: set[int] = set()
        for pod in self.tracked():
            failed = util.is_failed(pod, self.job)
            if not self._may_release(pod, failed):
                continue
            release.append(pod)
            flush = self._count(pod, failed, before, new_indexes) or flush
            if len(new_indexes) + len(self.uncounted.succeeded) + len(self.uncounted.failed) >= MAX_UNCOUNTED:
                return release, self._note_indexes(new_indexes) or flush, False
        flush = self._note_indexes(new_indexes) or flush
        return release, self._note_verdict() or flush, True

    def _may_release(self, pod: core.Pod, failed: bool) -> bool:
        if self.job.metadata.deletion_timestamp or self.verdict is not None or pod.status.phase == "Succeeded":
            return True
        if not failed:
            return False
        index = util.index_of(pod)
        return index is None or self.delayed.get(index) is not pod

    def _count(self, pod: core.Pod, failed: bool, before: set[str], new_indexes: set[int]) -> bool:
        uid, index = pod.metadata.uid, util.valid_index(pod, self.job)
        indexed = util.is_indexed(self.job)
        if pod.status.phase == "Succeeded" and uid not in self.uncounted.failed:
            if indexed and index is not None and index not in self.former_indexes and index not in new_indexes:
                new_indexes.add(index)
                return True
            if not indexed and uid not in before:
                self.uncounted.succeeded.append(uid)
                return True
            return False
        # Of a job that failed, whoever still runs has failed with it; of one that met its success policy, nobody has.
        over = self.verdict is not None and self.verdict.type != "SuccessCriteriaMet"
        if not (failed or over) or uid in before or (indexed and index is None):
            return False
        if not judge(self.job.spec.pod_failure_policy, pod).counts:
            return False
        self.uncounted.failed.append(uid)
        return True

    def _note_indexes(self, new: set[int]) -> bool:
        if not util.is_indexed(self.job):
            return False
        status = self.job.status
        former = (status.completed_indexes, status.failed_indexes)
        succeeded = self.former_indexes | Indexes.of(new)
        status.succeeded = len(succeeded)
        status.completed_indexes = str(succeeded)
        if self.failed_indexes is not None:
            status.failed_indexes = str(self.failed_indexes)
        return former != (status.completed_indexes, status.failed_indexes)

    def _note_verdict(self) -> bool:
        """An interim condition is written before the finalizers go, so that the verdict is not forgotten with the pods."""
        verdict, conditions = self.verdict, self.job.status.conditions
        if verdict is None or verdict.type not in ("FailureTarget", "SuccessCriteriaMet"):
            return False
        final = "Failed" if verdict.type == "FailureTarget" else "Complete"
        self.verdict = self.condition(final, verdict.reason, verdict.message)
        if condition(conditions, verdict.type) is not None:
            return False
        conditions.append(verdict)
        return True

    def settle(self, uids: Collection[str]) -> bool:
        """Uncounted pods whose finalizer is gone become numbers; whether there were some."""
        status, uncounted = self.job.status, self.uncounted
        succeeded = [uid for uid in uncounted.succeeded if uid in uids]
        failed = [uid for uid in uncounted.failed if uid in uids]
        changed = (succeeded, failed) != (uncounted.succeeded, uncounted.failed)
        status.succeeded += len(uncounted.succeeded) - len(succeeded)
        status.failed += len(uncounted.failed) - len(failed)
        uncounted.succeeded, uncounted.failed = succeeded, failed
        return changed

    def finish(self) -> bool:
        """Sets the final condition where nothing is left to count or to end; whether the job is over now."""
        if self.verdict is None or self.uncounted.succeeded or self.uncounted.failed or self.terminating > 0:
            return False
        self.ensure(self.verdict)
        if self.verdict.type == "Complete":
            self.job.status.completion_time = self.verdict.last_transition_time
        self.events += self._final_events(self.verdict)
        return True

    def _final_events(self, verdict: batch.JobCondition) -> list[tuple[str, str, str]]:
        if verdict.type == "Failed":
            return [("Warning", verdict.reason, verdict.message)]
        events = [("Normal", "Completed", "Job completed")]
        completions = self.job.spec.completions
        if completions is not None and self.job.status.succeeded > completions:
            text = "Too many succeeded pods running after completion count reached"
            events.insert(0, ("Warning", "TooManySucceededPods", text))
        return events


def _sooner(a: float | None, b: float) -> float:
    return b if a is None else min(a, b)


def _deletion_key(pod: core.Pod) -> tuple[Any, ...]:
    """Least valuable first (controller.ActivePods): not assigned, pending, not ready, ready for the shortest time, ..."""
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    since, created = ready_since(pod), pod.metadata.creation_timestamp
    restarts = max((s.restart_count for s in pod.status.container_statuses), default=0)
    return (
        bool(pod.spec.node_name),
        phases.get(pod.status.phase, 0),
        is_ready(pod),
        -since.timestamp() if since is not None else 0.0,
        -restarts,
        -created.timestamp() if created is not None else 0.0,
    )
