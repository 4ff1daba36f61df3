"""What `init` puts into the API, by kubeadm's names and with its rights: manifests in the order in which they are applied; pure
(upstream: cmd/kubeadm/app/phases/{uploadconfig,kubelet,copycerts,bootstraptoken,addons}).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api.wellknown import ANONYMOUS_USER, LABEL_NODE_EXCLUDE_BALANCERS, NODES_GROUP

from . import clusterinfo, configuration, layout, sealed
from .certificates import CLUSTER_ADMINS_GROUP
from .componentconfigs import HASH_ANNOTATION, checksum
from .configuration import TOKEN_GROUPS
from .layout import ClusterLayout
from .types import ClusterConfiguration

Manifest = dict[str, Any]

KUBE_SYSTEM = "kube-system"
KUBEADM_CONFIG, KUBELET_CONFIG, PROXY_CONFIG = "kubeadm-config", "kubelet-config", "kube-proxy"
KUBELET_KEY, PROXY_KEY, PROXY_KUBECONFIG_KEY = "kubelet", "config.conf", "kubeconfig.conf"
BOOTSTRAPPERS = TOKEN_GROUPS[0]
RBAC = "rbac.authorization.k8s.io"

LABEL_CONTROL_PLANE, LABEL_EXCLUDE = "node-role.kubernetes.io/control-plane", LABEL_NODE_EXCLUDE_BALANCERS
CONTROL_PLANE_TAINT: Mapping[str, str] = {"key": LABEL_CONTROL_PLANE, "effect": "NoSchedule"}


def cluster_admins() -> list[Manifest]:
    """What makes kubeadm:cluster-admins, who admin.conf is of, administrators."""
    return [_cluster_binding(CLUSTER_ADMINS_GROUP, "cluster-admin", _group(CLUSTER_ADMINS_GROUP))]


def kubeadm_config(cluster: ClusterConfiguration, described: ClusterLayout) -> list[Manifest]:
    """The configuration, and what of it is ours, readable by nodes and those who become one."""
    return [
        _config_map(KUBEADM_CONFIG, {configuration.CLUSTER: configuration.text(cluster, described.kubeadm_config)}),
        *_readable("kubeadm:nodes-kubeadm-config", "configmaps", KUBEADM_CONFIG),
        _config_map(layout.CONFIG_MAP, {layout.CONFIG_KEY: layout.text(described)}),
        *_readable("pybernetes:nodes-pybernetes-config", "configmaps", layout.CONFIG_MAP),
    ]


def kubelet_config(text: str, cluster: ClusterConfiguration, described: ClusterLayout) -> list[Manifest]:
    """Of all kubelets; for older kubeadm also where it looks for it, by a name with the minor version."""
    names = [KUBELET_CONFIG]
    if described.kubeadm_config != configuration.NEWEST:
        names.append(older_kubelet_config(cluster.kubernetes_version))
    return [
        manifest
        for name in names
        for manifest in (
            _hashed(_config_map(name, {KUBELET_KEY: text})),
            *_readable(f"kubeadm:{name}", "configmaps", name),
        )
    ]


def older_kubelet_config(version: str) -> str:
    """The ConfigMap's name before 1.24."""
    return f"{KUBELET_CONFIG}-{'.'.join(version.lstrip('v').split('.')[:2])}"


def certificates_access() -> list[Manifest]:
    """Who joins may read the encrypted certificates."""
    name = f"kubeadm:{sealed.SECRET}"
    return [
        _role(KUBE_SYSTEM, name, "secrets", sealed.SECRET),
        _binding(KUBE_SYSTEM, name, _group(BOOTSTRAPPERS)),
    ]


def bootstrap_rights() -> list[Manifest]:
    """Who joins may ask for a node's certificate and gets it, nodes renew theirs."""
    signers = "system:certificates.k8s.io:certificatesigningrequests"
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    return [
        _cluster_binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", _group(BOOTSTRAPPERS)),
        _cluster_binding("kubeadm:node-autoapprove-bootstrap", f"{signers}:nodeclient", _group(BOOTSTRAPPERS)),
        _cluster_binding(
            "kubeadm:node-autoapprove-certificate-rotation", f"{signers}:selfnodeclient", _group(NODES_GROUP)
        ),
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "kubeadm:get-nodes"}, "rules": [rule]},
        _cluster_binding("kubeadm:get-nodes", "kubeadm:get-nodes", _group(BOOTSTRAPPERS)),
    ]


