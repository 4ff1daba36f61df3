"""Services and EndpointSlices as the proxy sees them: ports and their ready endpoints (upstream: pkg/proxy/service.go, endpoints.go)."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.api.wellknown import (
    ENDPOINTS_LAST_CHANGE_TRIGGER_TIME,
    IS_HEADLESS_SERVICE,
    LABEL_SERVICE_NAME,
    LABEL_SERVICE_PROXY_NAME,
)

DEFAULT_AFFINITY_SECONDS = 10800


ServiceKey = tuple[str, str]  # namespace, name
HealthPorts = Mapping[int, tuple[str, str, int]]  # health-check port -> namespace, service, local endpoints


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place to send to."""

    ip: str
    port: int
    local: bool

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service, with its ready endpoints in order of address."""

    namespace: str
    service: str
    name: str
    protocol: str  # tcp, udp, sctp
    cluster_ip: str
    port: int
    node_port: int
    external_ips: tuple[str, ...]
    ingress_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    local_only: bool  # externalTrafficPolicy: Local
    internal_local: bool  # internalTrafficPolicy: Local
    affinity_seconds: int  # 0: none
    health_port: int
    endpoints: tuple[Endpoint, ...]  # from anywhere
    local_endpoints: tuple[Endpoint, ...]  # on this node, for the Local policies
    local_ready: frozenset[str] = frozenset()  # addresses of those that are ready, where a health port tells of them

    @property
    def full_name(self) -> str:
        """`namespace/service:port`, without the colon where the port has no name."""
        return f"{self.namespace}/{self.service}:{self.name}" if self.name else f"{self.namespace}/{self.service}"

    @property
    def has_endpoints(self) -> bool:
        """Whether there are any, on whatever node."""
        return bool(self.endpoints)

    @property
    def externally_accessible(self) -> bool:
        """By an address or a node port beside the cluster IP."""
        return bool(self.node_port or self.external_ips or self.ingress_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """With policy Local too, where it is externally accessible: pods and this node itself are bound by no external policy."""
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local_endpoints(self) -> bool:
        """Whether some policy is Local."""
        return self.internal_local or (self.local_only and self.externally_accessible)

    @property
    def internal_endpoints(self) -> tuple[Endpoint, ...]:
        """For traffic to the cluster IP."""
        return self.local_endpoints if self.internal_local else self.endpoints

    @property
    def external_endpoints(self) -> tuple[Endpoint, ...]:
        """For traffic from outside to other addresses and node ports."""
        return self.local_endpoints if self.local_only else self.endpoints

    @property
    def all_endpoints(self) -> tuple[Endpoint, ...]:
        """Whatever some policy may send to, in order of address (upstream: CategorizeEndpoints)."""
        if not self.uses_cluster_endpoints:
            return self.local_endpoints
        if not self.uses_local_endpoints or set(self.local_endpoints) <= set(self.endpoints):
            return self.endpoints
        return tuple(sorted({*self.endpoints, *self.local_endpoints}, key=str))


Services = Mapping[ServiceKey, Sequence[ServicePort]]  # all that is served, of one family


@dataclass(frozen=True, slots=True)
class Change:
    """The ports of one Service before and after; empty where it is new or gone."""

    before: Sequence[ServicePort]
    after: Sequence[ServicePort]


Changes = Mapping[ServiceKey, Change]  # of what differs since the last sync that succeeded


@dataclass(frozen=True, slots=True)
class Where:
    """The node that the proxy runs on; the zone is its label topology.kubernetes.io/zone."""

    node: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One of a Service's ports."""

    name: str
    protocol: str  # tcp, udp, sctp
    port: int
    node_port: int


@dataclass(frozen=True, slots=True)
class SlimService:
    """As much of a Service as the proxy reads, of both families."""

    namespace: str
    name: str
    cluster_ips: tuple[str, ...]
    ports: tuple[PortSpec, ...]
    external_ips: tuple[str, ...]
    ingress_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    local_only: bool
    internal_local: bool
    affinity_seconds: int
    health_port: int


@dataclass(frozen=True, slots=True)
class SlimEndpoint:
    """One endpoint of a slice that may be sent to. Hints say where it should be used."""

    ip: str
    local: bool
    ready: bool  # else it serves while it terminates
    zones: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SlimSlice:
    """As much of an EndpointSlice as the proxy on one node reads."""

    namespace: str
    service: str  # "" if it is nobody's
    family: str
    ports: tuple[tuple[str, str, int], ...]  # name, protocol, number
    endpoints: tuple[SlimEndpoint, ...]
    trigger: str  # since when its newest change has been waited for, "" where it is not said


