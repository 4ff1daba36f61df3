"""Jobs: what a sync decides, counts and writes."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core
from pybernetes.controllers.job import util
from pybernetes.controllers.job.backoff import Backoff
from pybernetes.controllers.job.indexes import Indexes
from pybernetes.controllers.job.plan import Round
from pybernetes.controllers.job.pods import name_prefix, pod_template, template_of_index
from pybernetes.controllers.job.policies import Verdict, judge

from ..objects import NOW, ago, meta, pod, template


def job(completions: int | None = 3, parallelism: int = 2, **spec: Any) -> batch.Job:
    values = {"backoff_limit": 6, "template": template(restart_policy="Never"), **spec}
    return batch.Job(metadata=meta("w"), spec=batch.JobSpec(completions=completions, parallelism=parallelism, **values))


def task(
    name: str, phase: str = "Running", index: int | None = None, code: int | None = None, **fields: Any
) -> core.Pod:
    notes = {} if index is None else {util.INDEX: str(index)}
    notes |= fields.pop("annotations", {})
    found = pod(name, phase, finalizers=[util.TRACKING_FINALIZER], annotations=notes, **fields)
    if code is not None:
        ended = core.ContainerStateTerminated(exit_code=code, finished_at=ago(100))
        found.status.container_statuses = [core.ContainerStatus(name="c", state=core.ContainerState(terminated=ended))]
    return found


def sync(j: batch.Job, *pods: core.Pod, satisfied: bool = True, backoff: Backoff | None = None) -> tuple[Round, Any]:
    current = Round(j, pods, (), backoff or Backoff(), NOW)
    return current, current.decide(satisfied)


def finish(current: Round, wanted: Any) -> batch.JobStatus:
    """The rest of a sync in which everything that was wanted succeeds."""
    current.deleted(wanted.delete)
    current.active += wanted.create
    current.terminating = 0
    current.conclude(wanted, True)
    released, _, _ = current.track()
    gone = {p.metadata.uid for p in released}
    current.settle({p.metadata.uid for p in current.tracked()} - gone)
    current.finish()
    return current.job.status


@pytest.mark.parametrize(
    ("given", "pods", "create"),
    [
        (job(), [], 2),
        (job(), [task("a")], 1),
        (job(), [task("a"), task("b")], 0),
        (job(completions=1, parallelism=5), [], 1),
        (job(completions=3), [task("a", "Succeeded"), task("b", "Succeeded")], 1),
        (job(completions=None, parallelism=2), [], 2),
        (job(completions=None, parallelism=2), [task("a", "Succeeded"), task("b")], 0),
        (job(suspend=True), [], 0),
    ],
)
def test_how_many_are_made(given: batch.Job, pods: list[core.Pod], create: int) -> None:
    assert sync(given, *pods)[1].create == create


def test_unsettled_expectations_make_nothing() -> None:
    current, wanted = sync(job(), satisfied=False)
    assert (wanted.create, wanted.managed) == (0, False)
    assert current.job.status.start_time == NOW


def test_surplus_and_suspension_delete() -> None:
    assert len(sync(job(parallelism=1), task("a"), task("b"))[1].delete) == 1
    current, wanted = sync(job(suspend=True), task("a"), task("b"))
    assert len(wanted.delete) == 2 and not wanted.end
    status = finish(current, wanted)
    assert [(c.type, c.status, c.reason) for c in status.conditions] == [("Suspended", "True", "JobSuspended")]
    assert current.events == [("Normal", "Suspended", "Job suspended")]


def test_success() -> None:
    given = job(completions=1, parallelism=1)
    status = finish(*sync(given, task("a", "Succeeded")))
    assert (status.succeeded, status.active, status.completion_time) == (1, 0, NOW)
    assert [c.type for c in status.conditions] == ["SuccessCriteriaMet", "Complete"]
    assert {c.reason for c in status.conditions} == {"CompletionsReached"}


def test_pods_are_counted_once() -> None:
    current, wanted = sync(job(), task("a", "Succeeded"))
    current.active += wanted.create
    current.conclude(wanted, True)
    _, flush, _ = current.track()
    assert flush and current.job.status.uncounted_terminated_pods is not None
    assert current.job.status.uncounted_terminated_pods.succeeded == ["a"]
    # The next sync sees the pod still: it is in the status, and not counted again.
    again, _ = sync(current.job, task("a", "Succeeded"))
    assert again.succeeded == 1


def test_the_backoff_limit() -> None:
    given = job(backoff_limit=1)
    given.status.failed = 1
    current, wanted = sync(given, task("a", "Failed", code=1), task("b"))
    assert wanted.end and [p.metadata.name for p in wanted.delete] == ["b"]
    status = finish(current, wanted)
    assert [(c.type, c.reason) for c in status.conditions] == [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ]
    assert current.events == [("Warning", "BackoffLimitExceeded", "Job has reached the specified backoff limit")]


def test_a_failed_pod_is_replaced_after_the_backoff() -> None:
    failed = task("a", "Failed", code=1)
    current, wanted = sync(job(parallelism=1), failed)
    assert wanted.create == 1  # it ended 100 s ago, the back-off is 10 s
    failed.status.container_statuses[0].state.terminated.finished_at = ago(3)
    current, wanted = sync(job(parallelism=1), failed)
    assert (wanted.create, wanted.again) == (0, 7.0)
    assert current.backoff == Backoff(1, ago(3))


def test_the_deadline() -> None:
    given = job(active_deadline_seconds=60)
    given.status.start_time = ago(10)
    assert sync(given, task("a"), task("b"))[1].again == 50.0
    given.status.start_time = ago(60)
    current, wanted = sync(given, task("a"))
    assert wanted.end and current.verdict is not None and current.verdict.reason == "DeadlineExceeded"


RULES = batch.PodFailurePolicy(
    rules=[
        batch.PodFailurePolicyRule(
            action="Ignore",
            on_pod_conditions=[batch.PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")],
        ),
        batch.PodFailurePolicyRule(
            action="FailJob",
            on_exit_codes=batch.PodFailurePolicyOnExitCodesRequirement(operator="In", values=[42]),
        ),
        batch.PodFailurePolicyRule(
            action="Count",
            on_exit_codes=batch.PodFailurePolicyOnExitCodesRequirement(operator="NotIn", values=[7]),
        ),
    ]
)


def test_the_failure_policy() -> None:
    disrupted = task("d", "Failed", code=42)
    disrupted.status.conditions.append(core.PodCondition(type="DisruptionTarget", status="True"))
    assert judge(RULES, disrupted) == Verdict(False, "Ignore")
    fatal = task("f", "Failed", code=42)
    text = "Container c for pod ns/f failed with exit code 42 matching FailJob rule at index 1"
    assert judge(RULES, fatal) == Verdict(True, "FailJob", text)
    assert judge(RULES, task("c", "Failed", code=1)) == Verdict(True, "Count")
    assert judge(RULES, task("n", "Failed", code=7)) == Verdict()
    current, wanted = sync(job(pod_failure_policy=RULES), fatal, task("b"))
    assert wanted.end
    assert [c.reason for c in finish(current, wanted).conditions] == ["PodFailurePolicy"] * 2


def test_indexes_are_filled_from_the_lowest() -> None:
    given = job(completions=5, parallelism=3, completion_mode="Indexed")
    given.status.completed_indexes = "0"
    wanted = sync(given, task("a", index=2))[1]
    assert wanted.indexes == [1, 3]


def test_one_index_twice_is_once_too_often() -> None:
    given = job(completions=5, parallelism=3, completion_mode="Indexed")
    old, new = task("a", index=1, creation_timestamp=ago(50)), task("b", index=1, creation_timestamp=ago(5))
    assert [p.metadata.name for p in sync(given, old, new)[1].delete] == ["b"]


def test_completed_indexes() -> None:
    given = job(completions=5, parallelism=5, completion_mode="Indexed")
    given.status.completed_indexes, given.status.succeeded = "0-2", 3
    status = finish(*sync(given, task("a", "Succeeded", index=3), task("x", "Succeeded", index=9)))
    assert (status.completed_indexes, status.succeeded) == ("0-3", 4)


def test_an_index_fails_for_itself() -> None:
    given = job(
        completions=2, parallelism=2, completion_mode="Indexed", backoff_limit_per_index=1, backoff_limit=2**31 - 1
    )
    first = task("a", "Failed", index=0, code=1)
    current, wanted = sync(given, first, task("b", index=1))
    assert (current.failed_indexes, wanted.indexes) == (Indexes(), [0])
    assert util.next_failure_counts(given, current.delayed[0]) == (1, 0)
    last = task("a", "Failed", index=0, code=1, annotations={util.FAILURE_COUNT: "1"})
    current, wanted = sync(given, last, task("b", "Succeeded", index=1))
    assert current.failed_indexes == Indexes.of([0])
    status = finish(current, wanted)
    assert (status.failed_indexes, status.completed_indexes) == ("0", "1")
    assert status.conditions[-1].reason == "FailedIndexes"


@pytest.mark.parametrize(
    ("spec", "pods", "reason", "failed"),
    [
        ({"backoff_limit": 0}, [task("a", "Failed"), task("b")], "BackoffLimitExceeded", 2),
        ({"backoff_limit": 0}, [task("a", "Failed"), task("b", "Succeeded"), task("c")], "BackoffLimitExceeded", 2),
        ({"active_deadline_seconds": 1}, [task("a"), task("b")], "DeadlineExceeded", 2),
        (
            {"completion_mode": "Indexed", "active_deadline_seconds": 1},
            [task("a", index=0), task("b", index=7), task("c")],
            "DeadlineExceeded",
            1,  # those of no index, or of none that the job has, count nowhere
        ),
    ],
)
def test_who_still_ran_when_the_job_failed_has_failed_too(
    spec: dict[str, Any], pods: list[core.Pod], reason: str, failed: int
) -> None:
    given = job(**spec)
    given.status.start_time = ago(100)
    status = finish(*sync(given, *pods))
    assert (status.conditions[-1].reason, status.failed) == (reason, failed)


def test_who_still_ran_when_the_success_policy_was_met_has_not_failed() -> None:
    rule = batch.SuccessPolicyRule(succeeded_indexes="0")
    given = job(3, 3, completion_mode="Indexed", success_policy=batch.SuccessPolicy(rules=[rule]))
    status = finish(*sync(given, task("a", "Succeeded", index=0), task("b", index=1), task("c", index=2)))
    assert (status.conditions[-1].type, status.succeeded, status.failed) == ("Complete", 1, 0)


def test_the_success_policy() -> None:
    rule = batch.SuccessPolicyRule(succeeded_indexes="0,2-3", succeeded_count=2)
    given = job(5, 5, completion_mode="Indexed", success_policy=batch.SuccessPolicy(rules=[rule]))
    current, wanted = sync(given, task("a", "Succeeded", index=0), task("b", "Succeeded", index=3), task("c", index=1))
    assert wanted.end
    status = finish(current, wanted)
    assert [(c.type, c.reason) for c in status.conditions] == [
        ("SuccessCriteriaMet", "SuccessPolicy"),
        ("Complete", "SuccessPolicy"),
    ]
    assert status.conditions[0].message == "Matched rules at index 0"


MANY = 2**31 - 1


def few(peak: int) -> bool:
    """Whether a sync took memory for its pods, not for its completions: a byte each would be two gigabytes."""
    return peak < 5_000_000


@pytest.mark.parametrize("per_index", [False, True])
@pytest.mark.parametrize(
    ("completed", "created"),
    [
        ("", [0, 1]),
        ("0-2147483644", [2147483645, 2147483646]),
        ("1-2147483645", [0, 2147483646]),
        ("0-2147483647", []),
        ("5", [0, 1]),
    ],
)
def test_completions_without_number_cost_nothing(completed: str, created: list[int], per_index: bool) -> None:
    limits = {"backoff_limit_per_index": 1, "max_failed_indexes": 10} if per_index else {}
    given = job(MANY, 2, completion_mode="Indexed", **limits)
    given.status.completed_indexes = completed
    tracemalloc.start()
    try:
        current, wanted = sync(given)
        status = finish(current, wanted)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert wanted.indexes == created and few(peak)
    expected = completed if completed != "0-2147483647" else "0-2147483646"
    assert (status.completed_indexes, status.succeeded) == (expected, len(Indexes.parse(completed, MANY)))


def test_failures_and_policies_of_completions_without_number() -> None:
    rule = batch.SuccessPolicyRule(succeeded_indexes="0-2147483646", succeeded_count=MANY)
    policy = batch.SuccessPolicy(rules=[rule])
    given = job(MANY, 3, completion_mode="Indexed", backoff_limit_per_index=0, success_policy=policy)
    given.status.completed_indexes, given.status.failed_indexes = "10-2147483646", "0-7"
    tracemalloc.start()
    try:
        current, wanted = sync(given, task("a", "Failed", index=8, code=1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (str(current.failed_indexes), wanted.indexes) == ("0-8", [9])
    assert current.verdict is None and few(peak)


def test_a_time_limit_beyond_all_times_is_none() -> None:
    given = job(active_deadline_seconds=2**63 - 1)
    given.status.start_time = ago(10)
    assert sync(given, task("a"), task("b"))[1].again > 10**9


@pytest.mark.parametrize("text", ["²", "9" * 5000, "-1", "", " 1"])
def test_an_annotation_that_is_no_number_is_no_index(text: str) -> None:
    assert util.index_of(task("a", annotations={util.INDEX: text})) is None
    assert util.failure_count(task("a", annotations={util.FAILURE_COUNT: text})) == 0


def test_templates() -> None:
    given = job(completion_mode="Indexed", backoff_limit_per_index=3)
    made = pod_template(given)
    assert made.metadata.finalizers == [util.TRACKING_FINALIZER]
    assert made.spec.containers[0].env[0].name == "JOB_COMPLETION_INDEX"
    of = template_of_index(made, given, 4, None)
    assert of.metadata.labels[util.INDEX] == of.metadata.annotations[util.INDEX] == "4"
    assert (of.spec.hostname, of.metadata.annotations[util.FAILURE_COUNT]) == ("w-4", "0")
    given.metadata.name = "x" * 63
    assert len(name_prefix(given, 10)) == 58 and name_prefix(given, 10).endswith("-10-")
