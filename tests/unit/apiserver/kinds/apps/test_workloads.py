from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from pybernetes.apiserver.kinds.apps import controllerrevision, daemonset, deployment, replicaset, statefulset

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}


def made(kind: Any, **spec: Any) -> dict[str, Any]:
    selected = {"selector": {"matchLabels": {"a": "b"}}, "template": deepcopy(TEMPLATE)}
    obj: dict[str, Any] = {"metadata": {"name": "a", "namespace": "n"}, "spec": {**selected, **spec}}
    kind.RESOURCE.default(obj)
    kind.RESOURCE.prepare_create(obj)
    return obj


def texts(kind: Any, **spec: Any) -> list[str]:
    return [str(e) for e in kind.RESOURCE.validate(made(kind, **spec))]


@pytest.mark.parametrize("kind", [daemonset, deployment, replicaset, statefulset])
def test_a_plain_one_is_right_and_its_selector_stays(kind: Any) -> None:
    old = made(kind)
    assert kind.RESOURCE.validate(old) == []
    new = deepcopy(old)
    new["spec"]["selector"]["matchLabels"]["c"] = "d"
    new["spec"]["template"]["metadata"]["labels"]["c"] = "d"
    assert kind.RESOURCE.validate_update(new, old)


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        (
            deployment,
            {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            deployment,
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
        ),
        (
            deployment,
            {"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}},
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
        ),
        (
            deployment,
            {"strategy": {"rollingUpdate": {"maxSurge": "x"}}},
            'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x": a valid percent string must be a '
            "numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
        (
            deployment,
            {"progressDeadlineSeconds": 5, "minReadySeconds": 5},
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
        ),
        (deployment, {"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        (
            daemonset,
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}},
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
        ),
        (
            daemonset,
            {"updateStrategy": {"type": "X"}},
            'spec.updateStrategy: Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "RollingUpdate", "OnDelete"',
        ),
        (
            statefulset,
            {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
            "spec.updateStrategy.rollingUpdate: Invalid value: {\"Partition\":1}: only allowed for updateStrategy 'RollingUpdate'",
        ),
        (
            statefulset,
            {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "X"}},
            'spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "X": supported values: "Retain", "Delete"',
        ),
    ],
)
def test_refused(kind: Any, spec: dict[str, Any], expected: str) -> None:
    assert expected in texts(kind, **spec)


def test_stateful_set_defaults_and_updates() -> None:
    claim = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    old = made(statefulset, volumeClaimTemplates=[claim])
    assert old["spec"]["volumeClaimTemplates"][0]["kind"] == "PersistentVolumeClaim"
    assert old["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    new = deepcopy(old)
    new["spec"].update({"replicas": 5, "minReadySeconds": 3, "revisionHistoryLimit": 2})
    assert statefulset.validate_update(new, old) == []
    new["spec"]["serviceName"] = "t"
    assert "are forbidden" in str(statefulset.validate_update(new, old)[0])


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (
            deployment,
            {"replicas": 1, "updatedReplicas": 2},
            "status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas",
        ),
        (
            replicaset,
            {"replicas": 3, "readyReplicas": 1, "availableReplicas": 2},
            "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
        ),
        (
            statefulset,
            {"replicas": 3, "readyReplicas": 1, "availableReplicas": 2},
            "status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas",
        ),
        (daemonset, {"numberReady": -1}, "status.numberReady: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
def test_status(kind: Any, status: dict[str, Any], expected: str) -> None:
    old = made(kind)
    assert [str(e) for e in kind.RESOURCE.validate_status({**old, "status": status}, old)] == [expected]


def test_collisions_are_not_uncounted() -> None:
    old = {**made(deployment), "status": {"collisionCount": 2}}
    (error,) = deployment.validate_status({**old, "status": {}}, old)
    assert str(error) == "status.collisionCount: Invalid value: 0: cannot be decremented"


def test_revisions_stay() -> None:
    old = {"metadata": {"name": "a"}, "data": {"x": 1}, "revision": 1}
    assert controllerrevision.validate_update({**old, "revision": 2}, old) == []
    assert controllerrevision.validate_update({**old, "data": {"x": 2}}, old)[0].field == "data"
