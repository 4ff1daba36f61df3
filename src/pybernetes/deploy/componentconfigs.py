"""The configuration files of kubelet and kube-proxy, with kubeadm's choices; pure (upstream: cmd/kubeadm/app/componentconfigs).

What a user's own document says wins, as with kubeadm; what it does not mention is chosen here.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from typing import Any

from .configuration import KUBELET, KUBERNETES_DIR, PROXY, Configuration

HASH_ANNOTATION = "kubeadm.kubernetes.io/component-config.hash"  # by which kubeadm sees whether users have changed it
STATIC_PODS = f"{KUBERNETES_DIR}/manifests"
DNS_OFFSET = 10  # of the DNS service's address in the first service range
PROXY_KUBECONFIG = "/var/lib/kube-proxy/kubeconfig.conf"


def dns_address(service_subnet: str) -> str:
    """The cluster's DNS service: the tenth address of the first range."""
    return str(ipaddress.ip_network(service_subnet.split(",")[0].strip(), strict=False)[DNS_OFFSET])


def kubelet(configuration: Configuration, given: Mapping[str, Any]) -> str:
    """KubeletConfiguration for all nodes; what differs from host to host are flags."""
    cluster = configuration.cluster
    chosen = {
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{cluster.certificates_dir}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [dns_address(cluster.networking.service_subnet)],
        "clusterDomain": cluster.networking.dns_domain,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "rotateCertificates": True,
        "staticPodPath": STATIC_PODS,
    }
    return _text(KUBELET, _merged(chosen, given))


def proxy(configuration: Configuration, given: Mapping[str, Any]) -> str:
    """KubeProxyConfiguration for all nodes."""
    chosen = {
        "bindAddress": "0.0.0.0",
        "clientConnection": {"kubeconfig": PROXY_KUBECONFIG},
        "clusterCIDR": configuration.cluster.networking.pod_subnet,
    }
    return _text(PROXY, _merged(chosen, given))


def checksum(data: Mapping[str, str]) -> str:
    """Of a ConfigMap's data, for the annotation."""
    return f"sha256:{hashlib.sha256(''.join(data[key] for key in sorted(data)).encode()).hexdigest()}"


def of_host_proxy(text: str, kubeconfig: str) -> str:
    """The cluster's KubeProxyConfiguration for one that runs beside pods and not in one: with the host's own kubeconfig."""
    import yaml

    document = yaml.safe_load(text)
    document["clientConnection"] = {**(document.get("clientConnection") or {}), "kubeconfig": kubeconfig}
    return yaml.safe_dump(document)


def _merged(chosen: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Maps field by field, all else as given."""
    result = {**chosen, **given}
    for name in set(chosen) & set(given):
        if isinstance(chosen[name], dict) and isinstance(given[name], dict):
            result[name] = _merged(chosen[name], given[name])
    return result


def _text(identity: tuple[str, str], content: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump({"apiVersion": identity[0], "kind": identity[1], **content})
