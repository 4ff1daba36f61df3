"""Leases as nodes tell them, and what the own node is to tell."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from pybernetes.flannel.annotations import annotation_names, changes, lease_of, own_lease, stored_mac, subnet_of
from pybernetes.flannel.config import ConfigError, NetworkConfig
from pybernetes.flannel.lease import Attributes, LeaseError, vtep_mac, vxlan_data

from .hosts import NETWORK, lease, mac, node, vxlan_node

NAMES = annotation_names("flannel.alpha.coreos.com")
PREFIX = "flannel.alpha.coreos.com/"


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("flannel.alpha.coreos.com", "flannel.alpha.coreos.com/public-ip"),
        ("flannel.alpha.coreos.com/", "flannel.alpha.coreos.com/public-ip"),
        ("example.com/net", "example.com/net-public-ip"),
        ("example.com/net-", "example.com/net-public-ip"),
    ],
)
def test_prefixes(prefix: str, name: str) -> None:
    assert annotation_names(prefix).public_ip == name


@pytest.mark.parametrize("prefix", ["", "localhost", "a.b/c/d", "Example.Com", "example.com/a.b"])
def test_prefixes_that_are_none(prefix: str) -> None:
    with pytest.raises(ConfigError, match="subnet/kube: prefix"):
        annotation_names(prefix)


def test_a_node_tells_its_lease() -> None:
    assert lease_of(vxlan_node(2), NAMES) == lease(2)
    assert lease_of(node(2), NAMES) is None
    assert lease_of(vxlan_node(2, kube_subnet_manager="false"), NAMES) is None


@pytest.mark.parametrize("address", ["", "10.0.0", "fd00::1", "host", "1.2.3.4/24"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(LeaseError, match="invalid IP address format"):
        lease_of(vxlan_node(2, public_ip=address), NAMES)


@pytest.mark.parametrize(
    ("ranges", "subnet"),
    [
        (["10.244.1.0/24"], "10.244.1.0/24"),
        (["fd00::/64", "10.244.1.0/24"], "10.244.1.0/24"),
        ([], "10.244.9.0/24"),  # podCIDR alone
        (["fd00::/64"], LeaseError),
        (["10.244.1.0/33"], LeaseError),
        (["10.244.1.0/24", "fd00::/64", "fd01::/64"], LeaseError),
    ],
)
def test_subnets(ranges: list[str], subnet: str | type[LeaseError]) -> None:
    told = node(9)
    told.spec.pod_cidrs = ranges
    if isinstance(subnet, str):
        assert subnet_of(told) == IPv4Network(subnet)
    else:
        with pytest.raises(subnet):
            subnet_of(told)


def test_the_own_lease_must_lie_in_the_network() -> None:
    attributes = lease(1).attributes
    assert own_lease(node(1), attributes, NetworkConfig(NETWORK)) == lease(1)
    elsewhere = NetworkConfig(IPv4Network("10.5.0.0/16"))
    with pytest.raises(LeaseError) as refused:
        own_lease(node(1), attributes, elsewhere)
    assert str(refused.value) == (
        'subnet "10.5.0.0/16" specified in the flannel net config doesn\'t contain "10.244.1.0/24" PodCIDR of the "host1" node'
    )
    late = node(1)
    late.spec.pod_cidr, late.spec.pod_cidrs = "", []
    with pytest.raises(LeaseError, match='node "host1" pod cidr not assigned'):
        own_lease(late, attributes, NetworkConfig(NETWORK))


def test_what_is_written() -> None:
    attributes = lease(1).attributes
    everything = {
        f"{PREFIX}backend-data": f'{{"VNI":1,"VtepMAC":"{mac(1)}"}}',
        f"{PREFIX}backend-type": "vxlan",
        f"{PREFIX}kube-subnet-manager": "true",
        f"{PREFIX}public-ip": "10.79.0.1",
    }
    assert changes({"other": "x"}, attributes, NAMES) == everything
    assert changes(everything, attributes, NAMES) == {}
    moved = Attributes(IPv4Address("10.79.0.9"), "vxlan", attributes.backend_data)
    assert changes(everything, moved, NAMES) == {f"{PREFIX}public-ip": "10.79.0.9"}
    overwritten = {**everything, f"{PREFIX}public-ip-overwrite": "203.0.113.7"}
    assert changes(overwritten, attributes, NAMES) == {f"{PREFIX}public-ip": "203.0.113.7"}
    assert changes({**overwritten, f"{PREFIX}public-ip": "203.0.113.7"}, attributes, NAMES) == {}


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (vxlan_data(1, mac(5)), mac(5)),
        ('{"VtepMAC": "AA-BB-CC-DD-EE-FF"}', "aa:bb:cc:dd:ee:ff"),
        ('{"vtepmac": "aa:bb:cc:dd:ee:ff", "VNI": 3}', "aa:bb:cc:dd:ee:ff"),
    ],
)
def test_hardware_addresses(data: str, address: str) -> None:
    assert vtep_mac(data) == address
    assert stored_mac(vxlan_node(1, backend_data=data), NAMES.backend_data) == address


@pytest.mark.parametrize(
    "data",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"VtepMAC": 7}',
        '{"VtepMAC": "aa:bb:cc:dd:ee"}',
        '{"VtepMAC": "aa:bb-cc:dd:ee:ff"}',
        "[" * 100_000,
    ],
)
def test_hardware_addresses_that_are_none(data: str) -> None:
    with pytest.raises(LeaseError, match="error decoding subnet lease JSON"):
        vtep_mac(data)
    assert stored_mac(vxlan_node(1, backend_data=data), NAMES.backend_data) == ""
