"""HorizontalPodAutoscalers between autoscaling/v1 and v2, which is stored: what v1 has no fields for stands in annotations.

Upstream: pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...conversion import ConversionTable, Version
from ...resource import Object
from .defaults import METRICS, default, default_v1
from .metrics import SOURCES

V1, V2 = "autoscaling/v1", "autoscaling/v2"
CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
ANNOTATIONS = (METRICS, CURRENT, CONDITIONS, BEHAVIOR)
# Fields of a metric in the order of v1's types.
ORDER = (
    *("name", "target", "metricName", "metricSelector", "targetValue", "currentValue", "targetAverageUtilization"),
    *(
        "currentAverageUtilization",
        "targetAverageValue",
        "currentAverageValue",
        "selector",
        "averageValue",
        "container",
    ),
)

Source = Mapping[str, Any]


def _set(converted: dict[str, Any], **values: Any) -> dict[str, Any]:
    converted.update({name: value for name, value in values.items() if value is not None})
    return converted


def _is_cpu(metric: Source) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or resource.get("current") or {}
    return (
        metric.get("type") == "Resource"
        and resource.get("name") == "cpu"
        and target.get("averageUtilization") is not None
    )


# --- v2 -> v1 -----------------------------------------------------------------------------------


def _flat(metric: Source, current: bool) -> dict[str, Any]:
    """A metric as the annotations have it: the target's numbers beside the source's."""
    kind = metric.get("type") or ""
    name = SOURCES.get(kind, "")
    source = metric.get(name) or {}
    value = source.get("current" if current else "target") or {}
    prefix = "current" if current else "target"
    converted: dict[str, Any] = {}
    if name in ("resource", "containerResource"):
        converted["name"] = source.get("name") or ""
        _set(converted, container=source.get("container"))
        _set(converted, **{f"{prefix}AverageUtilization": value.get("averageUtilization")})
        _set(converted, **{f"{prefix}AverageValue": value.get("averageValue")})
    else:
        identifier = source.get("metric") or {}
        converted["metricName"] = identifier.get("name") or ""
        selector = "metricSelector" if name == "external" else "selector"
        _set(converted, **{selector: identifier.get("selector")})
        if name == "object":
            converted["target"] = source.get("describedObject") or {}
            _set(converted, averageValue=value.get("averageValue"))
            converted[f"{prefix}Value"] = value.get("value") or "0"
        else:
            _set(converted, **{f"{prefix}AverageValue": value.get("averageValue")})
            _set(converted, **{f"{prefix}Value": value.get("value")})
    return {"type": kind, name: _ordered(converted)}


def _ordered(converted: dict[str, Any]) -> dict[str, Any]:
    """The fields as Go's types have them: annotations are compared as text."""
    ordered = {name: converted[name] for name in ORDER if name in converted}
    if "target" in ordered:
        ordered["target"] = {
            name: ordered["target"][name] for name in ("kind", "name", "apiVersion") if name in ordered["target"]
        }
    return ordered


def _behavior_text(behavior: Source) -> str:
    """Upstream marshals the type in memory, whose fields have no JSON names."""
    converted: dict[str, Any] = {}
    for name in ("scaleUp", "scaleDown"):
        rules = behavior.get(name)
        if rules is None:
            converted[_go(name)] = None
            continue
        policies = [
            {_go(key): one.get(key) for key in ("type", "value", "periodSeconds")}
            for one in rules.get("policies") or ()
        ]
        fields: dict[str, Any] = {
            "StabilizationWindowSeconds": rules.get("stabilizationWindowSeconds"),
            "SelectPolicy": rules.get("selectPolicy"),
            "Policies": policies,
        }
        converted[_go(name)] = fields | (
            {"Tolerance": rules["tolerance"]} if rules.get("tolerance") is not None else {}
        )
    return _text(converted)


def _go(name: str) -> str:
    return name[:1].upper() + name[1:]


def _json_names(value: Any) -> Any:
    """Names of fields as JSON has them, whoever wrote them; nulls are as good as nothing."""
    if isinstance(value, dict):
        return {k[:1].lower() + k[1:]: _json_names(v) for k, v in value.items() if v is not None}
    return [_json_names(one) for one in value] if isinstance(value, list) else value


