"""Every object that a real kubeadm put into the API (1.20.2) beside ours, field by field: what differs stands in a table, with its reason.

Fields that the API server fills in, and those of component configurations that say nothing (zero values), are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pybernetes.cluster.assembly import addons
from pybernetes.deploy import clusterinfo, componentconfigs, layout, objects

from .configurations import configuration

GOLDEN = Path(__file__).parents[2] / "golden/kubeadm/objects.yaml"
SERVER = "https://10.0.0.10:6443"

IN_A_SECRET = "made when it is asked for: tests of tokens and of sealed certificates compare them"
ON_THE_HOST = "our kube-proxy is a daemon of the host"
NOT_MADE = {
    "DaemonSet/kube-proxy": ON_THE_HOST,
    "Secret/bootstrap-token-<id>": IN_A_SECRET,
    "Secret/kubeadm-certs": IN_A_SECRET,
}
NO_WORDS = "kubeadm has no words for a balancer and a network of ours"
BY_NODES = "daemons of the host ask as its node, and `upgrade node` does"
MORE = {
    "ClusterRoleBinding/kubeadm:cluster-admins": "1.29: rights that can be taken away",
    "ClusterRoleBinding/pybernetes:node-daemons": BY_NODES,
    "Role/pybernetes:nodes-kube-proxy": BY_NODES,
    "RoleBinding/pybernetes:nodes-kube-proxy": BY_NODES,
    "ConfigMap/pybernetes-config": NO_WORDS,
    "Role/pybernetes:nodes-pybernetes-config": NO_WORDS,
    "RoleBinding/pybernetes:nodes-pybernetes-config": NO_WORDS,
}
SINCE = "as today's kubeadm has it"
OWN_IMAGE = "the project's own image, whose one program has many commands"
POD = "spec.template.spec"
DIFFERENCES = {
    "ConfigMap/cluster-info jws-kubeconfig-<id>": "the controller manager's, when there is a token",
    "ConfigMap/coredns Corefile": f"{SINCE}: answers of the cluster's own domain are not cached",
    f"ConfigMap/kube-proxy metadata.annotations.{componentconfigs.HASH_ANNOTATION}": "a hash of other text",
    "ConfigMap/kubeadm-config ClusterConfiguration.apiVersion": f"{SINCE}: v1beta4",
    "ConfigMap/kubeadm-config ClusterConfiguration.apiServer.timeoutForControlPlane": "v1beta4: said to each command",
    "ConfigMap/kubeadm-config ClusterConfiguration.caCertificateValidityPeriod": SINCE,
    "ConfigMap/kubeadm-config ClusterConfiguration.certificateValidityPeriod": SINCE,
    "ConfigMap/kubeadm-config ClusterConfiguration.dns.type": "v1beta3: there is CoreDNS alone",
    "ConfigMap/kubeadm-config ClusterConfiguration.encryptionAlgorithm": SINCE,
    "ConfigMap/kubeadm-config ClusterConfiguration.imageRepository": "1.25: registry.k8s.io",
    "ConfigMap/kubeadm-config ClusterConfiguration.kubernetesVersion": "ours",
    "ConfigMap/kubeadm-config ClusterConfiguration.proxy": SINCE,
    "ConfigMap/kubeadm-config ClusterStatus": "1.22: masters are found by their Nodes and pods",
    "ConfigMap/kubelet-config kubelet.cgroupDriver": "the kubelet asks its runtime, as upstream's does from 1.28 on",
    f"ConfigMap/kubelet-config metadata.annotations.{componentconfigs.HASH_ANNOTATION}": "a hash of other text",
    "Deployment/coredns metadata.annotations": "the deployment controller's",
    f"Deployment/coredns {POD}.affinity": "replicas never share a host",
    f"Deployment/coredns {POD}.containers[0].args": OWN_IMAGE,
    f"Deployment/coredns {POD}.containers[0].image": OWN_IMAGE,
    f"Deployment/coredns {POD}.containers[0].livenessProbe.httpGet.port": "1.33: by its name",
    f"Deployment/coredns {POD}.containers[0].ports": "1.33: those of probes have names",
    f"Deployment/coredns {POD}.containers[0].readinessProbe.httpGet.port": "1.33: by its name",
    f"Deployment/coredns {POD}.containers[0].readinessProbe.periodSeconds": "ours starts in a second: it is asked sooner",
    f"Deployment/coredns {POD}.containers[0].securityContext.capabilities.drop[0]": "1.26: in capitals",
    f"Deployment/coredns {POD}.tolerations": "1.25: the taint `master` is no more",
    "Service/kube-dns metadata.labels.kubernetes.io/name": "1.23: CoreDNS",
    "ClusterRole/system:coredns rules[1].apiGroups[0]": "endpoint slices in place of single nodes",
    "ClusterRole/system:coredns rules[1].resources[0]": "endpoint slices in place of single nodes",
    "ClusterRole/system:coredns rules[1].verbs": "endpoint slices in place of single nodes",
}
# What an API server adds to what it is given, and what it gave a ServiceAccount until 1.24.
FILLED_IN = (
    *("progressDeadlineSeconds", "revisionHistoryLimit", "maxSurge", "periodSeconds", "failureThreshold"),
    *("successThreshold", "timeoutSeconds", "terminationMessagePath", "terminationMessagePolicy", "restartPolicy"),
    *("schedulerName", "securityContext", "serviceAccount", "terminationGracePeriodSeconds", "defaultMode"),
    *(
        "creationTimestamp",
        "clusterIPs",
        "spec.type",
        "sessionAffinity",
        "secrets",
        "deployment.kubernetes.io/revision",
    ),
)


def recorded() -> dict[str, dict[str, Any]]:
    text = GOLDEN.read_text().replace("kubelet-config-1.20", "kubelet-config")  # 1.24
    return by_name([one for one in yaml.safe_load_all(text) if one and "kind" in one])


def made() -> dict[str, dict[str, Any]]:
    found = configuration()
    return by_name(
        [
            *objects.kubeadm_config(found.cluster, layout.ClusterLayout()),
            *objects.kubelet_config(componentconfigs.kubelet(found, {}), found.cluster, layout.ClusterLayout()),
            *objects.certificates_access(),
            *objects.cluster_admins(),
            *objects.bootstrap_rights(),
            *objects.cluster_info(clusterinfo.content(SERVER, b"CA")),
            *objects.kube_proxy(componentconfigs.proxy(found, {}), SERVER),
            *objects.host_daemons(),
            *addons.dns_manifests(found, "IMAGE"),
        ]
    )


def by_name(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def read(one: dict[str, Any]) -> dict[str, Any]:
    """With the documents in a ConfigMap taken apart, and subjects in one order."""
    result = {name: value for name, value in one.items() if name != "data"}
    if "subjects" in one:
        result["subjects"] = sorted(one["subjects"], key=str)
    for name, text in one.get("data", {}).items():
        text = text.replace("<CA>", "Q0E=")
        result[name] = text if name == "Corefile" or text.startswith("<") else yaml.safe_load(text)
    return result


def differing(golden: Any, ours: Any, path: str = "") -> Iterator[str]:
    if isinstance(golden, dict) and isinstance(ours, dict):
        for name in {**golden, **ours}:
            yield from differing(golden.get(name), ours.get(name), f"{path}.{name}" if path else name)
    elif isinstance(golden, list) and isinstance(ours, list) and len(golden) == len(ours):
        for place, pair in enumerate(zip(golden, ours, strict=True)):
            yield from differing(*pair, f"{path}[{place}]")
    elif golden != ours and (ours is not None or not (path.endswith(FILLED_IN) or says_nothing(golden))):
        yield path


def says_nothing(value: Any) -> bool:
    """Go's zero values."""
    return all(map(says_nothing, value.values())) if isinstance(value, dict) else value in (None, "", 0, "0s", [])


def test_every_difference_has_its_reason() -> None:
    golden, ours = recorded(), made()
    assert set(golden) - set(ours) == set(NOT_MADE)
    assert set(ours) - set(golden) == set(MORE)
    found = {
        f"{name} {path}" for name in set(golden) & set(ours) for path in differing(read(golden[name]), read(ours[name]))
    }
    assert found == set(DIFFERENCES)
