"""What a kubelet may write."""

from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.admission.noderestriction import NodeRestriction, forbidden_labels
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.authorization.modes import Authorizers
from pybernetes.apiserver.authorization.rbac import RBAC
from pybernetes.apiserver.kinds.core import node as node_kind
from pybernetes.apiserver.kinds.core import persistentvolumeclaim, pod, serviceaccount
from pybernetes.apiserver.resource import Resource
from pybernetes.apiserver.types import Attributes

from ..fakes import Objects, awaited, meta, user

NODE = user("system:node:n", "system:nodes")
Object = dict[str, Any]
VOLUMES = [
    {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "vault"}}]}},
    {"name": "c", "csi": {"driver": "d"}},
]
NOBODY = Authorizers([RBAC(Objects())])
OBJECTS = Objects(
    ("", "nodes", {"metadata": meta("n", uid="u1")}),
    ("", "pods", {"metadata": meta("mine", "a", uid="u2"), "spec": {"nodeName": "n", "volumes": VOLUMES}}),
    ("storage.k8s.io", "csidrivers", {"metadata": meta("d"), "spec": {"tokenRequests": [{"audience": "csi"}]}}),
    ("", "pods", {"metadata": meta("other", "a", uid="u3"), "spec": {"nodeName": "m"}}),
)


def attributes(
    operation: Any, resource: Resource, obj: Object | None, old: Object | None = None, sub: str = "", who: User = NODE
) -> Attributes:
    name = ((obj or old or {}).get("metadata") or {}).get("name", "")
    return Attributes(who, operation, resource, sub, "a" if resource.namespaced else "", name, obj, old)


def mirror(**changes: Any) -> Object:
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u1", "controller": True}
    metadata = meta("p", "a", annotations={"kubernetes.io/config.mirror": "x"}, ownerReferences=[owner])
    spec = {"nodeName": "n", "containers": [{"name": "c"}], **changes.pop("spec", {})}
    return {"metadata": {**metadata, **changes}, "spec": spec}


def on(node: str, **labels: str) -> Object:
    return {"metadata": meta("p", "a", labels=labels), "spec": {"nodeName": node}}


def node(**labels: str) -> Object:
    return {"metadata": meta("n", labels={k.replace("_", "/"): v for k, v in labels.items()}), "spec": {}}


def token(*audiences: str, **reference: str) -> Object:
    return {"spec": {"audiences": list(audiences), "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", **reference}}}


def token_attributes(asked: Object) -> Attributes:
    return Attributes(NODE, "CREATE", serviceaccount.RESOURCE, "token", "a", "s", asked, None)


POD, NODES = pod.RESOURCE, node_kind.RESOURCE
CLAIM = {"metadata": meta("c", "a"), "spec": {"x": 1}, "status": {}}


@pytest.mark.parametrize(
    "asked",
    [
        attributes("CREATE", POD, mirror()),
        attributes("DELETE", POD, None, on("n")),
        attributes("UPDATE", POD, on("n"), on("n"), "status"),
        attributes("CREATE", NODES, node(**{"kubernetes.io/hostname": "x", "example.com/x": "y"})),
        attributes("UPDATE", NODES, node(**{"node.kubernetes.io/x": "x"}), node()),
        attributes("UPDATE", persistentvolumeclaim.RESOURCE, {**CLAIM, "status": {"phase": "x"}}, CLAIM, "status"),
        token_attributes(token(name="mine", uid="u2")),
        token_attributes(token("vault", name="mine", uid="u2")),
        token_attributes(token("csi", name="mine", uid="u2")),
        attributes("CREATE", POD, on("m"), who=user("jane")),
    ],
)
def test_allowed(asked: Attributes) -> None:
    awaited(NodeRestriction(OBJECTS, NOBODY).admit(asked))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (attributes("CREATE", POD, on("n")), 'pod does not have "kubernetes.io/config.mirror" annotation'),
        (attributes("CREATE", POD, mirror(spec={"nodeName": "m"})), "spec.nodeName set to itself"),
        (attributes("CREATE", POD, mirror(ownerReferences=[])), "an owner reference set to itself"),
        (attributes("CREATE", POD, mirror(spec={"serviceAccountName": "s"})), "reference a service account"),
        (
            attributes("CREATE", POD, mirror(spec={"volumes": [{"name": "v", "secret": {"secretName": "s"}}]})),
            "reference secrets",
        ),
        (attributes("UPDATE", POD, on("n"), on("n")), "can only create and delete mirror pods"),
        (attributes("DELETE", POD, None, on("m")), "can only delete pods with spec.nodeName set to itself"),
        (attributes("UPDATE", POD, on("m"), on("m"), "status"), "can only update pod status for pods"),
        (attributes("UPDATE", POD, on("n", a="b"), on("n"), "status"), "cannot update labels through pod status"),
        (attributes("UPDATE", POD, on("n"), on("n"), "ephemeralcontainers"), "unexpected pod subresource"),
        (
            attributes("CREATE", NODES, node(**{"node-restriction.kubernetes.io/x": "y"})),
            "not allowed to set the following labels: node-restriction.kubernetes.io/x",
        ),
        (
            attributes("UPDATE", NODES, node(**{"other.k8s.io/x": "y"}), node()),
            "is not allowed to modify labels: other.k8s.io/x",
        ),
        (attributes("UPDATE", NODES, {**node(), "spec": {"taints": [{"key": "x"}]}}, node()), "modify taints"),
        (attributes("CREATE", NODES, {"metadata": meta("m")}), 'not allowed to modify node "m"'),
        (attributes("UPDATE", persistentvolumeclaim.RESOURCE, CLAIM, CLAIM), "may only update PVC status"),
        (token_attributes({"spec": {}}), "not bound to a pod"),
        (token_attributes(token(name="mine")), "without a uid"),
        (token_attributes(token(name="other", uid="u3")), "scheduled on a different node"),
        (token_attributes(token("x", name="mine", uid="u2")), 'audience "x" not found in pod spec volume'),
        (token_attributes(token("x", "y", name="mine", uid="u2")), "node may only request 0 or 1 audiences"),
        (token_attributes(token(name="mine", uid="x")), "does not match the UID in record"),
        (attributes("CREATE", POD, mirror(), who=user("system:node:", "system:nodes")), "could not determine node"),
    ],
)
def test_refused(asked: Attributes, words: str) -> None:
    with pytest.raises(StatusError) as refused:
        awaited(NodeRestriction(OBJECTS, NOBODY).admit(asked))
    assert refused.value.code == 403
    assert words in str(refused.value)


def test_labels() -> None:
    new = {"a": "b", "kubernetes.io/os": "linux", "x.kubelet.kubernetes.io/y": "z", "k8s.io/x": "y", "x.k8s.io/z": ""}
    assert forbidden_labels(new, {"kubernetes.io/gone": "x"}) == ["k8s.io/x", "kubernetes.io/gone", "x.k8s.io/z"]
    assert forbidden_labels(new, new) == []
