"""The policies of a job: which failures count, and which successes are enough; pure.

Upstream: pkg/controller/job/pod_failure_policy.go, success_policy.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core

from .indexes import Indexes


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
    status: core.PodStatus, requirement: batch.PodFailurePolicyOnExitCodesRequirement
) -> core.ContainerStatus | None:
    for container in (*status.container_statuses, *status.init_container_statuses):
        ended = container.state.terminated if container.state else None
        if ended is None or ended.exit_code == 0:
            continue
        if requirement.container_name not in (None, container.name):
            continue
        if (ended.exit_code in requirement.values) == (requirement.operator == "In"):
            return container
    return None


def _matching_condition(
    status: core.PodStatus, patterns: Sequence[batch.PodFailurePolicyOnPodConditionsPattern]
) -> str | None:
    present = {(c.type, c.status) for c in status.conditions}
    return next((p.type for p in patterns if (p.type, p.status) in present), None)


def met_success_rule(job: batch.Job, succeeded: Indexes) -> int | None:
    """The number of the first rule of the success policy that is met (matchSuccessPolicy)."""
    for number, rule in enumerate(job.spec.success_policy.rules if job.spec.success_policy is not None else ()):
        if rule.succeeded_indexes is None:
            met = len(succeeded) >= (rule.succeeded_count or 0)
        else:
            named = Indexes.parse(rule.succeeded_indexes, job.spec.completions)
            least = rule.succeeded_count if rule.succeeded_count is not None else len(named)
            met = len(named & succeeded) >= least
        if met:
            return number
    return None
