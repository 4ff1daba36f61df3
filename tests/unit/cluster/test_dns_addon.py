"""Cluster DNS as kubeadm deploys it."""

from typing import Any

import pytest

from pybernetes.cluster.addons.dns import manifests
from pybernetes.dns.corefile import parse
from pybernetes.dns.plugins import ORDER


def test_manifests() -> None:
    made: dict[str, Any] = {m["kind"]: m for m in manifests("pybernetes:1", "10.97.0.10", "example.internal", 3)}
    assert list(made) == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Deployment", "Service"]
    assert made["Service"]["spec"]["clusterIP"] == "10.97.0.10"
    assert made["Deployment"]["spec"]["replicas"] == 3
    (container,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "pybernetes:1"
    assert made["Service"]["spec"]["selector"] == made["Deployment"]["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("domain", ["cluster.local", "example.internal."])
def test_the_corefile_is_one_that_is_understood(domain: str) -> None:
    made = {m["kind"]: m for m in manifests("pybernetes:1", domain=domain)}
    (block,) = parse(made["ConfigMap"]["data"]["Corefile"])
    assert [d.name for d in block.directives if d.name not in ORDER] == []
    (kubernetes,) = [d for d in block.directives if d.name == "kubernetes"]
    assert kubernetes.arguments == [domain.rstrip("."), "in-addr.arpa", "ip6.arpa"]
