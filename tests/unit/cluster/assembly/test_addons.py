"""Add-ons of clusters of several hosts: which are asked for, which images their pods run, and what goes when they are left out."""

from __future__ import annotations

import pytest

from pybernetes.api.version import KUBERNETES
from pybernetes.cluster.assembly import addons
from pybernetes.cluster.image import ALL
from pybernetes.deploy import layout, types
from pybernetes.deploy.configuration import Configuration
from pybernetes.deploy.daemons.model import AddOns


def described(dns: types.DNS, **chosen: bool) -> list[str]:
    cluster = types.ClusterConfiguration(dns=dns, kubernetes_version=f"v{KUBERNETES}")
    configuration = Configuration(types.InitConfiguration(), cluster)
    return [one.name for one in addons.images(configuration, layout.ClusterLayout(addons=AddOns(**chosen)))]


@pytest.mark.parametrize(
    ("dns", "chosen", "names"),
    [
        (types.DNS(), {}, ["pybernetes"]),
        (types.DNS(image_tag="v1.12.0"), {}, []),
        (types.DNS(disabled=True), {"load_balancer": True}, ["pybernetes"]),
        (types.DNS(disabled=True), {"ingress": True}, ["pybernetes-ingress"]),
        (types.DNS(), {"ingress": True}, ["pybernetes", "pybernetes-ingress"]),
    ],
)
def test_which_images_a_node_has(dns: types.DNS, chosen: dict[str, bool], names: list[str]) -> None:
    assert described(dns, **chosen) == names
    assert set(names) <= {one.name for one in ALL}


def test_a_foreign_cluster_has_none_of_ours() -> None:
    configuration = Configuration(types.InitConfiguration(), types.ClusterConfiguration())
    assert addons.images(configuration, layout.FOREIGN) == []


def test_all_are_known_and_each_has_a_workload() -> None:
    chosen = AddOns(load_balancer=True, address_pool=["192.0.2.0/28"], ingress=True)
    further = {one.name: one for one in addons.further(chosen)}
    assert [name for name, one in further.items() if one.enabled] == ["load-balancer", "ingress"]
    assert {one.workload["kind"] for one in further.values()} == {"Deployment", "DaemonSet"}
    arguments = further["load-balancer"].workload["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--address-pool=192.0.2.0/28" in arguments
    assert any(each.startswith("--reserved-ports=") and each.endswith("80,443") for each in arguments)
