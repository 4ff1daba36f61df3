"""Defaults of HorizontalPodAutoscalers in their versions (upstream: pkg/apis/autoscaling/{v1,v2}/defaults.go)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import msgspec

from ...resource import Object

METRICS = "autoscaling.alpha.kubernetes.io/metrics"  # where v1 says what it has no fields for
CPU_PERCENT = 80
_metrics = msgspec.json.Decoder(list[dict[str, Any]])
DEFAULT_METRICS = [
    {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": CPU_PERCENT}},
    }
]
DEFAULT_RULES: Mapping[str, Mapping[str, Any]] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
}


def default(scaler: Object) -> None:
    """One replica at least; 80 % of the requested CPU; upstream's rules where some are given."""
    spec = scaler.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if not spec.get("metrics"):
        spec["metrics"] = deepcopy(DEFAULT_METRICS)
    behavior = spec.get("behavior")
    if behavior is not None:
        for name, rules in DEFAULT_RULES.items():
            given = behavior.setdefault(name, {})
            for key, value in rules.items():
                if given.get(key) is None:
                    given[key] = deepcopy(value)


def default_v1(scaler: Object) -> None:
    """One replica at least; 80 % of the requested CPU where neither a field nor an annotation says anything."""
    spec = scaler.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    annotations = (scaler.get("metadata") or {}).get("annotations") or {}
    if METRICS in annotations and not _tells_of_metrics(annotations[METRICS]):
        del annotations[METRICS]  # what cannot be read says nothing
    if spec.get("targetCPUUtilizationPercentage") is None and METRICS not in annotations:
        spec["targetCPUUtilizationPercentage"] = CPU_PERCENT


def _tells_of_metrics(text: str) -> bool:
    try:
        return bool(_metrics.decode(text))
    except (msgspec.DecodeError, RecursionError):
        return False
