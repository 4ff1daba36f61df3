"""HorizontalPodAutoscaler in both forms."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.kinds.autoscaling import conversion, defaults, v1
from pybernetes.apiserver.kinds.autoscaling import horizontalpodautoscaler as v2

from ..tables import refusals

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
PODS = {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
OBJECT = {
    "type": "Object",
    "object": {
        "metric": {"name": "q"},
        "describedObject": {"kind": "Service", "name": "s"},
        "target": {"type": "Value", "value": "5"},
    },
}
EXTERNAL = {
    "type": "External",
    "external": {
        "metric": {"name": "e", "selector": {"matchLabels": {"a": "b"}}},
        "target": {"type": "AverageValue", "averageValue": "3"},
    },
}
CONTAINER = {
    "type": "ContainerResource",
    "containerResource": {
        "name": "memory",
        "container": "c",
        "target": {"type": "AverageValue", "averageValue": "1Gi"},
    },
}
BASE: Any = {
    "metadata": {"name": "a"},
    "spec": {"minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": TARGET, "metrics": [CPU]},
}


def test_defaults() -> None:
    made: Any = {"spec": {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 5}}}}
    defaults.default(made)
    spec = made["spec"]
    assert (spec["minReplicas"], spec["metrics"]) == (1, defaults.DEFAULT_METRICS)
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 5
    assert len(spec["behavior"]["scaleUp"]["policies"]) == 2
    assert spec["behavior"]["scaleDown"]["selectPolicy"] == "Max"


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        ({"metrics": [CPU, PODS, OBJECT, EXTERNAL, CONTAINER]}, []),
        ({"maxReplicas": 0}, ["spec.maxReplicas Invalid", "spec.maxReplicas Invalid"]),
        ({"minReplicas": 0}, ["spec.minReplicas Invalid", "spec.metrics Forbidden"]),
        ({"metrics": [{"type": "Pods"}]}, ["spec.metrics[0].pods Required"]),
        ({"metrics": [{**CPU, "type": "Pods"}]}, ["spec.metrics[0].pods Required"]),
        ({"metrics": [{**CPU, "pods": PODS["pods"]}]}, ["spec.metrics[0].pods Forbidden"]),
        (
            {"metrics": [{}]},
            [
                "spec.metrics[0].type Required",
                "spec.metrics[0].type NotSupported",
                "spec.metrics[0].type NotSupported",
            ],
        ),
        ({"scaleTargetRef": {**TARGET, "apiVersion": "v1"}}, ["spec.scaleTargetRef.apiVersion Invalid"]),
        ({"scaleTargetRef": {**TARGET, "apiVersion": "a/b/c"}}, ["spec.scaleTargetRef.apiVersion Invalid"]),
        ({"scaleTargetRef": {"kind": "ReplicationController", "name": "a", "apiVersion": "v1"}}, []),
        (
            {"metrics": [{**CONTAINER, "containerResource": {**CONTAINER["containerResource"], "name": "gpu"}}]},
            ["spec.metrics[0].containerResource.name Invalid", "spec.metrics[0].containerResource.name Invalid"],
        ),
        ({"behavior": {"scaleUp": {}}}, ["spec.behavior.scaleUp.policies Required"]),
        (
            {"behavior": {"scaleDown": {"policies": [{"type": "X", "value": 0, "periodSeconds": 1801}]}}},
            [
                "spec.behavior.scaleDown.policies[0].type NotSupported",
                "spec.behavior.scaleDown.policies[0].value Invalid",
                "spec.behavior.scaleDown.policies[0].periodSeconds Invalid",
            ],
        ),
    ],
)
def test_refused(spec: Any, refused: list[str]) -> None:
    assert refusals(v2.validate, BASE, {"spec": spec}) == refused


def test_a_version_that_stays_is_not_checked() -> None:
    old = copy.deepcopy(BASE)
    old["spec"]["scaleTargetRef"].pop("apiVersion", None)
    assert v2.validate_update(old, old) == []
    assert [str(e.field) for e in v2.validate(old)] == ["spec.scaleTargetRef.apiVersion"]


def test_v1_carries_all_there_and_back() -> None:
    whole = copy.deepcopy(BASE)
    whole["metadata"]["annotations"] = {"kept": "x"}
    whole["spec"] |= {"metrics": [PODS, OBJECT, EXTERNAL, CONTAINER, CPU], "behavior": defaults.DEFAULT_RULES}
    seen = {
        "type": "Resource",
        "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "4m"}},
    }
    condition = {"type": "AbleToScale", "status": "True"}
    whole["status"] = {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": [seen], "conditions": [condition]}
    shown = conversion.from_v2(whole)
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 50
    assert shown["status"]["currentCPUUtilizationPercentage"] == 40
    assert "metrics" not in shown["spec"]
    assert [m["type"] for m in json.loads(shown["metadata"]["annotations"][conversion.METRICS])] == [
        "Pods",
        "Object",
        "External",
        "ContainerResource",
    ]
    back = conversion.to_v2(shown)
    assert {k: back[k] for k in ("metadata", "spec", "status")} == {k: whole[k] for k in ("metadata", "spec", "status")}


def test_v1_wants_four_fifths_of_the_cpu() -> None:
    made: Any = {"metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "scaleTargetRef": TARGET}}
    defaults.default_v1(made)
    v1.prepare_create(made)
    assert made["spec"]["targetCPUUtilizationPercentage"] == 80
    made["apiVersion"] = conversion.V1
    assert conversion.CONVERSIONS.converted(made, conversion.V2)["spec"]["metrics"] == defaults.DEFAULT_METRICS


def test_odd_annotations_say_nothing() -> None:
    made: Any = {
        "metadata": {"name": "a", "annotations": {conversion.METRICS: "{", conversion.BEHAVIOR: "[]"}},
        "spec": {"maxReplicas": 1},
    }
    assert "metrics" not in conversion.to_v2(made)["spec"]


def test_table() -> None:
    made = copy.deepcopy(BASE)
    made["spec"]["metrics"] = [CPU, EXTERNAL, OBJECT]
    made["status"] = {
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7}}}]
    }
    assert v2.row(made, NOW)[1:5] == ["Deployment/d", "cpu: 7%/50%, <unknown>/3 (avg) + 1 more...", "1", 3]
