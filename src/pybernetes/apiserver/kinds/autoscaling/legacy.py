"""HorizontalPodAutoscalers of autoscaling/v2beta2 and v2beta1 (until 1.26 and 1.25); the former has v2's fields.

Upstream: pkg/apis/autoscaling/v2beta1/{conversion,defaults}.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...conversion import ConversionTable, Version
from ...resource import Errors, Object
from ..versions import Family, older, renamed
from . import horizontalpodautoscaler as v2
from . import v1
from .conversion import CONVERSIONS, V2
from .defaults import default
from .metrics import SOURCES

BETA1, BETA2 = "autoscaling/v2beta1", "autoscaling/v2beta2"


def _set(obj: dict[str, Any], **values: Any) -> dict[str, Any]:
    obj.update({name: value for name, value in values.items() if value is not None})
    return obj


# --- v2beta1 -> v2 ------------------------------------------------------------------------------


def _kind_of(target: Mapping[str, Any]) -> str:
    if "averageUtilization" in target:
        return "Utilization"
    return "Value" if "value" in target else "AverageValue"


def _deep(metric: Mapping[str, Any], current: bool) -> dict[str, Any]:
    """A metric with its numbers below `target` or `current`."""
    side = "current" if current else "target"
    converted: dict[str, Any] = {"type": metric.get("type") or ""}
    for name in SOURCES.values():
        source = metric.get(name)
        if source is None:
            continue
        value: dict[str, Any] = {}
        if name in ("resource", "containerResource"):
            _set(value, averageUtilization=source.get(f"{side}AverageUtilization"))
            _set(value, averageValue=source.get(f"{side}AverageValue"))
            one = _set({"name": source.get("name") or ""}, container=source.get("container"))
        else:
            selector = source.get("metricSelector" if name == "external" else "selector")
            one = {"metric": _set({"name": source.get("metricName") or ""}, selector=selector)}
            if name == "object":
                one["describedObject"] = source.get("target") or {}
                _set(value, averageValue=source.get("averageValue"))
                value["value"] = source.get(f"{side}Value") or "0"
            else:
                _set(value, averageValue=source.get(f"{side}AverageValue"), value=source.get(f"{side}Value"))
        if not current:
            kind = "AverageValue" if name == "object" and "averageValue" in value else _kind_of(value)
            value["type"] = kind
        converted[name] = {**one, side: value}
    return converted


def to_v2(scaler: Object) -> Object:
    """As v2."""
    return _converted(scaler, V2, _deep)


# --- v2 -> v2beta1 ------------------------------------------------------------------------------


def _flat(metric: Mapping[str, Any], current: bool) -> dict[str, Any]:
    """A metric with its numbers beside its name."""
    side = "current" if current else "target"
    converted: dict[str, Any] = {"type": metric.get("type") or ""}
    for name in SOURCES.values():
        source = metric.get(name)
        if source is None:
            continue
        value = source.get(side) or {}
        one: dict[str, Any] = {}
        if name in ("resource", "containerResource"):
            one["name"] = source.get("name") or ""
            _set(one, container=source.get("container"))
            _set(one, **{f"{side}AverageUtilization": value.get("averageUtilization")})
            average = value.get("averageValue")
            _set(one, **{f"{side}AverageValue": average if not current else average or "0"})
        else:
            identifier = source.get("metric") or {}
            one["metricName"] = identifier.get("name") or ""
            _set(one, **{"metricSelector" if name == "external" else "selector": identifier.get("selector")})
            if name == "object":
                one["target"] = source.get("describedObject") or {}
                one[f"{side}Value"] = value.get("value") or "0"
                _set(one, averageValue=value.get("averageValue"))
            elif name == "pods":
                one[f"{side}AverageValue"] = value.get("averageValue") or "0"
            else:
                _set(one, **{f"{side}AverageValue": value.get("averageValue")})
                number = value.get("value")
                _set(one, **{f"{side}Value": number if not current else number or "0"})
        converted[name] = one
    return converted


def from_v2(scaler: Object) -> Object:
    """As v2beta1, which knows no behavior: that stands nowhere."""
    return _converted(scaler, BETA1, _flat)


def _converted(scaler: Object, version: str, change: Any) -> Object:
    converted = {**scaler, "apiVersion": version}
    if version != V2:
        converted["status"] = _whole(scaler.get("status") or {})
    for part, name, current in (("spec", "metrics", False), ("status", "currentMetrics", True)):
        metrics = converted.get(part)
        if metrics is not None and metrics.get(name) is not None:
            converted[part] = {**metrics, name: [change(metric, current) for metric in metrics[name]]}
    return converted


def _whole(status: Mapping[str, Any]) -> dict[str, Any]:
    """With what these versions always write."""
    return {"currentReplicas": 0, "desiredReplicas": 0, "currentMetrics": None, "conditions": None} | dict(status)


def to_beta2(scaler: Object) -> Object:
    """As v2beta2."""
    return {**scaler, "apiVersion": BETA2, "status": _whole(scaler.get("status") or {})}


# --- rules --------------------------------------------------------------------------------------


def default_beta1(scaler: Object) -> None:
    """As v2's, in this form."""
    hub = to_v2(scaler)
    given = (scaler.get("spec") or {}).get("metrics")
    default(hub)
    spec = scaler.setdefault("spec", {})
    spec["minReplicas"] = hub["spec"]["minReplicas"]
    if not given:
        spec["metrics"] = [_flat(metric, False) for metric in hub["spec"]["metrics"]]


def prepare_create(scaler: Object) -> None:
    """Nothing was seen yet."""
    scaler["status"] = {"currentReplicas": 0, "desiredReplicas": 0, "currentMetrics": None, "conditions": None}


def validate(scaler: Object) -> Errors:
    """As v2, whose names the fields have in refusals; the versions of what is referred to are checked since 1.34."""
    return v2.spec_errors(to_v2(scaler).get("spec") or {}, {}, any_version=True)


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def validate_beta2(scaler: Object) -> Errors:
    """See `validate`."""
    return v2.spec_errors(scaler.get("spec") or {}, {}, any_version=True)


def validate_update_beta2(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate_beta2(new)


def row(scaler: Object, now: datetime) -> list[Any]:
    """As v2's."""
    return v2.row(to_v2(scaler), now)


TABLE = ConversionTable(
    kind="HorizontalPodAutoscaler",
    hub=V2,
    versions={
        **CONVERSIONS.versions,
        BETA1: Version("io.k8s.api.autoscaling.v2beta1.HorizontalPodAutoscaler", default_beta1),
        BETA2: Version("io.k8s.api.autoscaling.v2beta2.HorizontalPodAutoscaler", default),
    },
    functions={
        **CONVERSIONS.functions,
        (BETA1, V2): to_v2,
        (V2, BETA1): from_v2,
        (BETA2, V2): renamed(V2),
        (V2, BETA2): to_beta2,
    },
)

FAMILIES: tuple[Family, ...] = (
    tuple(
        replace(one, conversions=TABLE, _cache={})
        for one in (
            v2.RESOURCE,
            v1.RESOURCE,
            older(
                v2.RESOURCE,
                "autoscaling.v2beta2",
                prepare_create=prepare_create,
                validate=validate_beta2,
                validate_update=validate_update_beta2,
            ),
            older(
                v2.RESOURCE,
                "autoscaling.v2beta1",
                default=default_beta1,
                prepare_create=prepare_create,
                validate=validate,
                validate_update=validate_update,
                row=row,
            ),
        )
    ),
)
