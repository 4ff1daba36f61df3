from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.field import Path
from pybernetes.apiserver.kinds import meta
from pybernetes.apiserver.kinds.meta import NAME_CHECKS, validate_object_meta, validate_object_meta_update

META = Path("metadata")
SUBDOMAIN = NAME_CHECKS["subdomain"]


def texts(meta: dict[str, Any], namespaced: bool = True, **options: Any) -> list[str]:
    return [str(e) for e in validate_object_meta(meta, namespaced, SUBDOMAIN, META, **options)]


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"name": "a", "namespace": "n"}, []),
        ({"namespace": "n"}, ["metadata.name: Required value: name or generateName is required"]),
        ({"name": "a"}, ["metadata.namespace: Required value"]),
        ({"name": "a-x", "generateName": "a-", "namespace": "n"}, []),
        (
            {"name": "a", "namespace": "n", "finalizers": ["mine"]},
            [
                'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'
            ],
        ),
        (
            {
                "name": "a",
                "namespace": "n",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "", "uid": "u"}],
            },
            ["metadata.ownerReferences[0].name: Required value: must not be empty"],
        ),
        (
            {"name": "a", "namespace": "n", "managedFields": [{"manager": "m", "operation": "Odd"}]},
            ['metadata.managedFields[0].operation: Unsupported value: "Odd": supported values: "Apply", "Update"'],
        ),
    ],
)
def test_creation(meta: dict[str, Any], expected: list[str]) -> None:
    assert texts(meta) == expected


def test_custom_resources_may_have_finalizers_without_domain() -> None:
    assert texts({"name": "a", "namespace": "n", "finalizers": ["mine"]}, known_finalizers=False) == []


def test_cluster_scoped_objects_have_no_namespace() -> None:
    assert texts({"name": "a", "namespace": "n"}, namespaced=False) == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]


def test_two_controllers() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    assert (
        "Only one reference can have Controller set to true"
        in texts({"name": "a", "namespace": "n", "ownerReferences": [owner] * 2})[0]
    )


def test_annotations_are_limited_together() -> None:
    big = {"name": "a", "namespace": "n", "annotations": {"k": "x" * (256 * 1024)}}
    assert texts(big) == ["metadata.annotations: Too long: may not be more than 262144 bytes"]


@pytest.mark.parametrize(("name", "bad"), [("a", False), ("a/b", True), ("a%b", True), ("..", True), ("A_b", False)])
def test_path_names(name: str, bad: bool) -> None:
    assert bool(NAME_CHECKS["path"](name)) is bad


OLD = {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 2}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"resourceVersion": ""}, ['metadata.resourceVersion: Invalid value: "": must be specified for an update']),
        ({"uid": "v"}, ['metadata.uid: Invalid value: "v": field is immutable']),
        ({"generation": 1}, ["metadata.generation: Invalid value: 1: must not be decremented"]),
    ],
)
def test_update(change: dict[str, Any], expected: list[str]) -> None:
    assert [str(e) for e in validate_object_meta_update({**OLD, **change}, OLD, META)] == expected


def test_no_new_finalizers_while_being_deleted() -> None:
    old = {**OLD, "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}
    new = {**old, "finalizers": ["a/b", "c/d"]}
    assert [str(e) for e in validate_object_meta_update(new, old, META)] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"c/d"}'
    ]


@pytest.mark.parametrize(("again", "count"), [(0, 3), (1, 4), (2, 5)])
def test_updates_name_causes_as_often_as_upstream_looks(again: int, count: int) -> None:
    old = {"name": "a", "namespace": "n", "resourceVersion": "1"}
    new = {**old, "labels": {"l": "not valid!"}}
    check = meta.path_segment_errors
    assert len(meta.validate_updated_meta(new, old, True, check, again=again)) == count
    assert meta.validate_updated_meta(old, old, True, check, again=again) == []


def test_updates_look_at_finalizers() -> None:
    old = {"name": "a", "resourceVersion": "1"}
    new = {**old, "finalizers": ["a/b@d"]}
    (error,) = meta.validate_updated_meta(new, old, False, meta.path_segment_errors)
    assert error.field == "metadata.finalizers"
