"""The small plug-ins: what each fills in and refuses."""

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.admission.allowprivileged import AllowPrivileged
from pybernetes.apiserver.admission.always import AlwaysAdmit, AlwaysDeny
from pybernetes.apiserver.admission.alwayspullimages import AlwaysPullImages
from pybernetes.apiserver.admission.antiaffinity import LimitPodHardAntiAffinityTopology
from pybernetes.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from pybernetes.apiserver.admission.defaultingressclass import DefaultIngressClass
from pybernetes.apiserver.admission.defaultstorageclass import DefaultStorageClass
from pybernetes.apiserver.admission.denyserviceexternalips import DenyServiceExternalIPs
from pybernetes.apiserver.admission.extendedresourcetoleration import ExtendedResourceToleration
from pybernetes.apiserver.admission.namespaceexists import NamespaceExists
from pybernetes.apiserver.admission.nodetaint import TAINT, TaintNodesByCondition
from pybernetes.apiserver.admission.persistentvolumeclaimresize import PersistentVolumeClaimResize
from pybernetes.apiserver.admission.podnodeselector import PodNodeSelector
from pybernetes.apiserver.admission.podtopologylabels import PodTopologyLabels
from pybernetes.apiserver.admission.runtimeclass import RuntimeClass
from pybernetes.apiserver.authentication.user import LOOPBACK, User
from pybernetes.apiserver.authorization.modes import Authorizers
from pybernetes.apiserver.authorization.rbac import RBAC
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.types import Attributes

from ..fakes import Objects, awaited, meta, user

Object = dict[str, Any]
BY_NAME = {(r.group, r.name): r for r in RESOURCES}


def attributes(
    resource: str, obj: Object, old: Object | None = None, sub: str = "", group: str = "", who: User = LOOPBACK
) -> Attributes:
    operation: Any = "UPDATE" if old else "CREATE"
    return Attributes(who, operation, BY_NAME[group, resource], sub, "a", obj["metadata"]["name"], obj, old)


def pod(**spec: Any) -> Object:
    return {"metadata": meta("p", "a"), "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_always_pull_images() -> None:
    made = pod(initContainers=[{"name": "i", "imagePullPolicy": "Never"}])
    AlwaysPullImages().admit(attributes("pods", made))
    assert {c["imagePullPolicy"] for key in ("containers", "initContainers") for c in made["spec"][key]} == {"Always"}
    made["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    with pytest.raises(StatusError, match="Unsupported value"):
        AlwaysPullImages().validate(attributes("pods", made))


def classes(group: str, resource: str, annotation: str) -> Objects:
    def one(name: str, created: str, default: bool = True) -> tuple[str, str, Object]:
        annotations = {annotation: "true"} if default else {}
        return group, resource, {"metadata": meta(name, annotations=annotations, creationTimestamp=created)}

    return Objects(one("old", "2020"), one("b", "2021"), one("a", "2021"), one("other", "2022", default=False))


@pytest.mark.parametrize(
    ("spec", "chosen"), [({}, "a"), ({"storageClassName": ""}, ""), ({"storageClassName": "x"}, "x")]
)
def test_default_storage_class(spec: Object, chosen: str) -> None:
    claim = {"metadata": meta("c", "a"), "spec": spec}
    reader = classes("storage.k8s.io", "storageclasses", "storageclass.kubernetes.io/is-default-class")
    DefaultStorageClass(reader).admit(attributes("persistentvolumeclaims", claim))
    assert claim["spec"]["storageClassName"] == chosen


@pytest.mark.parametrize(
    ("metadata", "chosen"), [({}, "a"), ({"annotations": {"kubernetes.io/ingress.class": "x"}}, None)]
)
def test_default_ingress_class(metadata: Object, chosen: str | None) -> None:
    ingress = {"metadata": meta("i", "a", **metadata), "spec": {}}
    reader = classes("networking.k8s.io", "ingressclasses", "ingressclass.kubernetes.io/is-default-class")
    DefaultIngressClass(reader).admit(attributes("ingresses", ingress, group="networking.k8s.io"))
    assert ingress["spec"].get("ingressClassName") == chosen


def test_new_nodes_are_tainted_once() -> None:
    node = {"metadata": meta("n"), "spec": {}}
    for _ in range(2):
        TaintNodesByCondition().admit(attributes("nodes", node))
    assert node["spec"]["taints"] == [TAINT]


def claim(size: str, phase: str = "Bound", storage_class: str = "grows") -> Object:
    spec = {"storageClassName": storage_class, "resources": {"requests": {"storage": size}}}
    return {"metadata": meta("c", "a"), "spec": spec, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        (claim("2Gi"), claim("1Gi"), ""),
        (claim("1Gi"), claim("1Gi", "Pending"), ""),
        (claim("2Gi"), claim("1Gi", "Pending"), "Only bound persistent volume claims can be expanded"),
        (claim("2Gi", storage_class="fixed"), claim("1Gi", storage_class="fixed"), "must support resize"),
    ],
)
def test_resize(new: Object, old: Object, words: str) -> None:
    grows = {"metadata": meta("grows"), "allowVolumeExpansion": True}
    plugin = PersistentVolumeClaimResize(Objects(("storage.k8s.io", "storageclasses", grows)))
    if not words:
        plugin.validate(attributes("persistentvolumeclaims", new, old))
        return
    with pytest.raises(StatusError, match=words):
        plugin.validate(attributes("persistentvolumeclaims", new, old))


RUNTIME = {
    "metadata": meta("r"),
    "overhead": {"podFixed": {"cpu": "1"}},
    "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k"}]},
}


