"""HorizontalPodAutoscaler of autoscaling/v2 (upstream: pkg/apis/autoscaling, pkg/registry/autoscaling/horizontalpodautoscaler)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import not_negative_fields
from . import metrics
from .conversion import CONVERSIONS
from .defaults import default

SPEC, STATUS = Path("spec"), Path("status")
SHOWN = 2  # metrics in a table


def prepare_create(scaler: Object) -> None:
    """Nothing was seen yet."""
    scaler["status"] = {"desiredReplicas": 0, "currentMetrics": None}


def validate(scaler: Object) -> Errors:
    """ValidateHorizontalPodAutoscaler."""
    return spec_errors(scaler.get("spec") or {}, {})


def spec_errors(spec: Object, before: Object, *, any_version: bool = False) -> Errors:
    """`before` is what an update finds: versions that were not checked then are not checked now, and none where `any_version` is."""
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    errors: Errors = []
    if least is not None and least < 1:
        errors.append(field.invalid(SPEC / "minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        errors.append(field.invalid(SPEC / "maxReplicas", most, "must be greater than 0"))
    if least is not None and most < least:
        errors.append(field.invalid(SPEC / "maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    target, was = spec.get("scaleTargetRef") or {}, before.get("scaleTargetRef") or {}
    kept = all((target.get(name) or "") == (was.get(name) or "") for name in ("apiVersion", "kind"))
    errors += metrics.reference(
        SPEC / "scaleTargetRef",
        target,
        any_version=any_version or (bool(before) and kept),
        group_needed=target.get("kind") != "ReplicationController",
    )
    described = [((m.get("object") or {}).get("describedObject") or {}) for m in before.get("metrics") or ()]
    bad = any_version or any(metrics.api_version_error(ref.get("apiVersion") or "") for ref in described)
    errors += metrics.metrics(SPEC / "metrics", spec.get("metrics") or (), least, any_version=bad)
    return errors + metrics.behavior(SPEC / "behavior", spec.get("behavior"))


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return spec_errors(new.get("spec") or {}, old.get("spec") or {})


def validate_status(new: Object, old: Object) -> Errors:
    """Counts are not negative."""
    return not_negative_fields(STATUS, new.get("status") or {}, ("currentReplicas", "desiredReplicas"))


# --- table --------------------------------------------------------------------------------------


def _targets(specs: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]]) -> str:
    if not specs:
        return "<none>"
    texts = [_metric(spec, seen[index] if index < len(seen) else {}) for index, spec in enumerate(specs)]
    shown = ", ".join(texts[:SHOWN])
    return f"{shown} + {len(texts) - SHOWN} more..." if len(texts) > SHOWN else shown


def _metric(spec: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    name = metrics.SOURCES.get(spec.get("type") or "")
    if name is None:
        return "<unknown type>"
    source, current = spec.get(name) or {}, (seen.get(name) or {}).get("current") or {}
    target = source.get("target") or {}
    absent = "<unknown>" if seen.get(name) is None else "<nil>"
    if name in ("resource", "containerResource"):
        label = source.get("name") or ""
        if target.get("averageValue") is not None:
            return f"{label}: {current.get('averageValue', '<unknown>')}/{target['averageValue']}"
        now, goal = current.get("averageUtilization"), target.get("averageUtilization")
        now_text, goal_text = "<unknown>" if now is None else f"{now}%", "<auto>" if goal is None else f"{goal}%"
        return f"{label}: {now_text}/{goal_text}"
    if name != "pods" and target.get("averageValue") is None:
        return f"{current.get('value', absent)}/{target.get('value', '<nil>')}"
    if name == "pods":
        return f"{current.get('averageValue', absent)}/{target.get('averageValue', '<nil>')}"
    text = f"{current.get('averageValue', '<unknown>')}/{target.get('averageValue', '<nil>')}"
    return f"{text} (avg)"


def row(scaler: Object, now: datetime) -> list[Any]:
    """Name, Reference, Targets, MinPods, MaxPods, Replicas, Age."""
    spec, status = scaler.get("spec") or {}, scaler.get("status") or {}
    target, least = spec.get("scaleTargetRef") or {}, spec.get("minReplicas")
    return [
        scaler["metadata"]["name"],
        f"{target.get('kind') or ''}/{target.get('name') or ''}",
        _targets(spec.get("metrics") or (), status.get("currentMetrics") or ()),
        "<unset>" if least is None else str(least),
        spec.get("maxReplicas") or 0,
        status.get("currentReplicas") or 0,
        object_age(scaler, now),
    ]


RESOURCE = Resource(
    group="autoscaling",
    version="v2",
    name="horizontalpodautoscalers",
    kind="HorizontalPodAutoscaler",
    schema="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    short_names=("hpa",),
    categories=("all",),
    conversions=CONVERSIONS,
    status=True,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    columns=(
        NAME,
        Column("Reference", description="What is scaled"),
        Column("Targets", description="Of each metric, what was seen and what is wanted"),
        Column("MinPods", description="The lower limit for the number of replicas"),
        Column("MaxPods", description="The upper limit for the number of replicas"),
        Column("Replicas", description="The number of replicas last seen"),
        AGE,
    ),
    row=row,
)
