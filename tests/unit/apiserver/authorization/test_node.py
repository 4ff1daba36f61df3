"""The Node authorizer: what a kubelet may read follows the pods on its node."""

from typing import Any

import msgspec
import pytest

from pybernetes.apiserver.authorization import bootstrappolicy
from pybernetes.apiserver.authorization.node import NodeAuthorizer
from pybernetes.apiserver.authorization.podrefs import references
from pybernetes.apiserver.generic.cache import RING, ResourceCache
from pybernetes.apiserver.types import RequestInfo
from pybernetes.store.types import KeyValue

from ..fakes import Objects, answered, ask, meta, user

NODE = user("system:node:n", "system:nodes")
OTHER = user("system:node:m", "system:nodes")


class Pods(ResourceCache):
    """The cache of pods, written to by hand."""

    def __init__(self) -> None:
        super().__init__("/registry/core/pods/")
        self.revision = 0

    def put(self, name: str, node: str | None, secret: str = "s", mirror: bool = False) -> None:
        self.revision += 1
        annotations = {"kubernetes.io/config.mirror": "x"} if mirror else {}
        volumes = [{"name": "v", "secret": {"secretName": secret}}]
        spec = {"nodeName": node, "serviceAccountName": "acc", "volumes": volumes}
        pod = {"metadata": meta(name, "a", annotations=annotations), "spec": spec}
        key = f"{self.prefix}a/{name}"
        value = KeyValue(key, msgspec.json.encode(pod), self.revision, self.revision)
        self.apply(self.revision, key, value)

    def drop(self, name: str) -> None:
        self.revision += 1
        self.apply(self.revision, f"{self.prefix}a/{name}", None)


def authorizer(pods: Pods | None = None, *objects: tuple[str, str, dict[str, Any]]) -> NodeAuthorizer:
    return NodeAuthorizer(Objects(*objects), pods or Pods(), bootstrappolicy.node_rules())


def test_secrets_of_its_pods_alone() -> None:
    pods = Pods()
    node, question = authorizer(pods), ask("get", "secrets", "a", "s")
    seen = [answered(node.authorize(NODE, question)).allowed]
    pods.put("p", None)
    seen.append(answered(node.authorize(NODE, question)).allowed)
    pods.put("p", "n")
    pods.put("q", "n")
    seen.append(answered(node.authorize(NODE, question)).allowed)
    seen.append(answered(node.authorize(OTHER, question)).allowed)
    pods.drop("p")
    seen.append(answered(node.authorize(NODE, question)).allowed)
    pods.drop("q")
    seen.append(answered(node.authorize(NODE, question)).allowed)
    assert seen == [False, False, True, False, True, False]


def test_more_changes_than_are_remembered() -> None:
    pods = Pods()
    node = authorizer(pods)
    assert not answered(node.authorize(NODE, ask("get", "secrets", "a", "s"))).allowed
    pods.put("p", "n")
    for _ in range(RING + 1):
        pods.put("busy", "m", "other")
    assert answered(node.authorize(NODE, ask("get", "secrets", "a", "s"))).allowed
    assert answered(node.authorize(OTHER, ask("get", "secrets", "a", "other"))).allowed


def test_mirror_pods_give_nothing() -> None:
    pods = Pods()
    pods.put("p", "n", mirror=True)
    assert not answered(authorizer(pods).authorize(NODE, ask("get", "secrets", "a", "s"))).allowed


def test_volumes_lead_on_to_secrets() -> None:
    pods, claim = Pods(), {"name": "c", "namespace": "a"}
    pods.revision = 1
    pod = {
        "metadata": meta("p", "a"),
        "spec": {"nodeName": "n", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
    }
    pods.apply(1, f"{pods.prefix}a/p", KeyValue(f"{pods.prefix}a/p", msgspec.json.encode(pod), 1, 1))
    reference = {"name": "deep", "namespace": "b"}
    volume = {"metadata": meta("pv"), "spec": {"claimRef": claim, "csi": {"nodeStageSecretRef": reference}}}
    node = authorizer(pods, ("", "persistentvolumes", volume))
    asked = [ask("get", "persistentvolumes", "", "pv"), ask("get", "secrets", "b", "deep")]
    asked += [ask("get", "persistentvolumeclaims", "a", "c"), ask("get", "secrets", "a", "deep")]
    assert [answered(node.authorize(NODE, q)).allowed for q in asked] == [True, True, True, False]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (ask("list", "secrets", "a"), "No Object name found"),
        (ask("get", "secrets", "a", "x"), "no relationship found between node 'n' and this object"),
        (ask("patch", "configmaps", "a", "x"), "can only read resources of this type"),
        (ask("list", "secrets"), "can only read namespaced object of this type"),
        (ask("create", "serviceaccounts", "a"), "can only create tokens for individual service accounts"),
        (ask("list", "nodes"), "node 'n' cannot read all nodes, only its own Node object"),
        (ask("get", "nodes", "", "m"), "node 'n' cannot read 'm', only its own Node object"),
        (ask("list", "pods"), "can only list/watch pods with spec.nodeName field selector"),
        (
            ask("get", "leases", "a", "n", "coordination.k8s.io"),
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        (
            ask("update", "leases", "kube-node-lease", "m", "coordination.k8s.io"),
            "can only access node lease with the same name as the requesting node",
        ),
    ],
)
def test_refusals(question: RequestInfo, reason: str) -> None:
    decision = answered(authorizer().authorize(NODE, question))
    assert (decision.allowed, decision.reason) == (False, reason)


@pytest.mark.parametrize(
    "question",
    [
        ask("get", "nodes", "", "n"),
        ask("create", "nodes"),
        ask("patch", "nodes/status", "", "n"),
        ask("watch", "pods", field_selector="spec.nodeName=n"),
        ask("update", "pods/status", "a", "p"),
        ask("list", "services"),
        ask("create", "events", "a"),
        ask("create", "leases", "kube-node-lease", group="coordination.k8s.io"),
        ask("get", "csinodes", "", "n", "storage.k8s.io"),
        ask("create", "tokenreviews", group="authentication.k8s.io"),
    ],
)
def test_what_every_node_may(question: RequestInfo) -> None:
    assert answered(authorizer().authorize(NODE, question)).allowed
    assert not answered(authorizer().authorize(user("n", "system:nodes"), question)).allowed


def test_references() -> None:
    env = [{"name": "e", "valueFrom": {"secretKeyRef": {"name": "s1"}}}]
    spec = {
        "serviceAccountName": "acc",
        "imagePullSecrets": [{"name": "s2"}],
        "containers": [{"name": "c", "env": env, "envFrom": [{"configMapRef": {"name": "c1"}}]}],
        "volumes": [
            {"name": "p", "projected": {"sources": [{"secret": {"name": "s3"}}, {"configMap": {"name": "c2"}}]}},
            {"name": "x", "ephemeral": {"volumeClaimTemplate": {}}},
        ],
    }
    found = {(r, n) for r, n in references({"metadata": meta("p", "a"), "spec": spec}) if n}
    assert found == {
        ("serviceaccounts", "acc"),
        *(("secrets", name) for name in ("s1", "s2", "s3")),
        *(("configmaps", name) for name in ("c1", "c2")),
        ("persistentvolumeclaims", "p-x"),
    }