def test_runtime_class_fills_in() -> None:
    made = pod(runtimeClassName="r")
    plugin = RuntimeClass(Objects(("node.k8s.io", "runtimeclasses", RUNTIME)))
    plugin.admit(attributes("pods", made))
    plugin.validate(attributes("pods", made))
    filled = {key: made["spec"][key] for key in ("overhead", "nodeSelector", "tolerations")}
    assert filled == {"overhead": {"cpu": "1"}, "nodeSelector": {"a": "b"}, "tolerations": [{"key": "k"}]}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (pod(runtimeClassName="none"), 'RuntimeClass "none" not found'),
        (pod(runtimeClassName="r", overhead={"cpu": "2"}), "doesn't match RuntimeClass's defined Overhead"),
        (pod(runtimeClassName="r", nodeSelector={"a": "c"}), "conflict: runtimeClass.scheduling.nodeSelector"),
        (pod(overhead={"cpu": "2"}), "Overhead set without corresponding RuntimeClass"),
    ],
)
def test_runtime_class_refuses(made: Object, words: str) -> None:
    plugin, asked = RuntimeClass(Objects(("node.k8s.io", "runtimeclasses", RUNTIME))), attributes("pods", made)
    with pytest.raises(StatusError, match=words):
        plugin.admit(asked)
        plugin.validate(asked)


CERTIFICATES = "certificates.k8s.io"


def authorizers(verb: str, *names: str) -> Authorizers:
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [CERTIFICATES], "resources": ["signers"], "verbs": [verb], "resourceNames": list(names)}
    ref, subject = {"kind": "ClusterRole", "name": "r"}, {"kind": "User", "name": "jane"}
    rbac = RBAC(
        Objects(
            (group, "clusterroles", {"metadata": meta("r"), "rules": [rule]}),
            (group, "clusterrolebindings", {"metadata": meta("b"), "roleRef": ref, "subjects": [subject]}),
        )
    )
    return Authorizers([rbac], rbac)


def signing_request(signer: str = "example.com/s", request: str = "", **status: Any) -> Object:
    return {"metadata": meta("c"), "spec": {"signerName": signer, "request": request}, "status": status}


@pytest.mark.parametrize(
    ("names", "allowed"), [(("example.com/s",), True), (("example.com/*",), True), (("x/s",), False)]
)
def test_approval_and_signing(names: tuple[str, ...], allowed: bool) -> None:
    old, approved = signing_request(), signing_request(conditions=[{"type": "Approved"}])
    signed = signing_request(certificate="x")
    jane = user("jane")
    for plugin, asked in (
        (
            CertificateApproval(authorizers("approve", *names)),
            attributes("certificatesigningrequests", approved, old, "approval", CERTIFICATES, jane),
        ),
        (
            CertificateSigning(authorizers("sign", *names)),
            attributes("certificatesigningrequests", signed, old, "status", CERTIFICATES, jane),
        ),
    ):
        if allowed:
            awaited(plugin.validate(asked))
            continue
        with pytest.raises(StatusError, match=r'requests with signerName "example\.com/s"'):
            awaited(plugin.validate(asked))


def encoded(organization: str) -> str:
    key, oid = ec.generate_private_key(ec.SECP256R1()), x509.oid.NameOID
    name = x509.Name([x509.NameAttribute(oid.ORGANIZATION_NAME, organization)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize(
    ("organization", "signer", "refused"),
    [
        ("system:masters", "kubernetes.io/kube-apiserver-client", True),
        ("devs", "kubernetes.io/kube-apiserver-client", False),
        ("system:masters", "example.com/s", False),
    ],
)
def test_subject_restriction(organization: str, signer: str, refused: bool) -> None:
    made = signing_request(signer, encoded(organization))
    asked = attributes("certificatesigningrequests", made, group=CERTIFICATES)
    if not refused:
        CertificateSubjectRestriction().validate(asked)
        return
    with pytest.raises(StatusError, match="signer with system:masters group is not allowed"):
        CertificateSubjectRestriction().validate(asked)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (
            attributes("pods", pod(initContainers=[{"name": "i", "securityContext": {"privileged": True}}])),
            "spec.initContainers[0]",
        ),
        (
            attributes(
                "deployments",
                {
                    "metadata": meta("d", "a"),
                    "spec": {"template": pod(containers=[{"name": "c", "securityContext": {"privileged": True}}])},
                },
                group="apps",
            ),
            "spec.template.spec.containers[0]",
        ),
        (attributes("pods", pod()), ""),
    ],
)
def test_privileged_containers_where_they_are_not_allowed(asked: Attributes, path: str) -> None:
    if not path:
        AllowPrivileged().validate(asked)
        return
    with pytest.raises(StatusError) as refused:
        AllowPrivileged().validate(asked)
    assert f"{path}.securityContext.privileged: Forbidden: disallowed by cluster policy" in str(refused.value)


