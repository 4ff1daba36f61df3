"""The roles that a cluster begins with, and that reconciling adds without taking away."""

import asyncio
import copy
from typing import Any

import pytest

from pybernetes.api import errors
from pybernetes.apiserver.authorization import bootstrappolicy as policy
from pybernetes.apiserver.authorization import reconcile
from pybernetes.apiserver.kinds.rbac import clusterrole, clusterrolebinding, role, rolebinding

Object = dict[str, Any]
KINDS = {
    "clusterroles": (policy.cluster_roles, clusterrole),
    "clusterrolebindings": (policy.cluster_role_bindings, clusterrolebinding),
    "roles": (policy.roles, role),
    "rolebindings": (policy.role_bindings, rolebinding),
}


@pytest.mark.parametrize("resource", KINDS)
def test_all_are_valid_and_marked(resource: str) -> None:
    made, kind = KINDS[resource]
    objects = made()
    assert [(o["metadata"]["name"], kind.validate(o)) for o in objects if kind.validate(o)] == []
    assert all(o["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults" for o in objects)
    keys = [(o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in objects]
    assert len(keys) == len(set(keys))


def test_bindings_name_roles_that_there_are() -> None:
    cluster = {r["metadata"]["name"] for r in policy.cluster_roles()}
    assert {b["roleRef"]["name"] for b in policy.cluster_role_bindings()} <= cluster
    local = {(r["metadata"]["namespace"], r["metadata"]["name"]) for r in policy.roles()}
    assert {(b["metadata"]["namespace"], b["roleRef"]["name"]) for b in policy.role_bindings()} <= local


@pytest.mark.parametrize(
    ("line", "made"),
    [
        (
            "R | core apps | b a",
            {"apiGroups": ["", "apps"], "resources": ["a", "b"], "verbs": ["get", "list", "watch"]},
        ),
        ("get | /a /b", {"nonResourceURLs": ["/a", "/b"], "verbs": ["get"]}),
        ("get | core | a | x", {"apiGroups": [""], "resources": ["a"], "verbs": ["get"], "resourceNames": ["x"]}),
    ],
)
def test_lines(line: str, made: Object) -> None:
    assert policy.rule(line) == made


class Registry:
    """See `reconcile.Objects`, for all resources."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.writes: list[tuple[str, str]] = []

    def of(self, resource: str) -> "Verbs":
        return Verbs(self, resource)


class Verbs:
    def __init__(self, registry: Registry, resource: str) -> None:
        self.registry, self.resource = registry, resource

    def _write(self, verb: str, namespace: str, obj: Object) -> None:
        self.registry.writes.append((verb, obj["metadata"]["name"]))
        self.registry.objects[self.resource, namespace, obj["metadata"]["name"]] = obj

    def get(self, namespace: str, name: str) -> Object | None:
        found = self.registry.objects.get((self.resource, namespace, name))
        return copy.deepcopy(found)

    async def create(self, namespace: str, obj: Object) -> None:
        if obj["metadata"]["name"] == "system:kube-dns":
            raise errors.already_exists("", self.resource, "system:kube-dns")  # another server was faster
        self._write("create", namespace, obj)

    async def update(self, namespace: str, obj: Object) -> None:
        self._write("update", namespace, obj)

    async def replace(self, namespace: str, obj: Object) -> None:
        self._write("replace", namespace, obj)


def reconciled(registry: Registry) -> list[tuple[str, str]]:
    registry.writes = []
    asyncio.run(reconcile.reconcile(registry.of))
    return [write for write in registry.writes if write[1] != "system:kube-dns"]


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    assert len(reconciled(made)) > 100
    return made


def test_a_second_time_nothing_is_written(registry: Registry) -> None:
    assert reconciled(registry) == []


def test_lost_rules_come_back_and_added_ones_stay(registry: Registry) -> None:
    found = registry.objects["clusterroles", "", "system:basic-user"]
    extra = {"apiGroups": ["x"], "resources": ["y"], "verbs": ["z"]}
    found["rules"] = [extra, found["rules"][0]]
    assert reconciled(registry) == [("update", "system:basic-user")]
    rules = registry.objects["clusterroles", "", "system:basic-user"]["rules"]
    assert extra in rules
    assert {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]} in rules


def test_autoupdate_false_is_left_alone(registry: Registry) -> None:
    found = registry.objects["clusterroles", "", "system:basic-user"]
    found["rules"], found["metadata"]["annotations"] = [], {policy.AUTOUPDATE: "false"}
    assert reconciled(registry) == []


def test_lost_subjects_come_back(registry: Registry) -> None:
    registry.objects["clusterrolebindings", "", "cluster-admin"]["subjects"] = []
    assert reconciled(registry) == [("update", "cluster-admin")]


def test_a_binding_to_another_role_is_made_anew(registry: Registry) -> None:
    registry.objects["clusterrolebindings", "", "cluster-admin"]["roleRef"]["name"] = "view"
    assert reconciled(registry) == [("replace", "cluster-admin")]


def test_aggregated_rules_are_the_controller_s(registry: Registry) -> None:
    registry.objects["clusterroles", "", "view"]["rules"] = [policy.rule("R | core | pods")]
    assert reconciled(registry) == []