def slim_service(service: core_v1.Service) -> SlimService | None:
    """None of one that is not the proxy's business."""
    if not is_served(service):
        return None
    spec, affinity = service.spec, 0
    if spec.session_affinity == "ClientIP":
        config = spec.session_affinity_config
        client_ip = config.client_ip if config else None
        affinity = (client_ip.timeout_seconds if client_ip else None) or DEFAULT_AFFINITY_SECONDS
    ingress = service.status.load_balancer.ingress if spec.type == "LoadBalancer" else []
    # External addresses make any service reachable from outside, whatever its type (apihelpers.ExternallyAccessible).
    external = spec.type in ("NodePort", "LoadBalancer") or bool(spec.type == "ClusterIP" and spec.external_ips)
    return SlimService(
        namespace=sys.intern(service.metadata.namespace),
        name=service.metadata.name,
        cluster_ips=_canonical((spec.cluster_ip, *spec.cluster_ips)),
        ports=tuple(
            PortSpec(sys.intern(p.name), sys.intern((p.protocol or "TCP").lower()), p.port, p.node_port)
            for p in spec.ports
        ),
        external_ips=_canonical(spec.external_ips),
        ingress_ips=_canonical(i.ip for i in ingress if i.ip_mode != "Proxy"),
        source_ranges=_canonical_ranges(spec.load_balancer_source_ranges),
        local_only=external and spec.external_traffic_policy == "Local",
        internal_local=spec.internal_traffic_policy == "Local",
        affinity_seconds=affinity,
        health_port=spec.health_check_node_port if spec.type == "LoadBalancer" else 0,
    )


def slim_slice(item: discovery_v1.EndpointSlice, node: str) -> SlimSlice:
    """As the proxy on that node reads it."""
    meta = item.metadata
    return SlimSlice(
        namespace=sys.intern(meta.namespace),
        service=meta.labels.get(LABEL_SERVICE_NAME, ""),
        family=sys.intern(item.address_type),
        ports=tuple(
            (sys.intern(p.name or ""), sys.intern((p.protocol or "TCP").lower()), p.port)
            for p in item.ports or ()
            if p.port
        ),
        endpoints=tuple(_slim_endpoints(item.endpoints or (), node)),
        trigger=meta.annotations.get(ENDPOINTS_LAST_CHANGE_TRIGGER_TIME, ""),
    )


def _slim_endpoints(endpoints: Iterable[discovery_v1.Endpoint], node: str) -> Iterator[SlimEndpoint]:
    for item in endpoints:
        conditions = item.conditions
        ready = conditions is None or conditions.ready is not False
        # Who says nothing of serving serves (upstream: endpointslicecache.go).
        serves = conditions is not None and conditions.serving is not False and bool(conditions.terminating)
        if (ready or serves) and item.addresses:
            zones = tuple(sys.intern(h.name) for h in item.hints.for_zones) if item.hints else ()
            nodes = tuple(sys.intern(h.name) for h in item.hints.for_nodes) if item.hints else ()
            address = item.addresses[0]  # upstream, too, uses the first only
            if ":" in address:
                address = canonical_address(address)
            yield SlimEndpoint(address, item.node_name == node, ready, zones, nodes)


def service_ports(
    services: Iterable[core_v1.Service],
    slices: Iterable[discovery_v1.EndpointSlice],
    where: Where | str,
    family: str = "IPv4",
) -> list[ServicePort]:
    """Every port that the proxy serves, sorted by name; services that are not its business are left out."""
    place = Where(where) if isinstance(where, str) else where
    by_service: dict[ServiceKey, list[SlimSlice]] = {}
    for item in slices:
        slim = slim_slice(item, place.node)
        by_service.setdefault((slim.namespace, slim.service), []).append(slim)
    ports = []
    for service in filter(None, map(slim_service, services)):
        ports += ports_of(service, by_service.get((service.namespace, service.name), []), place, family)
    return sorted(ports, key=sort_key)


def ports_of(service: SlimService, slices: Iterable[SlimSlice], where: Where, family: str) -> list[ServicePort]:
    """What the proxy serves of one service in one family, sorted by name; nothing where it has no cluster IP of it."""
    address = next(iter(_of_family(service.cluster_ips, family)), "")
    own = [item for item in slices if item.family == family]
    if not address:
        return []
    return sorted((_service_port(service, port, address, own, where, family) for port in service.ports), key=sort_key)


def sort_key(port: ServicePort) -> tuple[str, str]:
    """The order of services in the shared chains."""
    return (port.full_name, port.protocol)


