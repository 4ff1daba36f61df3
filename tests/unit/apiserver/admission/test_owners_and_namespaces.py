"""Plug-ins that are off by default: namespaces that come along, and who may name owners."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.admission.namespaceautoprovision import NamespaceAutoProvision
from pybernetes.apiserver.admission.ownerreferences import OwnerReferencesPermissionEnforcement
from pybernetes.apiserver.authorization.modes import Authorizers
from pybernetes.apiserver.authorization.rbac import RBAC
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.types import Attributes

from ..fakes import Objects, awaited, meta, user

Object = dict[str, Any]
BY_NAME = {(r.group, r.name): r for r in RESOURCES}


def attributes(
    operation: Any, resource: str, obj: Object | None, old: Object | None = None, sub: str = "", dry_run: bool = False
) -> Attributes:
    kind = BY_NAME["", resource]
    namespace = "a" if kind.namespaced else ""
    return Attributes(user("jane"), operation, kind, sub, namespace, "x", obj, old, dry_run)


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (attributes("CREATE", "configmaps", {}), ["a"]),
        (attributes("CREATE", "pods", {}, sub="binding"), ["a"]),
        (attributes("CREATE", "configmaps", {}, dry_run=True), []),
        (attributes("UPDATE", "configmaps", {}, {}), []),
        (attributes("DELETE", "configmaps", None, {}), []),
        (attributes("CREATE", "namespaces", {}), []),
        (attributes("CREATE", "nodes", {}), []),
    ],
)
@pytest.mark.parametrize("present", [False, True])
def test_namespaces_that_come_along(asked: Attributes, made: list[str], present: bool) -> None:
    told: list[str] = []

    async def provide(name: str) -> None:
        told.append(name)

    there = [("", "namespaces", {"metadata": meta("a")})] if present else []
    awaited(NamespaceAutoProvision(Objects(*there), provide).admit(asked))
    assert told == ([] if present else made)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (errors.already_exists("", "namespaces", "a"), ""),
        (
            errors.forbidden("", "namespaces", "a", "no"),
            r'configmaps "x" is forbidden: namespaces "a" is forbidden: no',
        ),
    ],
)
def test_a_namespace_that_cannot_be_made(error: StatusError, refusal: str) -> None:
    async def provide(name: str) -> None:
        raise error

    plugin = NamespaceAutoProvision(Objects(), provide)
    asked = attributes("CREATE", "configmaps", {})
    if not refusal:
        awaited(plugin.admit(asked))
        return
    with pytest.raises(StatusError, match=refusal):
        awaited(plugin.admit(asked))


def owner(uid: str = "1", blocks: bool | None = None, kind: str = "ReplicaSet", version: str = "apps/v1") -> Object:
    block = {} if blocks is None else {"blockOwnerDeletion": blocks}
    return {"apiVersion": version, "kind": kind, "name": "o", "uid": uid, **block}


def owned(*owners: Object) -> Object:
    return {"metadata": {"name": "x", **({"ownerReferences": list(owners)} if owners else {})}}


def enforcement(*rules: tuple[str, str, str]) -> OwnerReferencesPermissionEnforcement:
    """With rights of (verb, group, resource)."""
    group = "rbac.authorization.k8s.io"
    role = {
        "metadata": meta("r"),
        "rules": [{"verbs": [verb], "apiGroups": [api], "resources": [resource]} for verb, api, resource in rules],
    }
    binding = {
        "metadata": meta("b"),
        "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "User", "name": "jane"}],
    }
    rbac = RBAC(Objects((group, "clusterroles", role), (group, "clusterrolebindings", binding)))
    return OwnerReferencesPermissionEnforcement(Authorizers([rbac], rbac), lambda: RESOURCES)


DELETE, FINALIZE = ("delete", "", "configmaps"), ("update", "apps", "replicasets/finalizers")
NO_DELETE = 'configmaps "x" is forbidden: cannot set an ownerRef on a resource you can\'t delete: , <nil>'
NO_FINALIZERS = (
    'configmaps "x" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource '
    "you can't set finalizers on: , <nil>"
)
NO_KIND = (
    'configmaps "x" is forbidden: cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion apps/v1 Kind Thing: '
    'no matches for kind "Thing" in version "apps/v1"'
)


@pytest.mark.parametrize(
    ("rules", "before", "after", "refusal"),
    [
        # What is made may have owners, since it could as well not have been made.
        ([], None, owned(), ""),
        ([], None, owned(owner()), ""),
        ([], None, owned(owner(blocks=False)), ""),
        ([], None, owned(owner(blocks=True)), NO_FINALIZERS),
        ([FINALIZE], None, owned(owner(blocks=True)), ""),
        ([FINALIZE], None, owned(owner(blocks=True, kind="Thing")), NO_KIND),
        # What is there gets another owner from who may delete it.
        ([], owned(owner()), owned(owner()), ""),
        ([], owned(), owned(owner()), NO_DELETE),
        ([], owned(owner()), owned(), NO_DELETE),
        ([DELETE], owned(), owned(owner()), ""),
        ([DELETE], owned(owner()), owned(owner(blocks=True)), NO_FINALIZERS),
        ([DELETE], owned(owner(blocks=False)), owned(owner(blocks=True)), NO_FINALIZERS),
        ([DELETE], owned(owner(blocks=True)), owned(owner(blocks=False)), ""),
        ([DELETE], owned(owner(blocks=True)), owned(owner(blocks=True), owner("2")), ""),
        ([DELETE], owned(owner(blocks=True)), owned(owner("2", blocks=True)), NO_FINALIZERS),
        ([DELETE, FINALIZE], owned(), owned(owner(blocks=True)), ""),
    ],
)
def test_who_may_name_owners(rules: Any, before: Object | None, after: Object, refusal: str) -> None:
    asked = attributes("CREATE" if before is None else "UPDATE", "configmaps", after, before)
    if not refusal:
        awaited(enforcement(*rules).validate(asked))
        return
    with pytest.raises(StatusError) as caught:
        awaited(enforcement(*rules).validate(asked))
    assert (caught.value.code, str(caught.value)) == (403, refusal)


def test_the_status_of_pods_is_passed_over() -> None:
    asked = attributes("UPDATE", "pods", owned(owner(blocks=True)), owned(), sub="status")
    assert enforcement().validate(asked) is None


def test_owners_of_the_cluster_are_asked_of_without_a_namespace() -> None:
    asked = attributes("CREATE", "configmaps", owned(owner(blocks=True, kind="Node", version="v1")))
    with pytest.raises(StatusError, match="can't set finalizers on"):
        awaited(enforcement().validate(asked))
    awaited(enforcement(("update", "", "nodes/finalizers")).validate(asked))
