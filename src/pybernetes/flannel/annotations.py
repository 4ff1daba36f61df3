"""Leases in the annotations of nodes (upstream: pkg/subnet/kube/annotations.go, kube.go)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NoReturn

from pybernetes.api.types import core_v1

from .config import ConfigError, Network, NetworkConfig, contains
from .lease import Attributes, Lease, LeaseError, vtep_mac

DEFAULT_PREFIX = "flannel.alpha.coreos.com"
_PREFIX = re.compile(r"(?:[a-z0-9_-]+\.)+[a-z0-9_-]+/(?:[a-z0-9_-]+-)?$")
MOST_RANGES = 2  # one of each family


@dataclass(frozen=True, slots=True)
class Annotations:
    """The names of the annotations, all under one prefix."""

    managed: str
    backend_type: str
    backend_data: str
    public_ip: str
    public_ip_overwrite: str
    backend_v6_data: str
    public_ipv6: str
    public_ipv6_overwrite: str
    node_public_ipv6: str
    node_public_ip: str  # written by users: instead of --public-ip


def annotation_names(prefix: str) -> Annotations:
    """Under --kube-annotation-prefix: "example.com" gives example.com/public-ip, "example.com/net" example.com/net-public-ip. ConfigError."""
    if prefix.count("/") > 1:
        raise ConfigError("subnet/kube: prefix can contain at most single slash")
    start = prefix if "/" in prefix else f"{prefix}/"
    if not start.endswith(("/", "-")):
        start += "-"
    if not _PREFIX.search(start):
        raise ConfigError("subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*")
    return Annotations(
        managed=f"{start}kube-subnet-manager",
        backend_type=f"{start}backend-type",
        backend_data=f"{start}backend-data",
        public_ip=f"{start}public-ip",
        public_ip_overwrite=f"{start}public-ip-overwrite",
        backend_v6_data=f"{start}backend-v6-data",
        public_ipv6=f"{start}public-ipv6",
        public_ipv6_overwrite=f"{start}public-ipv6-overwrite",
        node_public_ipv6=f"{start}node-public-ipv6",
        node_public_ip=f"{start}node-public-ip",
    )


def subnet_of(node: core_v1.Node) -> IPv4Network:
    """The IPv4 podCIDR. LeaseError."""
    return next((one for one in _ranges(node) if isinstance(one, IPv4Network)), None) or _missing("IPv4")


def ipv6_subnet_of(node: core_v1.Node) -> IPv6Network:
    """The IPv6 podCIDR. LeaseError."""
    return next((one for one in _ranges(node) if isinstance(one, IPv6Network)), None) or _missing("IPv6")


def _missing(family: str) -> NoReturn:
    raise LeaseError(f"missing {family} address on n.Spec.PodCIDRs")


def _ranges(node: core_v1.Node) -> list[Network]:
    if len(node.spec.pod_cidrs) > MOST_RANGES:
        raise LeaseError(f'node "{node.metadata.name}" pod cidrs should be IPv4/IPv6 only or dualstack')
    ranges: list[Network] = []
    for text in node.spec.pod_cidrs or [node.spec.pod_cidr]:
        try:
            ranges.append(ip_network(text, strict=False))
        except ValueError:
            raise LeaseError(f"invalid CIDR address: {text}") from None
    return ranges


def said(node: core_v1.Node, names: Annotations) -> tuple[str | None, ...]:
    """All that a lease is made of: nodes of which it is the same have the same lease."""
    told = node.metadata.annotations
    notes = (
        names.managed,
        names.backend_type,
        names.backend_data,
        names.public_ip,
        names.backend_v6_data,
        names.public_ipv6,
    )
    return (*map(told.get, notes), node.spec.pod_cidr, *node.spec.pod_cidrs)


def lease_of(node: core_v1.Node, names: Annotations, ipv6: bool = False) -> Lease | None:
    """None of a node that flannel does not manage. LeaseError where what it says cannot be understood."""
    told = node.metadata.annotations
    if told.get(names.managed) != "true":
        return None
    try:
        public_ip = IPv4Address(told.get(names.public_ip, ""))
    except ValueError:
        raise LeaseError(f"invalid IP address format: {told.get(names.public_ip, '')!r}") from None
    attributes = Attributes(public_ip, told.get(names.backend_type, ""), told.get(names.backend_data, ""))
    if not ipv6:
        return Lease(node.metadata.name, subnet_of(node), attributes)
    try:
        public_ipv6 = IPv6Address(told.get(names.public_ipv6, ""))
    except ValueError:
        raise LeaseError(f"invalid IPv6 address format: {told.get(names.public_ipv6, '')!r}") from None
    attributes = replace(attributes, public_ipv6=public_ipv6, backend_v6_data=told.get(names.backend_v6_data, ""))
    return Lease(node.metadata.name, subnet_of(node), attributes, ipv6_subnet_of(node))


def own_lease(node: core_v1.Node, attributes: Attributes, config: NetworkConfig) -> Lease:
    """This host's. LeaseError where the node has no range yet, or one outside the network."""
    name = node.metadata.name
    if not node.spec.pod_cidr:
        raise LeaseError(f'node "{name}" pod cidr not assigned')
    subnet = subnet_of(node)
    _check(config.network, subnet, "", name)
    if config.ipv6_network is None:
        return Lease(name, subnet, attributes)
    ipv6_subnet = ipv6_subnet_of(node)
    _check(config.ipv6_network, ipv6_subnet, "IPv6 ", name)
    return Lease(name, subnet, attributes, ipv6_subnet)


def _check(network: Network, subnet: Network, family: str, node: str) -> None:
    if not contains(network, subnet):
        raise LeaseError(
            f'subnet "{network}" specified in the flannel net config doesn\'t contain "{subnet}" {family}PodCIDR of the "{node}" node'
        )


def changes(told: Mapping[str, str], attributes: Attributes, names: Annotations) -> dict[str, str]:
    """The annotations of the own node that are to be written, {} where all is said already.

    An overwriting address stands in for the public one: of hosts behind a NAT, which do not have the address that others reach.
    """
    public_ip = told.get(names.public_ip_overwrite) or str(attributes.public_ip)
    lease_notes = {
        names.backend_type: attributes.backend_type,
        names.backend_data: attributes.backend_data,
        names.public_ip: public_ip,
        names.managed: "true",
    }
    if attributes.public_ipv6 is not None:
        lease_notes |= {
            names.backend_v6_data: attributes.backend_v6_data,
            names.public_ipv6: told.get(names.public_ipv6_overwrite) or str(attributes.public_ipv6),
        }
    return {name: value for name, value in lease_notes.items() if told.get(name) != value}


def stored_mac(node: core_v1.Node, name: str) -> str:
    """The hardware address that the node's vxlan device had before, by the annotation that told it; "" where that is not known."""
    try:
        return vtep_mac(node.metadata.annotations.get(name, ""))
    except LeaseError:
        return ""
