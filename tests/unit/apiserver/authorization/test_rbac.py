"""Roles and bindings: who may do what, why, and that changes are seen at once."""

from typing import Any

import pytest

from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.authorization.modes import AlwaysAllow, AlwaysDeny, Authorizers, refusal
from pybernetes.apiserver.authorization.rbac import RBAC
from pybernetes.apiserver.types import RequestInfo

from ..fakes import Objects, answered, ask, meta, user

GROUP = "rbac.authorization.k8s.io"
Object = dict[str, Any]


def cluster_role(name: str, *rules: Object) -> tuple[str, str, Object]:
    return GROUP, "clusterroles", {"metadata": meta(name), "rules": list(rules)}


def role(name: str, *rules: Object) -> tuple[str, str, Object]:
    return GROUP, "roles", {"metadata": meta(name, "a"), "rules": list(rules)}


def binding(name: str, role_name: str, subject: Object, namespace: str = "", kind: str = "") -> tuple[str, str, Object]:
    resource = "rolebindings" if namespace else "clusterrolebindings"
    ref = {"kind": kind or ("Role" if namespace else "ClusterRole"), "name": role_name}
    return GROUP, resource, {"metadata": meta(name, namespace), "roleRef": ref, "subjects": [subject]}


def rule(verbs: str, resources: str, groups: str = "core", **more: Any) -> Object:
    listed = ["" if group == "core" else group for group in groups.split()]
    return {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": listed, **more}


JANE = {"kind": "User", "name": "jane"}


@pytest.mark.parametrize(
    ("rules", "question", "allowed"),
    [
        ([rule("get", "pods")], ask("get", "pods", "a"), True),
        ([rule("get", "pods")], ask("list", "pods", "a"), False),
        ([rule("get", "pods")], ask("get", "pods/log", "a"), False),
        ([rule("get", "pods/log")], ask("get", "pods/log", "a"), True),
        ([rule("*", "*", "*")], ask("impersonate", "users", "", "x"), True),
        ([rule("get", "*")], ask("get", "pods/log", "a"), True),
        ([rule("patch", "*/scale", "apps")], ask("patch", "deployments/scale", "a", group="apps"), True),
        ([rule("patch", "*/scale", "apps")], ask("patch", "deployments", "a", group="apps"), False),
        ([rule("get", "pods", resourceNames=["x"])], ask("get", "pods", "a", "x"), True),
        ([rule("get", "pods", resourceNames=["x"])], ask("get", "pods", "a", "y"), False),
        ([rule("get", "pods", resourceNames=["x"]), rule("get", "pods")], ask("get", "pods", "a", "y"), True),
        ([{"verbs": ["get"], "nonResourceURLs": ["/logs/*"]}], RequestInfo("get", "/logs/a"), True),
        ([{"verbs": ["get"], "nonResourceURLs": ["/logs/*"]}], RequestInfo("get", "/logs"), False),
        ([{"verbs": ["*"], "nonResourceURLs": ["*"]}], RequestInfo("post", "/x"), True),
    ],
)
def test_rules(rules: list[Object], question: RequestInfo, allowed: bool) -> None:
    rbac = RBAC(Objects(cluster_role("r", *rules), binding("b", "r", JANE)))
    assert answered(rbac.authorize(user("jane"), question)).allowed is allowed
    assert not answered(rbac.authorize(user("bob"), question)).allowed


ACCOUNT = {"kind": "ServiceAccount", "name": "s", "namespace": "a"}


@pytest.mark.parametrize(
    ("bound", "who", "reason"),
    [
        (binding("b", "r", JANE), user("jane"), 'ClusterRoleBinding "b" of ClusterRole "r" to User "jane"'),
        (
            binding("b", "r", {"kind": "Group", "name": "g"}, "a", "ClusterRole"),
            user("x", "g"),
            'RoleBinding "b/a" of ClusterRole "r" to Group "g"',
        ),
        (
            binding("b", "own", ACCOUNT, "a"),
            user("system:serviceaccount:a:s"),
            'RoleBinding "b/a" of Role "own" to ServiceAccount "s/a"',
        ),
    ],
)
def test_reasons(bound: tuple[str, str, Object], who: User, reason: str) -> None:
    objects = Objects(cluster_role("r", rule("get", "pods")), role("own", rule("get", "pods")), bound)
    decision = answered(RBAC(objects).authorize(who, ask("get", "pods", "a")))
    assert (decision.allowed, decision.reason) == (True, f"RBAC: allowed by {reason}")


def test_a_role_binding_stays_in_its_namespace() -> None:
    rbac = RBAC(Objects(cluster_role("r", rule("get", "pods")), binding("b", "r", JANE, "a", "ClusterRole")))
    assert [answered(rbac.authorize(user("jane"), ask("get", "pods", where))).allowed for where in ("a", "b", "")] == [
        True,
        False,
        False,
    ]


def test_a_missing_role_is_told_of() -> None:
    rbac = RBAC(Objects(binding("b", "gone", JANE)))
    reason = answered(rbac.authorize(user("jane"), ask("get", "pods", "a"))).reason
    assert reason == f'RBAC: clusterrole.{GROUP} "gone" not found'


def test_changes_are_seen() -> None:
    objects = Objects()
    rbac, question = RBAC(objects), ask("get", "pods", "a")
    seen = [answered(rbac.authorize(user("jane"), question)).allowed]
    for step in (
        cluster_role("r", rule("list", "pods")),
        binding("b", "r", JANE),
        cluster_role("r", rule("get", "pods")),
    ):
        objects.put(*step)
        seen.append(answered(rbac.authorize(user("jane"), question)).allowed)
    objects.drop(GROUP, "clusterrolebindings", "", "b")
    seen.append(answered(rbac.authorize(user("jane"), question)).allowed)
    assert seen == [False, False, False, True, False]


def test_rules_of_a_user() -> None:
    one, other = rule("get", "pods"), rule("get", "secrets")
    objects = Objects(
        cluster_role("r", one), binding("b", "r", JANE), role("own", other), binding("c", "own", JANE, "a")
    )
    assert RBAC(objects).rules_for(user("jane"), "a") == ([one, other], [])
    assert RBAC(objects).rules_for(user("jane"), "b") == ([one], [])


class TestModes:
    def test_masters_are_never_locked_out(self) -> None:
        chain = Authorizers([AlwaysDeny()])
        assert answered(chain.authorize(user("root", "system:masters"), ask("get", "pods"))).allowed
        assert answered(chain.authorize(user("x"), ask("get", "pods"))).reason == "Everything is forbidden."

    def test_everyone_may_with_always_allow(self) -> None:
        assert answered(Authorizers([AlwaysAllow()]).authorize(user("x"), ask("get", "pods"))).allowed

    def test_a_list_of_one_name_is_asked_for_by_name(self) -> None:
        named = rule("list", "secrets", resourceNames=["s"])
        chain = Authorizers([RBAC(Objects(cluster_role("r", named), binding("b", "r", JANE)))])
        asked = [ask("list", "secrets", "a", field_selector=f) for f in ("metadata.name=s", "metadata.name=t", "")]
        assert [answered(chain.authorize(user("jane"), question)).allowed for question in asked] == [True, False, False]

    @pytest.mark.parametrize(
        ("question", "message"),
        [
            (
                ask("get", "pods/log", "a", "p"),
                'pods "p" is forbidden: User "u" cannot get resource "pods/log" in API group "" in the namespace "a"',
            ),
            (
                ask("list", "nodes", group="x.y"),
                'nodes.x.y is forbidden: User "u" cannot list resource "nodes" in API group "x.y" at the cluster scope',
            ),
            (RequestInfo("get", "/none"), 'forbidden: User "u" cannot get path "/none"'),
        ],
    )
    def test_words_of_a_refusal(self, question: RequestInfo, message: str) -> None:
        assert str(refusal(user("u"), question, "")) == message
        assert str(refusal(user("u"), question, "why")) == f"{message}: why"
