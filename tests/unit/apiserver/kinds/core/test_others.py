"""Nodes, volumes, claims, quotas, events and the like: what the recorded cases do not reach."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.kinds.core import namespace
from pybernetes.apiserver.resource import Resource

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TABLE: dict[str, Resource] = {r.name: r for r in RESOURCES if r.group == ""}


def made(name: str, **fields: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {"metadata": {"name": "a", "namespace": "n"}, **fields}
    TABLE[name].default(obj)
    return obj


def texts(name: str, **fields: Any) -> list[str]:
    return [str(e) for e in TABLE[name].validate(made(name, **fields))]


def test_namespace_label_finalizer_and_phase() -> None:
    obj = made("namespaces")
    namespace.prepare_create(obj)
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    assert obj["spec"]["finalizers"] == ["kubernetes"]
    assert namespace.validate_status({**obj, "status": {"phase": "Terminating"}}, obj)[0].field == "status.Phase"


def test_node_row() -> None:
    obj = made("nodes", spec={"unschedulable": True}, status={"conditions": [{"type": "Ready", "status": "False"}]})
    obj["metadata"]["labels"] = {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "x"}
    row = TABLE["nodes"].row
    assert row
    assert row(obj, NOW)[1:3] == ["NotReady,SchedulingDisabled", "control-plane,x"]


CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}, "storageClassName": "s"}


def claim_update(phase: str, status: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    old = made("persistentvolumeclaims", spec=deepcopy(CLAIM), status={"phase": phase, **(status or {})})
    new = deepcopy(old)
    new["spec"].update(spec)
    return [str(e) for e in TABLE["persistentvolumeclaims"].validate_update(new, old)]


def test_claims_grow_when_bound_and_shrink_no_further_than_what_there_is() -> None:
    more = {"requests": {"storage": "3Gi"}}
    assert claim_update("Bound", resources=more) == []
    assert "spec is immutable after creation" in claim_update("Pending", resources=more)[0]
    capacity = {"capacity": {"storage": "2Gi"}}
    less = claim_update("Bound", capacity, resources={"requests": {"storage": "1Gi"}})
    assert less == ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
    assert claim_update("Pending", volumeName="v") == []


def test_volume_source_stays() -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    old = made("persistentvolumes", spec=spec)
    new = deepcopy(old)
    new["spec"]["hostPath"]["path"] = "/y"
    (error,) = TABLE["persistentvolumes"].validate_update(new, old)
    assert error.field == "spec.persistentvolumesource"
    assert "spec.persistentvolumesource is immutable after creation" in error.body


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"involvedObject": {"namespace": "other"}},
            ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
        ),
        (
            {
                "involvedObject": {"namespace": "n"},
                "eventTime": "2026-01-01T00:00:00.000000Z",
                "reportingComponent": "c",
            },
            ["reportingInstance: Required value", "action: Required value", "reason: Required value"],
        ),
    ],
)
def test_events(fields: dict[str, Any], expected: list[str]) -> None:
    assert texts("events", **fields) == expected


def test_secret_strings_and_types() -> None:
    obj = made("secrets", stringData={"k": "v"})
    assert obj["data"] == {"k": "dg=="}
    assert "stringData" not in obj
    assert texts("secrets", type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "e30="}) == []
    assert texts("secrets", type="kubernetes.io/basic-auth") == [
        "data[username]: Required value",
        "data[password]: Required value",
    ]


def test_quota_row_and_scopes() -> None:
    status = {"hard": {"pods": "3", "limits.cpu": "2"}, "used": {"pods": "1"}}
    obj = made("resourcequotas", status=status)
    row = TABLE["resourcequotas"].row
    assert row
    assert row(obj, NOW) == ["a", "pods: 1/3", "limits.cpu: 0/2", "<unknown>"]
    scoped = {
        "hard": {"pods": "1"},
        "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]},
    }
    assert "must be at least one value" in texts("resourcequotas", spec=scoped)[0]


def test_endpoints_row_shows_three() -> None:
    addresses = [{"ip": f"10.0.0.{i}"} for i in range(5)]
    obj = made("endpoints", subsets=[{"addresses": addresses, "ports": [{"port": 80}]}])
    row = TABLE["endpoints"].row
    assert row
    assert row(obj, NOW)[1] == "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."


def test_limit_range_ratio() -> None:
    item = {"type": "Container", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}
    assert "ratio 3 is greater than max/min = 2.000000" in texts("limitranges", spec={"limits": [item]})[0]


def test_a_nameless_limit_range_is_named_after_its_uid() -> None:
    obj: dict[str, Any] = {"metadata": {"uid": "u"}}
    TABLE["limitranges"].prepare_create(obj)
    assert obj["metadata"]["name"] == "u"


def test_a_class_of_attributes_stays_once_it_is_in_effect() -> None:
    at = "spec.volumeAttributesClassName: Forbidden: update to"
    given = {"currentVolumeAttributesClassName": "x"}
    old = made("persistentvolumeclaims", spec={**CLAIM, "volumeAttributesClassName": "x"}, status={"phase": "Bound"})
    for status, name, expected in (
        ({}, None, []),
        (given, "y", []),
        (given, None, [f"{at} nil is forbidden when status.currentVolumeAttributesClassName is not nil"]),
        (given, "", [f"{at} empty string is forbidden when status.currentVolumeAttributesClassName is not nil"]),
    ):
        before = deepcopy(old)
        before["status"].update(status)
        new = deepcopy(before)
        new["spec"]["volumeAttributesClassName"] = name
        assert [str(e) for e in TABLE["persistentvolumeclaims"].validate_update(new, before)] == expected


def test_labels_in_the_affinity_of_volumes_may_become_stable_ones() -> None:
    def volume(key: str, zone: str = "z") -> dict[str, Any]:
        term = {"matchExpressions": [{"key": key, "operator": "In", "values": [zone]}]}
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
        return made("persistentvolumes", spec={**spec, "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}})

    old = volume("failure-domain.beta.kubernetes.io/zone")
    validate = TABLE["persistentvolumes"].validate_update
    assert validate(volume("topology.kubernetes.io/zone"), old) == []
    (error,) = validate(volume("topology.kubernetes.io/zone", "y"), old)
    assert (error.field, error.body.rpartition(": ")[2]) == (
        "nodeAffinity",
        "field is immutable, except for updating from beta label to GA",
    )


def test_services_may_begin_with_a_digit() -> None:
    assert TABLE["services"].name_check == "label"
