"""StorageClass, VolumeAttachment, CSINode, CSIDriver, CSIStorageCapacity, VolumeAttributesClass."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.kinds.storage import (
    csidriver,
    csinode,
    csistoragecapacity,
    storageclass,
    volumeattachment,
    volumeattributesclass,
)

from ..tables import fields, merged

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLASS: Any = {
    "metadata": {"name": "a"},
    "provisioner": "x.io/p",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}
DRIVER: Any = {"metadata": {"name": "d.org"}, "spec": {}}
csidriver.default(DRIVER)


@pytest.mark.parametrize(
    ("topologies", "refused"),
    [
        ([{"matchLabelExpressions": [{"key": "a", "values": ["1"]}]}], []),
        (
            [{"matchLabelExpressions": [{"key": "a", "values": ["1", "1"]}]}],
            ["allowedTopologies[0].matchLabelExpressions[0].values[1] Duplicate"],
        ),
        (
            [{"matchLabelExpressions": [{"key": "a", "values": ["1"]}]}] * 2,
            ["allowedTopologies[1].matchLabelExpressions Duplicate"],
        ),
    ],
)
def test_topologies(topologies: Any, refused: list[str]) -> None:
    assert fields(storageclass.validate({**CLASS, "allowedTopologies": topologies})) == refused


def test_a_class_stays_but_for_expansion() -> None:
    assert storageclass.validate_update({**CLASS, "allowVolumeExpansion": True}, CLASS) == []
    changed = {**CLASS, "volumeBindingMode": "WaitForFirstConsumer", "parameters": {"a": "b"}}
    assert fields(storageclass.validate_update(changed, CLASS)) == ["parameters Forbidden", "volumeBindingMode Invalid"]
    marked = {**CLASS, "metadata": {"name": "a", "annotations": {storageclass.DEFAULT_ANNOTATIONS[0]: "true"}}}
    assert storageclass.row(marked, NOW)[0] == "a (default)"


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ({"persistentVolumeName": "p"}, []),
        (
            {"persistentVolumeName": ""},
            ["spec.source.persistentVolumeName Required", "spec.source.persistentVolumeName Invalid"],
        ),
        ({"persistentVolumeName": "p", "inlineVolumeSpec": {}}, ["spec.source Forbidden"]),
        ({}, ["spec.source Required"]),
    ],
)
def test_attachments(source: Any, refused: list[str]) -> None:
    made = {"metadata": {"name": "a"}, "spec": {"attacher": "d.org", "nodeName": "n", "source": source}}
    assert fields(volumeattachment.validate(made)) == refused


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({"podInfoOnMount": True, "storageCapacity": True}, []),
        ({"attachRequired": False}, ["spec.attachedRequired Invalid"]),
        (
            {"volumeLifecycleModes": ["Odd"]},
            ["spec.volumeLifecycleModes NotSupported", "spec.volumeLifecycleModes Invalid"],
        ),
        ({"fsGroupPolicy": "Odd"}, ["spec.fsGroupPolicy NotSupported"]),
        ({"fsGroupPolicy": "None", "podInfoOnMount": True, "requiresRepublish": True}, []),
        (
            {"tokenRequests": [{"audience": "a", "expirationSeconds": 1}, {"audience": "a"}]},
            ["spec.tokenRequests[0].expirationSeconds Invalid", "spec.tokenRequests[1].audience Duplicate"],
        ),
    ],
)
def test_drivers(spec: Any, refused: list[str]) -> None:
    assert fields(csidriver.validate_update(merged(DRIVER, {"spec": spec}), DRIVER)) == refused


def test_the_entry_of_a_driver_stays_but_for_its_count() -> None:
    def node(**driver: Any) -> dict[str, Any]:
        return {"metadata": {"name": "n"}, "spec": {"drivers": [{"name": "d.org", "nodeID": "n", **driver}]}}

    assert csinode.validate_update(node(allocatable={"count": 2}), node()) == []
    assert fields(csinode.validate_update(node(nodeID="m"), node())) == ["CSINodeDriver Invalid"]


def test_capacities_and_attributes() -> None:
    capacity = {"metadata": {"name": "a"}, "storageClassName": "sc", "capacity": "1Gi"}
    assert csistoragecapacity.validate(capacity) == []
    assert fields(csistoragecapacity.validate({**capacity, "capacity": "-1"})) == ["capacity Invalid"]
    assert fields(csistoragecapacity.validate_update({**capacity, "storageClassName": "b"}, capacity)) == [
        "storageClassName Invalid"
    ]
    attributes = {"metadata": {"name": "a"}, "driverName": "d.org", "parameters": {"a": "b"}}
    assert volumeattributesclass.validate(attributes) == []
    assert fields(volumeattributesclass.validate({**attributes, "parameters": {}})) == ["parameters Required"]
    assert fields(volumeattributesclass.validate_update({**attributes, "driverName": "e"}, attributes)) == [
        "driverName Forbidden"
    ]


def test_drivers_have_names_of_any_length() -> None:
    """The name of a CSIDriver is a subdomain; who names one (CSINode, VolumeAttachment) is held to 63 characters."""
    long = ".".join(["x" * 60] * 4)
    assert fields(csidriver.validate({**DRIVER, "metadata": {"name": long}})) == []
