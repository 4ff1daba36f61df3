"""What a job asks for and what its pods say of themselves; pure (upstream: pkg/controller/job, indexed_job_utils.go, utils.go)."""

from __future__ import annotations

from pybernetes.api.conditions import condition
from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core

from .policies import judge

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"  # annotation and label
FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"
IGNORED_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count"
_DIGITS = 10  # of the largest int32

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
    """The condition Complete or Failed that is true; None while the job runs."""
    for type in ("Complete", "Failed"):
        present = condition(job.status.conditions, type)
        if present is not None and present.status == "True":
            return present
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
    return _number(pod.metadata.annotations.get(INDEX, ""))


def valid_index(pod: core.Pod, job: batch.Job) -> int | None:
    """The index if it is one of the job's."""
    index = index_of(pod)
    return index if index is not None and index < (job.spec.completions or 0) else None


# --- failures of an index


def failure_count(pod: core.Pod) -> int:
    """How often the index failed before this pod, ignored failures left out."""
    return _number(pod.metadata.annotations.get(FAILURE_COUNT, "")) or 0


def absolute_failure_count(pod: core.Pod) -> int:
    """How often the index failed before this pod, ignored failures counted too."""
    return failure_count(pod) + _ignored(pod)


def _ignored(pod: core.Pod) -> int:
    return _number(pod.metadata.annotations.get(IGNORED_COUNT, "")) or 0


def _number(text: str) -> int | None:
    """Anybody may write an annotation: what is no number of ours is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def next_failure_counts(job: batch.Job, replaced: core.Pod | None) -> tuple[int, int]:
    """Failures and ignored failures of the index that the next pod is told."""
    if replaced is None:
        return 0, 0
    counts, ignored = failure_count(replaced), _ignored(replaced)
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
