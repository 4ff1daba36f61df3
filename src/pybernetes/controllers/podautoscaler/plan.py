"""What an autoscaler says and where the scale of its target is; pure (upstream: pkg/controller/podautoscaler/horizontal.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from pybernetes.api.conditions import condition
from pybernetes.api.errors import StatusError
from pybernetes.api.resources import collection_path
from pybernetes.api.types import autoscaling_v2 as autoscaling

HPA = autoscaling.HorizontalPodAutoscaler


def set_condition(hpa: HPA, type: str, status: str, reason: str, message: str, now: datetime) -> None:
    """Adds or replaces in place; the time moves only where the status changes."""
    conditions = hpa.status.conditions
    present = condition(conditions, type)
    if present is None:
        present = autoscaling.HorizontalPodAutoscalerCondition(type=type)
        conditions.append(present)
    if present.status != status:
        present.status, present.last_transition_time = status, now.replace(microsecond=0)
    present.reason, present.message = reason, message


def scale_path(hpa: HPA) -> str:
    """The scale subresource of the target."""
    target = hpa.spec.scale_target_ref
    return f"{collection_path(target.api_version, target.kind, hpa.metadata.namespace)}/{target.name}/scale"


def is_no_path(error: StatusError) -> bool:
    """Whether nothing is served there, rather than an object missing."""
    return error.code == 404 and not (error.status.get("details") or {}).get("name")


def has_kind(resources: Iterable[Mapping[str, object]], kind: str) -> bool:
    """Whether a group-version's discovery lists the kind, with a scale or without."""
    return any(one.get("kind") == kind and "/" not in str(one.get("name")) for one in resources)


def unknown_kind(hpa: HPA) -> str:
    """What upstream says of a target whose kind discovery does not tell of; a kind that has no scale is another failure."""
    target = hpa.spec.scale_target_ref
    group, slash, _ = target.api_version.partition("/")
    return f'no matches for kind "{target.kind}" in group "{group if slash else ""}"'


def ambiguity(selector: str, hpas: Iterable[tuple[str, str]]) -> str:
    """Autoscalers, by namespace and name, that select the same pods would undo each other's work: none of them scales."""
    names = " ".join(f"{namespace}/{name}" for namespace, name in sorted(hpas))
    return f"pods by selector {selector} are controlled by multiple HPAs: [{names}]"


def first_error(spec: autoscaling.MetricSpec, text: str) -> str:
    """A metric's failure as the sum of all metrics' tells it: with the metric before it, and an average's again before that."""
    if spec.object is not None:
        if spec.object.target.average_value is not None:
            text = f"failed to get {spec.object.metric.name} object metric: {text}"
        return f"failed to get object metric value: {text}"
    if spec.pods is not None:
        return f"failed to get pods metric value: {text}"
    if spec.resource is not None:
        return f"failed to get {spec.resource.name} resource metric value: {text}"
    if spec.container_resource is not None:
        return f"failed to get {spec.container_resource.container} container metric value: {text}"
    if spec.external is not None:
        name, average = spec.external.metric.name, spec.external.target.average_value is not None
        what = f"{name} external metric" if average else f"external metric {name}"
        return f"failed to get {name} external metric value: failed to get {what}: {text}"
    return text
