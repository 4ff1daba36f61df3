"""Indexes, policies and the back-off of jobs; pure (upstream: pkg/controller/job, indexed_job_utils.go, pod_failure_policy.go)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core

from ..common import condition

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"  # annotation and label
FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"
IGNORED_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count"
FIRST_BACKOFF = 10.0  # seconds; doubles with each failure in a row
MAX_BACKOFF = 600.0

# --- what a job asks for


def is_indexed(job: batch.Job) -> bool:
    return job.spec.completion_mode == "Indexed"


def per_index(job: batch.Job) -> bool:
    """Whether each index has a back-off limit of its own."""
    return is_indexed(job) and job.spec.backoff_limit_per_index is not None


def is_suspended(job: batch.Job) -> bool:
    return bool(job.spec.suspend)


def only_replaces_failed(job: batch.Job) -> bool:
    """Whether a pod that is being deleted is replaced only when it has ended."""
    return job.spec.pod_replacement_policy == "Failed" or job.spec.pod_failure_policy is not None


def finished_condition(job: batch.Job) -> batch.JobCondition | None:
    """Complete or Failed."""
    for type in ("Complete", "Failed"):
        found = condition(job.status.conditions, type)
        if found is not None and found.status == "True":
            return found
    return None


# --- pods


def has_finalizer(pod: core.Pod) -> bool:
    return TRACKING_FINALIZER in pod.metadata.finalizers


def is_failed(pod: core.Pod, job: batch.Job) -> bool:
    """Deleted pods count too: they may never get as far as the phase Failed."""
    if pod.status.phase == "Failed":
        return True
    if only_replaces_failed(job):
        return False
    return pod.metadata.deletion_timestamp is not None and pod.status.phase != "Succeeded"


def index_of(pod: core.Pod) -> int | None:
    """The completion index, None if the annotation is absent or no number."""
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isdigit() else None


def valid_index(pod: core.Pod, job: batch.Job) -> int | None:
    """The index if it is one of the job's."""
    index = index_of(pod)
    return index if index is not None and index < (job.spec.completions or 0) else None


def finish_time(pod: core.Pod, now: datetime) -> datetime:
    """When a pod ended: its containers, its Ready condition, its deletion, or now (getFinishedTime)."""
    statuses = pod.status.container_statuses
    ends = [s.state.terminated.finished_at for s in statuses if s.state and s.state.terminated]
    known = [end for end in ends if end is not None]
    if known and len(known) == len(statuses):
        return max(known)
    ready = condition(pod.status.conditions, "Ready")
    if ready is not None and ready.status == "False" and ready.last_transition_time is not None:
        return ready.last_transition_time
    deleted = pod.metadata.deletion_timestamp
    if deleted is not None:
        return deleted - timedelta(seconds=pod.metadata.deletion_grace_period_seconds or 0)
    return now


# --- sets of indexes, as text: 1,3-5


def parse_indexes(text: str, completions: int | None = None) -> set[int]:
    """The numbers of "1,3-5" below `completions`; what cannot be read is left out."""
    result: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            continue
        end = int(last) if dash else int(first)
        if completions is not None:
            end = min(end, completions - 1)
        result.update(range(int(first), end + 1))
    return result


def format_indexes(indexes: Iterable[int]) -> str:
    """Two in a row are written 1,2; three and more 1-3."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if run and (index is None or index != run[-1] + 1):
            ends = [str(run[0]), str(run[-1])] if len(run) > 1 else [str(run[0])]
            parts.append(("-" if len(run) > 2 else ",").join(ends))
            run = []
        if index is not None:
            run.append(index)
    return ",".join(parts)


# --- policies


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pod failure policy says of a failed pod; `message` where the job fails for it."""

    counts: bool = True
    action: str = ""
    message: str = ""


