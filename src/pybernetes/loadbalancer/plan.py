"""What a Service of type LoadBalancer gets (upstream: staging/src/k8s.io/cloud-provider/controllers/service/controller.go)."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import LABEL_NODE_EXCLUDE_BALANCERS, LOAD_BALANCER_CLEANUP_FINALIZER

from .pools import Pools

Key = tuple[str, str]  # (namespace, name)
VERSIONS = {"IPv4": 4, "IPv6": 6}


class Refused(Exception):
    """There are no addresses for a Service; one line for its events."""


@dataclass(slots=True)
class Book:
    """Who has which address of the pools. The elected controller's own: informers lag behind what it has given."""

    owners: dict[str, Key] = field(default_factory=dict)

    def others(self, key: Key) -> Collection[str]:
        """Addresses that somebody else has."""
        return {address for address, owner in self.owners.items() if owner != key}

    def give(self, key: Key, addresses: Iterable[str]) -> bool:
        """These, and no others, are the Service's; whether it has lost any."""
        lost = [address for address, owner in self.owners.items() if owner == key]
        for address in lost:
            del self.owners[address]
        self.owners.update(dict.fromkeys(addresses, key))
        return any(address not in self.owners for address in lost)


def wants(service: core.Service, balancer_class: str) -> bool:
    """Whether it is ours to serve: without a class of ours, those that name none."""
    return service.spec.type == "LoadBalancer" and (service.spec.load_balancer_class or "") == balancer_class


def needs_cleanup(service: core.Service, balancer_class: str) -> bool:
    """Whether something of ours is to be taken from it."""
    if LOAD_BALANCER_CLEANUP_FINALIZER not in service.metadata.finalizers:
        return False
    if service.spec.type != "LoadBalancer":
        return True
    return service.metadata.deletion_timestamp is not None and wants(service, balancer_class)


def addresses_of(service: core.Service) -> list[str]:
    """Those in its status."""
    return [ingress.ip for ingress in service.status.load_balancer.ingress if ingress.ip]


def from_pools(service: core.Service, pools: Pools, others: Collection[str]) -> list[str]:
    """One of each of its families. What it has it keeps; spec.loadBalancerIP goes before that. Refused."""
    present = [a for a in addresses_of(service) if a in pools and a not in others]
    chosen: list[str] = []
    for family in service.spec.ip_families or ["IPv4"]:
        version = VERSIONS[family]
        address = _requested(service, version, pools, others)
        address = address or next((a for a in present if _version(a) == version), None) or pools.free(version, others)
        if address is not None:
            chosen.append(address)
        elif not chosen or service.spec.ip_family_policy == "RequireDualStack":
            raise Refused(f"no {family} address is free in the pools")
    requested = service.spec.load_balancer_ip
    if requested and _canonical(requested) not in chosen:
        raise Refused(f'loadBalancerIP "{requested}" is of none of the service\'s IP families')
    return chosen


def _requested(service: core.Service, version: int, pools: Pools, others: Collection[str]) -> str | None:
    text = service.spec.load_balancer_ip
    if not text:
        return None
    try:
        address = _canonical(text)
    except ValueError:
        raise Refused(f'loadBalancerIP "{text}" is no IP address') from None
    if _version(address) != version:
        return None
    if address not in pools:
        raise Refused(f'loadBalancerIP "{text}" is in none of the pools')
    if address in others:
        raise Refused(f'loadBalancerIP "{text}" is another service\'s')
    return address


def of_nodes(
    service: core.Service, nodes: Iterable[core.Node], services: Iterable[core.Service], reserved: Collection[int]
) -> list[str]:
    """The nodes' own addresses, where no older Service (all that are served: `services`) has one of the ports. Refused."""
    for port in service.spec.ports:
        if port.port in reserved:
            raise Refused(f"port {port.port} of the nodes is not for services (--reserved-ports)")
    own = {(port.protocol or "TCP", port.port) for port in service.spec.ports}
    for other in services:
        taken = own & {(port.protocol or "TCP", port.port) for port in other.spec.ports}
        if taken and _age(other) < _age(service):
            protocol, number = min(taken)
            name = f"{other.metadata.namespace}/{other.metadata.name}"
            raise Refused(f"port {number}/{protocol} of the nodes is that of service {name}")
    versions = {VERSIONS[family] for family in service.spec.ip_families or ["IPv4"]}
    addresses = sorted(
        {a for a in node_addresses(nodes) if _version(a) in versions},
        key=lambda a: (_version(a), ipaddress.ip_address(a)),
    )
    if not addresses:
        raise Refused("no node has an address for it")
    return addresses


def node_addresses(nodes: Iterable[core.Node]) -> list[str]:
    """By which the nodes can be reached that balancers may lead to."""
    return [address for node in nodes if _serves(node) for address in _addresses_of_node(node)]


def _age(service: core.Service) -> tuple[str, str, str]:
    meta = service.metadata
    return (str(meta.creation_timestamp or ""), meta.namespace, meta.name)


def _serves(node: core.Node) -> bool:
    """Ready nodes that are not going away (upstream: nodes that load balancers may lead to)."""
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions)
    excluded = LABEL_NODE_EXCLUDE_BALANCERS in node.metadata.labels
    return ready and not excluded and node.metadata.deletion_timestamp is None


def _addresses_of_node(node: core.Node) -> list[str]:
    """Of the world where it has such, else of the cluster (as k3s)."""
    by_type: dict[str, list[str]] = {}
    for each in node.status.addresses:
        by_type.setdefault(each.type, []).append(each.address)
    return by_type.get("ExternalIP") or by_type.get("InternalIP") or []


def status_of(addresses: Iterable[str]) -> core.LoadBalancerStatus:
    """As it is written."""
    return core.LoadBalancerStatus(ingress=[core.LoadBalancerIngress(ip=a, ip_mode="VIP") for a in addresses])


def holders(
    services: Iterable[core.Service], local: Mapping[Key, Collection[str]], alive: Collection[str], pools: Pools
) -> dict[str, str]:
    """Address -> the node that announces it; every node comes to the same, and few addresses move as nodes come and go.

    With externalTrafficPolicy Local only nodes with an endpoint (`local`) can serve it; where none has, nobody announces.
    """
    holders: dict[str, str] = {}
    for service in services:
        candidates = set(alive)
        if service.spec.external_traffic_policy == "Local":
            candidates &= set(local.get((service.metadata.namespace, service.metadata.name), ()))
        for address in addresses_of(service) if candidates else ():
            if address in pools:
                holders[address] = max(candidates, key=lambda node: _rank(node, address))
    return holders


def _rank(node: str, address: str) -> tuple[bytes, str]:
    return hashlib.sha256(f"{node} {address}".encode()).digest(), node


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _canonical(text: str) -> str:
    return str(ipaddress.ip_address(text))
