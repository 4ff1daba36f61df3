"""Nobody gives rights that he has not."""

from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.admission.rbacescalation import RBACEscalation
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.authorization.modes import Authorizers
from pybernetes.apiserver.authorization.rbac import RBAC
from pybernetes.apiserver.kinds.rbac import clusterrole, role, rolebinding
from pybernetes.apiserver.resource import Resource
from pybernetes.apiserver.types import Attributes

from ..fakes import Objects, awaited, meta, user

GROUP = "rbac.authorization.k8s.io"
Object = dict[str, Any]
GET_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
GET_SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}


def plugin(*rules: Object) -> RBACEscalation:
    """Of a server where jane has these rules, and a cluster role `strong` lets one read secrets."""
    ref, subject = {"kind": "ClusterRole", "name": "hers"}, {"kind": "User", "name": "jane"}
    rbac = RBAC(
        Objects(
            (GROUP, "clusterroles", {"metadata": meta("hers"), "rules": list(rules)}),
            (GROUP, "clusterroles", {"metadata": meta("strong"), "rules": [GET_SECRETS]}),
            (GROUP, "clusterrolebindings", {"metadata": meta("b"), "roleRef": ref, "subjects": [subject]}),
        )
    )
    return RBACEscalation(Authorizers([rbac], rbac))


def attributes(resource: Resource, obj: Object, old: Object | None = None, who: User | None = None) -> Attributes:
    operation: Any = "UPDATE" if old else "CREATE"
    namespace = "a" if resource.namespaced else ""
    return Attributes(who or user("jane"), operation, resource, "", namespace, obj["metadata"]["name"], obj, old)


def a_role(*rules: Object, **more: Any) -> Object:
    return {"metadata": meta("r", "a"), "rules": list(rules), **more}


def a_binding(name: str = "strong") -> Object:
    return {"metadata": meta("b", "a"), "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}}


def special(verb: str, resource: str, *names: str) -> Object:
    made = {"apiGroups": [GROUP], "resources": [resource], "verbs": [verb]}
    return {**made, "resourceNames": list(names)} if names else made


ALLOWED = [
    (plugin(GET_PODS), attributes(role.RESOURCE, a_role(GET_PODS))),
    (plugin(special("escalate", "roles")), attributes(role.RESOURCE, a_role(GET_PODS))),
    (plugin(), attributes(role.RESOURCE, a_role(GET_PODS), who=user("root", "system:masters"))),
    (plugin(), attributes(role.RESOURCE, a_role(GET_PODS, x=1), a_role(GET_PODS))),
    (plugin(GET_SECRETS), attributes(rolebinding.RESOURCE, a_binding())),
    (plugin(special("bind", "clusterroles", "strong")), attributes(rolebinding.RESOURCE, a_binding())),
]


@pytest.mark.parametrize(("asked", "attributes"), ALLOWED)
def test_allowed(asked: RBACEscalation, attributes: Attributes) -> None:
    awaited(asked.admit(attributes))


REFUSED = [
    (plugin(), attributes(role.RESOURCE, a_role(GET_PODS)), 403, 'Resources:["pods"], Verbs:["get"]}'),
    (plugin(), attributes(role.RESOURCE, a_role(GET_PODS), a_role()), 403, "not currently held"),
    (plugin(), attributes(rolebinding.RESOURCE, a_binding()), 403, 'user "jane" (groups=["system:authenticated"])'),
    (plugin(special("bind", "clusterroles", "x")), attributes(rolebinding.RESOURCE, a_binding()), 403, "secrets"),
    (plugin(), attributes(rolebinding.RESOURCE, a_binding("none")), 404, f'rolebindings.{GROUP} "none" not found'),
    (
        plugin(GET_PODS),
        attributes(clusterrole.RESOURCE, a_role(aggregationRule={"clusterRoleSelectors": [{}]})),
        403,
        '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}',
    ),
]


@pytest.mark.parametrize(("asked", "attributes", "code", "words"), REFUSED)
def test_refused(asked: RBACEscalation, attributes: Attributes, code: int, words: str) -> None:
    with pytest.raises(StatusError) as refused:
        awaited(asked.admit(attributes))
    assert refused.value.code == code
    assert words in str(refused.value)


def test_owners_are_the_garbage_collector_s() -> None:
    old = a_binding()
    new = {**old, "metadata": {**old["metadata"], "finalizers": ["x/y"]}}
    awaited(plugin().admit(attributes(rolebinding.RESOURCE, new, old)))