def from_v2(scaler: Object) -> Object:
    """As autoscaling/v1 answers."""
    spec, status = dict(scaler.get("spec") or {}), dict(scaler.get("status") or {})
    metadata = dict(scaler["metadata"])
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in ANNOTATIONS}
    metrics, seen = spec.pop("metrics", None) or [], status.pop("currentMetrics", None) or []
    _take_cpu(metrics, spec, "targetCPUUtilizationPercentage", "target")
    others = _without_first_cpu(metrics)
    if others:
        annotations[METRICS] = _text([_flat(m, False) for m in others])
    _take_cpu(seen, status, "currentCPUUtilizationPercentage", "current")
    if seen:
        annotations[CURRENT] = _text([_flat(m, True) for m in seen])
    for name, where, key, text in (
        ("conditions", status, CONDITIONS, _text),
        ("behavior", spec, BEHAVIOR, _behavior_text),
    ):
        value = where.pop(name, None)
        if value:
            annotations[key] = text(value)
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    head = {"apiVersion": V1, "kind": "HorizontalPodAutoscaler", "metadata": metadata}
    return {**head, "spec": spec, "status": status}


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _take_cpu(metrics: Sequence[Source], into: dict[str, Any], name: str, side: str) -> None:
    cpu = next((m for m in metrics if _is_cpu(m)), None)
    if cpu is not None:
        into[name] = cpu["resource"][side]["averageUtilization"]


def _without_first_cpu(metrics: Sequence[Source]) -> list[Source]:
    first = next((index for index, m in enumerate(metrics) if _is_cpu(m)), -1)
    return [m for index, m in enumerate(metrics) if index != first]


# --- v1 -> v2 -----------------------------------------------------------------------------------


def _deep(metric: Source, current: bool) -> dict[str, Any]:
    """A metric of the annotations as v2 has it."""
    kind = metric.get("type") or ""
    name = SOURCES.get(kind, "")
    source = metric.get(name) or {}
    prefix, side = ("current", "current") if current else ("target", "target")
    value: dict[str, Any] = {}
    _set(value, averageUtilization=source.get(f"{prefix}AverageUtilization"))
    average = source.get("averageValue") if name == "object" else source.get(f"{prefix}AverageValue")
    _set(value, averageValue=average)
    raw = source.get(f"{prefix}Value")
    if name == "external" or (name == "object" and raw not in (None, "0")):
        _set(value, value=raw)
    if not current:
        percent, plain = "averageUtilization" in value, "value" in value
        value["type"] = "Utilization" if percent else "Value" if plain else "AverageValue"
    converted: dict[str, Any] = {side: value}
    if name in ("resource", "containerResource"):
        converted["name"] = source.get("name") or ""
        _set(converted, container=source.get("container"))
    else:
        selector = source.get("metricSelector" if name == "external" else "selector")
        converted["metric"] = _set({"name": source.get("metricName") or ""}, selector=selector)
        if name == "object":
            converted["describedObject"] = source.get("target") or {}
    return {"type": kind, name: converted}


def _parsed(annotations: Mapping[str, str], key: str, kind: type) -> Any:
    """What an annotation says; nothing where it says nothing readable, as upstream."""
    try:
        return msgspec.json.decode(annotations.get(key) or "null", type=kind | None)
    except msgspec.DecodeError:
        return None


def to_v2(scaler: Object) -> Object:
    """As autoscaling/v2 keeps it."""
    spec, status = dict(scaler.get("spec") or {}), dict(scaler.get("status") or {})
    metadata = dict(scaler.get("metadata") or {})
    annotations = metadata.get("annotations") or {}
    listed = _parsed(annotations, METRICS, list[dict[str, Any]]) or []
    metrics = [_deep(m, False) for m in listed]
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if behavior := _parsed(annotations, BEHAVIOR, dict[str, Any]):
        spec["behavior"] = _json_names(behavior)
    seen = [_deep(m, True) for m in _parsed(annotations, CURRENT, list[dict[str, Any]]) or []]
    percent = status.pop("currentCPUUtilizationPercentage", None)
    if percent is not None and not any(_is_cpu(m) for m in seen):
        seen.insert(0, {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}})
    status["currentMetrics"] = seen or None
    if conditions := _parsed(annotations, CONDITIONS, list[dict[str, Any]]):
        status["conditions"] = conditions
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)
    status.setdefault("desiredReplicas", 0)
    kept = {k: v for k, v in annotations.items() if k not in ANNOTATIONS}
    if kept:
        metadata["annotations"] = kept
    else:
        metadata.pop("annotations", None)
    head = {"apiVersion": V2, "kind": "HorizontalPodAutoscaler", "metadata": metadata}
    return {**head, "spec": spec, "status": status}


CONVERSIONS = ConversionTable(
    kind="HorizontalPodAutoscaler",
    hub=V2,
    versions={
        V1: Version("io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler", default_v1),
        V2: Version("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler", default),
    },
    functions={(V1, V2): to_v2, (V2, V1): from_v2},
)