def service(*addresses: str) -> Object:
    return {"metadata": meta("s", "a"), "spec": {"externalIPs": list(addresses)}}


def test_external_addresses_are_denied_but_may_stay() -> None:
    plugin = DenyServiceExternalIPs()
    plugin.validate(attributes("services", service("1.2.3.4"), service("1.2.3.4", "1.2.3.5")))
    with pytest.raises(StatusError, match="Use of external IPs is denied"):
        plugin.validate(attributes("services", service("1.2.3.4")))


def test_special_resources_are_tolerated_once() -> None:
    made = pod(containers=[{"name": "c", "resources": {"requests": {"cpu": "1", "example.com/gpu": "1"}}}])
    for _ in range(2):
        ExtendedResourceToleration().admit(attributes("pods", made))
    assert made["spec"]["tolerations"] == [{"key": "example.com/gpu", "operator": "Exists"}]


def test_hard_anti_affinity_is_over_nodes() -> None:
    def keeping_off(key: str) -> Attributes:
        terms = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": key}]}
        return attributes("pods", pod(affinity={"podAntiAffinity": terms}))

    LimitPodHardAntiAffinityTopology().validate(keeping_off("kubernetes.io/hostname"))
    with pytest.raises(StatusError, match="has TopologyKey zone but only key"):
        LimitPodHardAntiAffinityTopology().validate(keeping_off("zone"))


def test_a_namespace_s_nodes() -> None:
    annotations = {"scheduler.alpha.kubernetes.io/node-selector": "a=b, c=d"}
    plugin = PodNodeSelector(Objects(("", "namespaces", {"metadata": meta("a", annotations=annotations)})))
    made = pod(nodeSelector={"e": "f"})
    plugin.admit(attributes("pods", made))
    assert made["spec"]["nodeSelector"] == {"a": "b", "c": "d", "e": "f"}
    with pytest.raises(StatusError, match="conflicts with its namespace node label selector"):
        plugin.admit(attributes("pods", pod(nodeSelector={"a": "x"})))


def test_always() -> None:
    AlwaysAdmit().validate(attributes("pods", pod()))
    with pytest.raises(StatusError, match="denying all modifications"):
        AlwaysDeny().admit(attributes("pods", pod()))


def test_namespace_exists() -> None:
    plugin = NamespaceExists(Objects(("", "namespaces", {"metadata": meta("a")})))
    awaited(plugin.validate(attributes("pods", pod())))
    with pytest.raises(StatusError, match='namespaces "a" not found'):
        awaited(NamespaceExists(Objects()).validate(attributes("pods", pod())))


def test_zones_of_nodes_are_told_to_pods() -> None:
    labels = {"topology.kubernetes.io/zone": "z", "other": "x"}
    plugin = PodTopologyLabels(Objects(("", "nodes", {"metadata": meta("n", labels=labels)})))
    binding, placed, unplaced = {"metadata": {"name": "p"}, "target": {"name": "n"}}, pod(nodeName="n"), pod()
    plugin.admit(attributes("pods", binding, sub="binding"))
    plugin.admit(attributes("pods", placed))
    plugin.admit(attributes("pods", unplaced))
    found = [obj["metadata"].get("labels") for obj in (binding, placed, unplaced)]
    assert found == [{"topology.kubernetes.io/zone": "z"}, {"topology.kubernetes.io/zone": "z"}, None]


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"name": "a"}, "a"),
        ({"name": "a", "generateName": "g-"}, "a"),
        ({"generateName": "g-"}, "g-"),
        ({}, "Unknown"),
    ],
)
def test_a_refusal_before_a_name_is_generated_tells_what_it_is_generated_from(metadata: Object, name: str) -> None:
    """All plug-ins of the mutating phase: what controllers create has no name there yet, and their events quote the refusal."""
    asked = Attributes(
        LOOPBACK, "CREATE", BY_NAME["", "pods"], "", "ns", metadata.get("name", ""), {"metadata": metadata}, None
    )
    with pytest.raises(StatusError) as refused:
        AlwaysDeny().admit(asked)
    text = f'pods "{name}" is forbidden: admission control is denying all modifications'
    assert (str(refused.value), refused.value.status["details"]["name"]) == (text, name)
