"""IPv6 beside IPv4: leases, annotations, the interface's addresses, and what the kernel is to hold."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest

from pybernetes.api import types
from pybernetes.api.types import core_v1
from pybernetes.flannel import rules, subnets
from pybernetes.flannel.annotations import annotation_names, changes, lease_of, own_lease
from pybernetes.flannel.backends import BackendError, backend
from pybernetes.flannel.config import BackendConfig, ConfigError, NetworkConfig
from pybernetes.flannel.interface import External, InterfaceError, Selection, choose
from pybernetes.flannel.lease import Attributes, Lease, LeaseError, vxlan_data
from pybernetes.flannel.network import Network
from pybernetes.net.routes import Forwarding, Link, Neighbour, Route

from .hosts import DEVICE, NETWORK, OVERLAY, Kernel, mac

PREFIX = "flannel.alpha.coreos.com"
NAMES = annotation_names(PREFIX)
NETWORK6 = IPv6Network("fd00:244::/48")
CONFIG = NetworkConfig(NETWORK, ipv6_network=NETWORK6)


def node(number: int, *cidrs: str, **annotations: str) -> core_v1.Node:
    ranges = cidrs or (f"10.244.{number}.0/24", f"fd00:244:0:{number}::/64")
    notes = {f"{PREFIX}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    body: dict[str, Any] = {
        "metadata": {"name": f"host{number}", "annotations": notes},
        "spec": {"podCIDR": ranges[0], "podCIDRs": list(ranges)},
    }
    return types.decode(json.dumps(body).encode(), core_v1.Node)


def lease(number: int) -> Lease:
    attributes = Attributes(
        IPv4Address(f"10.79.0.{number}"),
        "vxlan",
        vxlan_data(1, mac(number)),
        IPv6Address(f"fd79::{number}"),
        vxlan_data(1, mac(number + 100)),
    )
    subnet, ipv6 = IPv4Network(f"10.244.{number}.0/24"), IPv6Network(f"fd00:244:0:{number}::/64")
    return Lease(f"host{number}", subnet, attributes, ipv6)


def test_what_a_node_says_is_what_it_wrote() -> None:
    own = own_lease(node(2), lease(2).attributes, CONFIG)
    assert own == lease(2)
    written = changes({}, own.attributes, NAMES)
    assert written[f"{PREFIX}/public-ipv6"] == "fd79::2"
    assert written[f"{PREFIX}/backend-v6-data"] == vxlan_data(1, mac(102))
    told = {name.partition("/")[2].replace("-", "_"): value for name, value in written.items()}
    assert lease_of(node(2, **told), NAMES, ipv6=True) == own
    assert changes({**written, f"{PREFIX}/public-ipv6-overwrite": "fd99::1"}, own.attributes, NAMES) == {
        f"{PREFIX}/public-ipv6": "fd99::1"
    }
    only_ipv4 = lease_of(node(2, **told), NAMES)
    assert only_ipv4 is not None and only_ipv4.ipv6() is None


@pytest.mark.parametrize(
    ("cidrs", "words"),
    [
        (("10.244.2.0/24",), "missing IPv6 address on n.Spec.PodCIDRs"),
        (
            ("10.244.2.0/24", "fd01::/64"),
            'subnet "fd00:244::/48" .* doesn.t contain "fd01::/64" IPv6 PodCIDR of the "host2"',
        ),
    ],
)
def test_ranges_that_are_refused(cidrs: tuple[str, ...], words: str) -> None:
    with pytest.raises(LeaseError, match=words):
        own_lease(node(2, *cidrs), lease(2).attributes, CONFIG)


def test_etcd_has_no_ipv6() -> None:
    with pytest.raises(ConfigError, match="--kube-subnet-mgr"):
        subnets.allotted(CONFIG)


def test_the_interface() -> None:
    links = [
        Link(2, "eth0", 1500, "", ("10.79.0.1",), ("fd79::1", "fe80::1")),
        Link(3, "eth1", 1500, "", ("10.80.0.1",)),
    ]

    def chosen(**more: Any) -> External:
        return choose(Selection(ipv6=True, **more), links, 2, lambda address: (0, ""))

    assert chosen().ipv6() == External(2, "eth0", 1500, IPv6Address("fd79::1"), IPv6Address("fd79::1"))
    assert chosen(public_ipv6="fd99::9").ipv6().public_ip == IPv6Address("fd99::9")
    with pytest.raises(InterfaceError, match="failed to find IPv6 address for interface eth1"):
        chosen(interfaces=("eth1",))
    with pytest.raises(InterfaceError, match="invalid public IPv6 address"):
        chosen(public_ipv6="1.2.3.4")


def interface() -> External:
    return External(DEVICE, "eth0", 1500, IPv6Address("fd79::1"), IPv6Address("fd79::1"))


def test_vxlan() -> None:
    kernel = Kernel()
    chosen = backend(BackendConfig("vxlan"), interface())
    assert chosen.prepare(kernel, mac(101)) == vxlan_data(1, mac(101)) and set(kernel.devices) == {"flannel-v6.1"}
    own, other = lease(1).ipv6(), lease(2).ipv6()
    assert own is not None and other is not None
    network = Network(kernel, chosen, own, NETWORK6)
    network.start({"host2": other})
    assert kernel.address[OVERLAY] == {"fd00:244:0:1::": 128}
    assert set(kernel.table.values()) == {Route("fd00:244:0:2::/64", "fd00:244:0:2::", OVERLAY, onlink=True)}
    assert set(kernel.arp.values()) == {Neighbour("fd00:244:0:2::", mac(102), OVERLAY)}
    assert set(kernel.fdb.values()) == {Forwarding(mac(102), "fd79::2", OVERLAY)}
    kernel.table.clear()
    network.repair()
    assert len(kernel.table) == 1
    network.apply({"host2": None})
    assert not kernel.table and not kernel.arp and not kernel.fdb


def test_host_gw_and_udp() -> None:
    other = lease(2).ipv6()
    assert other is not None
    entries = backend(BackendConfig("host-gw"), interface()).entries(other, Kernel())
    assert entries == (Route("fd00:244:0:2::/64", "fd79::2", DEVICE),)
    with pytest.raises(BackendError, match="udp is of IPv4 only"):
        backend(BackendConfig("udp"), interface())


def test_rules() -> None:
    found = rules.masquerade(NETWORK6, IPv6Network("fd00:244:0:1::/64"), random_fully=False).rules
    assert found[4][:5] == ("-s", "fd00:244::/48", "!", "-d", "ff00::/8")