def cluster_info(kubeconfig: str) -> list[Manifest]:
    """Readable by everybody; the controller manager signs it with each token."""
    namespace, name = clusterinfo.NAMESPACE, "kubeadm:bootstrap-signer-clusterinfo"
    return [
        _config_map(clusterinfo.NAME, {clusterinfo.KUBECONFIG: kubeconfig}, namespace),
        _role(namespace, name, "configmaps", clusterinfo.NAME),
        _binding(namespace, name, {"apiGroup": RBAC, "kind": "User", "name": ANONYMOUS_USER}),
    ]


def kube_proxy(text: str, server: str) -> list[Manifest]:
    """Its configuration for all nodes, and the rights of one that runs in pods (kubeadm's) as of ours, which come as the node itself."""
    data = {PROXY_KEY: text, PROXY_KUBECONFIG_KEY: _in_pod_kubeconfig(server)}
    account = {"kind": "ServiceAccount", "name": "kube-proxy", "namespace": KUBE_SYSTEM}
    return [
        _labelled(_hashed(_config_map(PROXY_CONFIG, data)), {"app": "kube-proxy"}),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "kube-proxy", "namespace": KUBE_SYSTEM}},
        _cluster_binding("kubeadm:node-proxier", "system:node-proxier", account),
        _role(KUBE_SYSTEM, "kube-proxy", "configmaps", PROXY_CONFIG),
        _binding(KUBE_SYSTEM, "kube-proxy", _group(BOOTSTRAPPERS)),
    ]


def host_daemons() -> list[Manifest]:
    """kube-proxy, flanneld and the balancer's watcher of a host ask as its node: they read Services, their endpoints, and all Nodes.
    `upgrade node` does so too, where the host has no other credential: it reads how kube-proxies are configured."""
    name = "pybernetes:nodes-kube-proxy"
    return [
        _cluster_binding("pybernetes:node-daemons", "system:node-proxier", _group(NODES_GROUP)),
        _role(KUBE_SYSTEM, name, "configmaps", PROXY_CONFIG),
        _binding(KUBE_SYSTEM, name, _group(NODES_GROUP)),
    ]


def network_policies() -> list[Manifest]:
    """So does kube-network-policies, which reads all pods, since peers may be anywhere."""
    name, verbs = "pybernetes:kube-network-policies", ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": verbs},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": verbs},
    ]
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        _cluster_binding(name, name, _group(NODES_GROUP)),
    ]


def control_plane_patch(
    taints: Sequence[Mapping[str, Any]] | None, present: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A merge patch of a Node that makes it a control-plane node; taints that it has for other reasons stay."""
    wanted_taints = [CONTROL_PLANE_TAINT] if taints is None else taints
    keys = {(taint["key"], taint["effect"]) for taint in wanted_taints}
    others = [taint for taint in present if (taint["key"], taint["effect"]) not in keys]
    return {
        "metadata": {"labels": {LABEL_CONTROL_PLANE: "", LABEL_EXCLUDE: ""}},
        "spec": {"taints": [*others, *wanted_taints]},
    }


def _in_pod_kubeconfig(server: str) -> str:
    import yaml

    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    cluster = {"certificate-authority": f"{account}/ca.crt", "server": server}
    context = {"cluster": "default", "namespace": "default", "user": "default"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default", "cluster": cluster}],
        "contexts": [{"name": "default", "context": context}],
        "current-context": "default",
        "users": [{"name": "default", "user": {"tokenFile": f"{account}/token"}}],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _readable(role: str, resource: str, name: str) -> list[Manifest]:
    """By nodes and those who become one."""
    return [
        _role(KUBE_SYSTEM, role, resource, name),
        _binding(KUBE_SYSTEM, role, _group(BOOTSTRAPPERS), _group(NODES_GROUP)),
    ]


def _config_map(name: str, data: Mapping[str, str], namespace: str = KUBE_SYSTEM) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def _hashed(config_map: Manifest) -> Manifest:
    annotations = {HASH_ANNOTATION: checksum(config_map["data"])}
    return {**config_map, "metadata": {**config_map["metadata"], "annotations": annotations}}


def _labelled(manifest: Manifest, labels: Mapping[str, str]) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "labels": dict(labels)}}


def _role(namespace: str, name: str, resource: str, object_name: str) -> Manifest:
    rule = {"apiGroups": [""], "resources": [resource], "resourceNames": [object_name], "verbs": ["get"]}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}


def _binding(namespace: str, role: str, *subjects: Mapping[str, str]) -> Manifest:
    metadata = {"name": role, "namespace": namespace}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": role}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": reference,
        "subjects": list(subjects),
    }


def _cluster_binding(name: str, role: str, *subjects: Mapping[str, str]) -> Manifest:
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": reference,
        "subjects": list(subjects),
    }


def _group(name: str) -> Mapping[str, str]:
    return {"apiGroup": RBAC, "kind": "Group", "name": name}
