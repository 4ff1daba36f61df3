"""Conditions of an autoscaler, and where the scale of its target is; pure (upstream: pkg/controller/podautoscaler)."""

from __future__ import annotations

from datetime import datetime

from pybernetes.api.conditions import condition
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
