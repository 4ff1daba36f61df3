"""Roles and bindings: defaults, refusals, cells."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.apiserver.kinds.rbac import clusterrole, clusterrolebinding, role, rolebinding

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
URLS = {"nonResourceURLs": ["/x"], "verbs": ["get"]}


def fields(errors: Any) -> list[str]:
    return [f"{error.reason} {error.field}" for error in errors]


@pytest.mark.parametrize(
    ("kind", "obj", "found"),
    [
        (role, {"rules": [PODS]}, []),
        (role, {"rules": None}, []),
        (role, {"rules": [{**PODS, "verbs": []}]}, ["FieldValueRequired rules[0].verbs"]),
        (
            role,
            {"rules": [{"verbs": ["get"]}]},
            ["FieldValueRequired rules[0].apiGroups", "FieldValueRequired rules[0].resources"],
        ),
        (role, {"rules": [URLS]}, ["FieldValueInvalid rules[0].nonResourceURLs"]),
        (clusterrole, {"rules": [URLS]}, []),
        (clusterrole, {"rules": [{**URLS, **PODS}]}, ["FieldValueInvalid rules[0].nonResourceURLs"]),
        (clusterrole, {"aggregationRule": {}}, ["FieldValueRequired aggregationRule.clusterRoleSelectors"]),
    ],
)
def test_roles(kind: Any, obj: Object, found: list[str]) -> None:
    assert fields(kind.validate(obj)) == found
    assert fields(kind.validate_update(obj, obj)) == found


def binding(subjects: list[Object], **ref: str) -> Object:
    made = {"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r", **ref}, "subjects": subjects}
    rolebinding.RESOURCE.default(made)
    return made


ACCOUNT = {"kind": "ServiceAccount", "name": "s"}


@pytest.mark.parametrize(
    ("kind", "obj", "found"),
    [
        (rolebinding, binding([{"kind": "User", "name": "u"}]), []),
        (rolebinding, binding([ACCOUNT]), []),
        (clusterrolebinding, binding([ACCOUNT]), ["FieldValueRequired subjects[0].namespace"]),
        (rolebinding, binding([{"kind": "Robot", "name": "r"}]), ["FieldValueNotSupported subjects[0].kind"]),
        (rolebinding, binding([{"kind": "User"}]), ["FieldValueRequired subjects[0].name"]),
        (
            rolebinding,
            binding([{"kind": "User", "name": "u", "apiGroup": "x"}]),
            ["FieldValueNotSupported subjects[0].apiGroup"],
        ),
        (rolebinding, binding([{**ACCOUNT, "name": "A_"}]), ["FieldValueInvalid subjects[0].name"]),
        (rolebinding, binding([], kind="Thing"), ["FieldValueNotSupported roleRef.kind"]),
        (clusterrolebinding, binding([], kind="Role"), ["FieldValueNotSupported roleRef.kind"]),
        (rolebinding, binding([], name="a/b"), ["FieldValueInvalid roleRef.name"]),
    ],
)
def test_bindings(kind: Any, obj: Object, found: list[str]) -> None:
    assert fields(kind.validate(obj)) == found


def test_the_role_of_a_binding_stays() -> None:
    errors = rolebinding.validate_update(binding([], name="other"), binding([]))
    assert [str(error).rpartition(": ")[2] for error in errors] == ["cannot change roleRef"]


def test_cells() -> None:
    subjects = [{"kind": "User", "name": "u"}, {"kind": "User", "name": "v"}, {**ACCOUNT, "namespace": "a"}]
    cells = rolebinding.RESOURCE.row
    assert cells is not None
    assert cells(binding(subjects), datetime.now(UTC)) == ["b", "ClusterRole/r", "<unknown>", "u, v", "", "a/s"]
