"""What kubeadm's configuration has no words for: the document, back and forth, and what cannot be."""

from __future__ import annotations

import pytest

from pybernetes.deploy import layout, types
from pybernetes.deploy.configuration import ConfigurationError
from pybernetes.deploy.daemons.model import AddOns

CHOSEN = AddOns(
    local_path=True, load_balancer=True, address_pool=["10.20.0.64/28", "2001:db8::1-2001:db8::9"], ingress=True
)


def test_all_fields_are_told_and_read() -> None:
    described = layout.ClusterLayout(
        balancer=layout.BalancerLayout(kind="nginx", router_id=7),
        network=layout.NetworkLayout(backend="host-gw", ip_masq=False, policies=False),
        addons=CHOSEN,
    )
    assert layout.parse(layout.text(described)) == described
    assert layout.parse(layout.text(layout.ClusterLayout())) == layout.ClusterLayout()


def test_an_older_cluster_says_less() -> None:
    text = "apiVersion: pybernetes.io/v1alpha1\nkind: ClusterLayout\naddons: {metricsServer: true}\n"
    described = layout.parse(text)
    assert described is not None and described.addons == AddOns(metrics_server=True)


@pytest.mark.parametrize(
    ("addons", "words"),
    [
        (
            AddOns(load_balancer=True, address_pool=["10.20.0.0/24"]),
            "has the address of controlPlaneEndpoint, 10.20.0.10",
        ),
        (AddOns(load_balancer=True, address_pool=["10.20.0.9-10.20.0.8"]), "the last address comes before the first"),
        (AddOns(address_pool=["10.20.1.0/24"]), "addons.addressPool: for whom. Give --load-balancer"),
    ],
)
def test_addresses_that_cannot_be_given_away(addons: AddOns, words: str) -> None:
    cluster = types.ClusterConfiguration(control_plane_endpoint="10.20.0.10:8443")
    with pytest.raises(ConfigurationError, match=words):
        layout.check(layout.ClusterLayout(addons=addons), cluster, 6443)
    layout.check(layout.ClusterLayout(addons=CHOSEN), cluster, 6443)
