"""Cluster DNS as kubeadm deploys CoreDNS (upstream: cmd/kubeadm/app/phases/addons/dns/manifests.go), on the project's own image."""

from __future__ import annotations

import importlib.resources

from ..apply import Manifest, load

FILE = "cluster/addons/dns.yaml"
REPLICAS = 2


def manifests(
    image: str, cluster_ip: str = "10.96.0.10", domain: str = "cluster.local", replicas: int = REPLICAS
) -> list[Manifest]:
    """ServiceAccount, RBAC, Corefile, Deployment and Service, in the order in which they are applied."""
    text = (importlib.resources.files("pybernetes") / FILE).read_text()
    values = {"IMAGE": image, "CLUSTER_IP": cluster_ip, "DOMAIN": domain.rstrip("."), "REPLICAS": str(replicas)}
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return load(text)