def health_ports(ports: Iterable[ServicePort]) -> HealthPorts:
    """The health-check ports of services with externalTrafficPolicy Local. What only serves until it has ended is no reason for a load
    balancer to send anybody here, and an address counts once, whatever ports it has (upstream: EndpointsMap.LocalReadyEndpoints)."""
    ready: dict[int, set[str]] = {}
    names: dict[int, ServiceKey] = {}
    for port in ports:
        if port.health_port and port.local_only:
            names[port.health_port] = (port.namespace, port.service)
            ready.setdefault(port.health_port, set()).update(port.local_ready)
    return {number: (*names[number], len(ready[number])) for number in names}


def _canonical(addresses: Iterable[str]) -> tuple[str, ...]:
    """As the kernel tells them, each once; what is no address is left out (upstream: proxy/util MapIPsByIPFamily)."""
    return tuple(dict.fromkeys(filter(None, map(canonical_address, addresses))))


def canonical_address(text: str) -> str:
    """The shortest form; "" where it is none. As in Go's ParseIPSloppy zeros before a number say nothing, and what IPv6 maps is IPv4."""
    try:
        parsed = ipaddress.ip_address(text if ":" in text else _without_zeros(text))
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return "" if "%" in text else str(mapped or parsed)


def _canonical_ranges(texts: Iterable[str]) -> tuple[str, ...]:
    """CIDRs that begin with their first address (upstream: proxy/util MapCIDRsByIPFamily)."""
    ranges: dict[str, None] = {}
    for text in map(str.strip, texts):
        address, slash, length = text.partition("/")
        try:
            plain = address if ":" in address else _without_zeros(address)
            if slash:
                ranges[str(ipaddress.ip_network(f"{plain}/{length}", strict=False))] = None
        except ValueError:
            continue
    return tuple(ranges)


def _without_zeros(text: str) -> str:
    return ".".join(part.lstrip("0") or part[:1] for part in text.split("."))


def _of_family(addresses: Iterable[str], family: str) -> tuple[str, ...]:
    """Addresses or CIDRs of one family."""
    return tuple(a for a in addresses if a and (":" in a) == (family == "IPv6"))


def is_served(service: core_v1.Service) -> bool:
    """Not headless, not external, not left to another proxy."""
    if service.spec.cluster_ip in ("", "None") or service.spec.type == "ExternalName":
        return False
    return not {LABEL_SERVICE_PROXY_NAME, IS_HEADLESS_SERVICE} & service.metadata.labels.keys()


def _service_port(
    service: SlimService,
    port: PortSpec,
    address: str,
    slices: Sequence[SlimSlice],
    where: Where,
    family: str,
) -> ServicePort:
    candidates = list(_candidates(port, slices))
    local = [c for c in candidates if c[1].local]
    return ServicePort(
        namespace=service.namespace,
        service=service.name,
        name=port.name,
        protocol=port.protocol,
        cluster_ip=address,
        port=port.port,
        node_port=port.node_port,
        external_ips=_of_family(service.external_ips, family),
        ingress_ips=_of_family(service.ingress_ips, family),
        source_ranges=_of_family(service.source_ranges, family),
        local_only=service.local_only,
        internal_local=service.internal_local,
        affinity_seconds=service.affinity_seconds,
        health_port=service.health_port,
        endpoints=_usable(_in_topology(candidates, where)),
        local_endpoints=_usable(local) if local else (),
        local_ready=frozenset(each.ip for _, each in local if each.ready) if service.health_port else frozenset(),
    )


_Candidate = tuple[int, SlimEndpoint]  # port, endpoint


def _usable(candidates: Sequence[_Candidate]) -> tuple[Endpoint, ...]:
    """Ready ones; where none is ready, those that still serve while they terminate (KEP-1669). Of slices that say the same one twice, as while it
    moves from one to the other, who knows that it is on this node is right."""
    local: dict[tuple[str, int], bool] = {}
    for port, each in [c for c in candidates if c[1].ready] or candidates:
        local[each.ip, port] = each.local or local.get((each.ip, port), False)
    return tuple(sorted((Endpoint(ip, port, here) for (ip, port), here in local.items()), key=str))


def _in_topology(candidates: list[_Candidate], where: Where) -> list[_Candidate]:
    """Those hinted for this node, else for its zone; all of them unless every ready one has a hint (proxy/topology.go)."""
    ready = [c for c in candidates if c[1].ready]
    if ready and all(each.nodes for _, each in ready):
        here = [c for c in ready if where.node in c[1].nodes]
        if here:
            return here
    if ready and where.zone and all(each.zones for _, each in ready):
        near = [c for c in ready if where.zone in c[1].zones]
        if near:
            return near
    return candidates


def _candidates(port: PortSpec, slices: Iterable[SlimSlice]) -> Iterator[_Candidate]:
    for item in slices:
        numbers = [number for name, protocol, number in item.ports if (name, protocol) == (port.name, port.protocol)]
        for endpoint in item.endpoints:
            for number in numbers:
                yield number, endpoint
