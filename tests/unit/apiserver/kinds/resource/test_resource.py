"""Claims, slices, classes and taints of devices."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.kinds.resource import devicetaintrule, resourceclaim, resourceclaimtemplate, resourceslice
from pybernetes.apiserver.resource import Stamp

from ..tables import fields, refusals

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SLICE: Any = {
    "metadata": {"name": "s"},
    "spec": {
        "driver": "d.org",
        "nodeName": "n",
        "pool": {"name": "n", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "gpu"}],
    },
}


def claim(*requests: Any, **devices: Any) -> Any:
    made = {"metadata": {"name": "c"}, "spec": {"devices": {"requests": list(requests), **devices}}}
    resourceclaim.default(made)
    return made


def exactly(name: str = "r", **request: Any) -> Any:
    return {"name": name, "exactly": {"deviceClassName": "dc", **request}}


def test_one_device_is_the_default() -> None:
    made = claim(exactly(), {"name": "f", "firstAvailable": [{"name": "a", "deviceClassName": "dc"}]})
    exact, first = made["spec"]["devices"]["requests"]
    assert (exact["exactly"]["allocationMode"], exact["exactly"]["count"]) == ("ExactCount", 1)
    assert first["firstAvailable"][0]["count"] == 1
    assert resourceclaim.validate(made) == []
    template: Any = {"spec": {"spec": made["spec"]}}
    resourceclaimtemplate.default(template)
    assert resourceclaimtemplate.validate(template) == []


@pytest.mark.parametrize(
    ("made", "refused"),
    [
        (claim({"name": "r"}), ["spec.devices.requests[0] Required"]),
        (claim(exactly(), exactly()), ["spec.devices.requests[1].name Duplicate"]),
        (claim(exactly(deviceClassName="")), ["spec.devices.requests[0].exactly.deviceClassName Required"]),
        (claim(exactly(allocationMode="All", count=2)), ["spec.devices.requests[0].exactly.count Invalid"]),
        (claim(exactly(allocationMode="Odd")), ["spec.devices.requests[0].exactly.allocationMode NotSupported"]),
        (claim(exactly(selectors=[{}])), ["spec.devices.requests[0].exactly.selectors[0].cel Required"]),
        (
            claim(exactly(), constraints=[{"requests": ["x"], "matchAttribute": "a.b/c"}]),
            ["spec.devices.constraints[0].requests[0] Invalid"],
        ),
        (
            claim(exactly(), constraints=[{"matchAttribute": "c"}]),
            ["spec.devices.constraints[0].matchAttribute Invalid"],
        ),
        (claim(exactly(), config=[{}]), ["spec.devices.config[0].opaque Required"]),
    ],
)
def test_claims_refused(made: Any, refused: list[str]) -> None:
    assert fields(resourceclaim.validate(made)) == refused


def test_what_becomes_of_a_claim() -> None:
    pod = {"resource": "pods", "name": "p", "uid": "u"}
    old = {"metadata": {"name": "c"}, "status": {}}
    reserved = {"metadata": {"name": "c"}, "status": {"reservedFor": [pod]}}
    allocated = {"metadata": {"name": "c"}, "status": {"allocation": {"devices": {}}, "reservedFor": [pod]}}
    assert fields(resourceclaim.validate_status(reserved, old)) == ["status.reservedFor Forbidden"]
    assert resourceclaim.validate_status(allocated, old) == []
    other = {"metadata": {"name": "c"}, "status": {"allocation": {"devices": {"results": [{"request": "r"}]}}}}
    assert fields(resourceclaim.validate_status(other, allocated)) == ["status.allocation Invalid"]
    assert [resourceclaim.row(c, NOW)[1] for c in (old, allocated)] == ["pending", "allocated,reserved"]


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        ({"nodeName": None}, ["spec Required"]),
        ({"allNodes": True}, ["spec Invalid"]),
        (
            {"pool": {"name": "", "resourceSliceCount": 0}},
            ["spec.pool.name Required", "spec.pool.resourceSliceCount Invalid"],
        ),
        ({"devices": [{"name": "a"}, {"name": "a"}]}, ["spec.devices[1].name Duplicate"]),
        ({"devices": [{"name": "a", "attributes": {"x": {}}}]}, ["spec.devices[0].attributes[x] Required"]),
        ({"devices": [{"name": "a", "taints": [{"key": "k"}]}]}, ["spec.devices[0].taints[0].effect Required"]),
    ],
)
def test_slices_refused(spec: Any, refused: list[str]) -> None:
    assert refusals(resourceslice.validate, SLICE, {"spec": spec}) == refused


def test_since_when_devices_are_tainted() -> None:
    old: Any = {"spec": {"taint": {"key": "k", "effect": "NoExecute", "timeAdded": "2020-01-01T00:00:00Z"}}}
    same: Any = {"spec": {"taint": dict(old["spec"]["taint"])}}
    by = Stamp(User("a"), NOW)
    devicetaintrule.stamp(same, old, by)
    assert same == old
    other: Any = {"spec": {"taint": {**old["spec"]["taint"], "effect": "NoSchedule"}}}
    devicetaintrule.stamp(other, old, by)
    assert other["spec"]["taint"]["timeAdded"] == "2026-01-01T00:00:00Z"
