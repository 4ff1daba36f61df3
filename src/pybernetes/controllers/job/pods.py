"""The pods of a job as they are created; pure (upstream: pkg/controller/job, indexed_job_utils.go)."""

from __future__ import annotations

from pybernetes.api.types import batch_v1 as batch
from pybernetes.api.types import core_v1 as core

from ..common import clone
from . import util


def pod_template(job: batch.Job) -> core.PodTemplateSpec:
    """The template with what tracking and indexes need."""
    template = clone(job.spec.template)
    if util.TRACKING_FINALIZER not in template.metadata.finalizers:
        template.metadata.finalizers.append(util.TRACKING_FINALIZER)
    if util.is_indexed(job):
        path = f"metadata.annotations['{util.INDEX}']"
        source = core.EnvVarSource(field_ref=core.ObjectFieldSelector(field_path=path))
        for container in (*template.spec.init_containers, *template.spec.containers):
            if all(variable.name != "JOB_COMPLETION_INDEX" for variable in container.env):
                container.env.append(core.EnvVar(name="JOB_COMPLETION_INDEX", value_from=source))
    return template


def template_of_index(
    template: core.PodTemplateSpec, job: batch.Job, index: int, replaced: core.Pod | None
) -> core.PodTemplateSpec:
    """The template of one index; `replaced` is the failed pod before it."""
    result = clone(template)
    result.metadata.annotations[util.INDEX] = str(index)
    result.metadata.labels[util.INDEX] = str(index)
    result.spec.hostname = f"{job.metadata.name}-{index}"
    if util.per_index(job):
        failures, ignored = util.next_failure_counts(job, replaced)
        result.metadata.annotations[util.FAILURE_COUNT] = str(failures)
        if ignored:
            result.metadata.annotations[util.IGNORED_COUNT] = str(ignored)
    return result


def name_prefix(job: batch.Job, index: int) -> str:
    """generateName of a pod of an index: the index survives where the name is too long."""
    suffix = f"-{index}-"
    return f"{job.metadata.name[: 63 - 5 - len(suffix)]}{suffix}"
