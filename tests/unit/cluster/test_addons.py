"""Manifests of add-ons: their pods' command lines are ones that the programs take, and their accounts may do what the host's daemons may."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.cluster import addons
from pybernetes.component import flags
from pybernetes.ingress import options as ingress
from pybernetes.loadbalancer import options as loadbalancer

BALANCER = addons.load_balancer_manifests("pybernetes:1", ["192.0.2.0/28", "2001:db8::/120"], ["22", "80"])
INGRESS = addons.ingress_manifests("pybernetes-ingress:1")
Manifest = dict[str, Any]


def container(manifests: list[Manifest]) -> dict[str, Any]:
    (workload,) = [one for one in manifests if one["kind"] == "DaemonSet"]
    spec = workload["spec"]["template"]["spec"]
    assert spec["hostNetwork"] and "tolerations" not in spec
    (only,) = spec["containers"]
    return dict(only)


@pytest.mark.parametrize("manifests", [BALANCER, INGRESS])
def test_rights_are_those_of_the_hosts_daemon(manifests: list[Manifest]) -> None:
    """Every role is bound to the account of the pods, and to nobody else."""
    (account,) = [one["metadata"]["name"] for one in manifests if one["kind"] == "ServiceAccount"]
    roles = {one["metadata"]["name"] for one in manifests if one["kind"] in ("Role", "ClusterRole")}
    bindings = [one for one in manifests if one["kind"].endswith("Binding")]
    assert {one["roleRef"]["name"] for one in bindings} == roles and f"pybernetes:{account}" in roles
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}]
    assert all(one["subjects"] == subjects for one in bindings)
    assert not any("${" in str(one) for one in manifests)


def test_the_load_balancers_command_line() -> None:
    name, *arguments = container(BALANCER)["args"]
    values = flags.parse(name, loadbalancer.FLAGS, [each.replace("$(NODE_NAME)", "n1") for each in arguments])
    chosen = loadbalancer.load_balancer_options(values)
    assert (chosen.node, chosen.announces, chosen.config.reserved) == ("n1", True, frozenset({22, 80}))
    assert "2001:db8::ff" in chosen.config.pools


def test_without_addresses_nodes_have_the_services() -> None:
    name, *arguments = container(addons.load_balancer_manifests("i", [], ["22"]))["args"]
    chosen = loadbalancer.load_balancer_options(flags.parse(name, loadbalancer.FLAGS, arguments))
    assert chosen.config.pools.ranges == () and not chosen.announces


def test_the_ingress_controllers_command_line() -> None:
    """It writes statuses by its pods, and its folder is one that it may write to."""
    only = container(INGRESS)
    name, *arguments = only["args"]
    environment = {each["name"]: "x" for each in only["env"]}
    chosen = ingress.ingress_controller_options(flags.parse(name, ingress.FLAGS, arguments), environment)
    assert chosen.writes and chosen.pod == ("x", "x")
    assert str(chosen.folder).startswith(f"{only['volumeMounts'][0]['mountPath']}/")
    ports = {each["name"]: each["containerPort"] for each in only["ports"]}
    assert ports == {"http": chosen.http_port, "https": chosen.https_port, "metrics": ingress.HEALTH_PORT}