def judge(policy: batch.PodFailurePolicy | None, pod: core.Pod) -> Verdict:
    """The first rule that matches (matchPodFailurePolicy)."""
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        where = f"{pod.metadata.namespace}/{pod.metadata.name}"
        if rule.on_exit_codes is not None:
            status = _matching_container(pod.status, rule.on_exit_codes)
            if status is None:
                continue
            code = status.state.terminated.exit_code if status.state and status.state.terminated else 0
            what = f"Container {status.name} for pod {where} failed with exit code {code}"
        else:
            type = _matching_condition(pod.status, rule.on_pod_conditions)
            if type is None:
                continue
            what = f"Pod {where} has condition {type}"
        if rule.action == "FailJob":
            return Verdict(True, "FailJob", f"{what} matching FailJob rule at index {number}")
        return Verdict(rule.action != "Ignore", rule.action)
    return Verdict()


def _matching_container(
    status: core.PodStatus, wanted: batch.PodFailurePolicyOnExitCodesRequirement
) -> core.ContainerStatus | None:
    for container in (*status.container_statuses, *status.init_container_statuses):
        ended = container.state.terminated if container.state else None
        if ended is None or ended.exit_code == 0:
            continue
        if wanted.container_name not in (None, container.name):
            continue
        if (ended.exit_code in wanted.values) == (wanted.operator == "In"):
            return container
    return None


def _matching_condition(
    status: core.PodStatus, patterns: Sequence[batch.PodFailurePolicyOnPodConditionsPattern]
) -> str | None:
    present = {(c.type, c.status) for c in status.conditions}
    return next((p.type for p in patterns if (p.type, p.status) in present), None)


def met_success_rule(job: batch.Job, succeeded: set[int]) -> int | None:
    """The number of the first rule of the success policy that is met."""
    for number, rule in enumerate(job.spec.success_policy.rules if job.spec.success_policy is not None else ()):
        if rule.succeeded_indexes is None:
            met = len(succeeded) >= (rule.succeeded_count or 0)
        else:
            wanted = parse_indexes(rule.succeeded_indexes, job.spec.completions)
            least = rule.succeeded_count if rule.succeeded_count is not None else len(wanted)
            met = len(wanted & succeeded) >= least
        if met:
            return number
    return None


# --- failures of an index


def failure_count(pod: core.Pod) -> int:
    """How often the index failed before this pod, ignored failures left out."""
    return _number(pod, FAILURE_COUNT)


def absolute_failure_count(pod: core.Pod) -> int:
    """With the ignored ones."""
    return failure_count(pod) + _number(pod, IGNORED_COUNT)


def _number(pod: core.Pod, annotation: str) -> int:
    text = pod.metadata.annotations.get(annotation, "")
    return int(text) if text.isdigit() else 0


def next_failure_counts(job: batch.Job, replaced: core.Pod | None) -> tuple[int, int]:
    """Failures and ignored failures of the index that the next pod is told."""
    if replaced is None:
        return 0, 0
    counts, ignored = failure_count(replaced), _number(replaced, IGNORED_COUNT)
    if judge(job.spec.pod_failure_policy, replaced).counts:
        return counts + 1, ignored
    return counts, ignored + 1


def index_has_failed(pod: core.Pod, job: batch.Job) -> bool:
    """Whether the failure of the pod is the end of its index."""
    if not is_failed(pod, job):
        return False
    verdict = judge(job.spec.pod_failure_policy, pod)
    if verdict.action == "FailIndex":
        return True
    return verdict.counts and failure_count(pod) >= (job.spec.backoff_limit_per_index or 0)


# --- back-off


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row and the time of the last (backoffRecord)."""

    failures: int = 0
    last: datetime | None = None

    def after(self, succeeded: Sequence[core.Pod], failed: Sequence[core.Pod], now: datetime) -> Backoff:
        """The record with what has just ended."""
        failures, last = self.failures, self.last
        since = max((finish_time(pod, now) for pod in succeeded), default=None)
        if since is not None:
            failures, last = 0, None
        for pod in failed:
            end = finish_time(pod, now)
            if since is None or end > since:
                failures += 1
                last = end if last is None else max(last, end)
        return Backoff(failures, last)

    def remaining(self, now: datetime) -> float:
        """Seconds until the next pod may be made."""
        return remaining(self.failures, self.last, now)


def remaining(failures: int, last: datetime | None, now: datetime) -> float:
    """Seconds left of the back-off of so many failures, the last at that time."""
    if failures == 0 or last is None:
        return 0.0
    wait = min(MAX_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 30))
    return max(0.0, wait - (now - last).total_seconds())
