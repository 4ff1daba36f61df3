"""Services and EndpointSlices as the proxy sees them: ports and their ready endpoints (upstream: pkg/proxy/service.go, endpoints.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.api.wellknown import IS_HEADLESS_SERVICE, LABEL_SERVICE_NAME, LABEL_SERVICE_PROXY_NAME

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
class Where:
    """The node that the proxy runs on; the zone is its label topology.kubernetes.io/zone."""

    node: str
    zone: str = ""


def service_ports(
    services: Iterable[core_v1.Service],
    slices: Iterable[discovery_v1.EndpointSlice],
    where: Where | str,
    family: str = "IPv4",
) -> list[ServicePort]:
    """Every port that the proxy serves, sorted by name; services that are not its business are left out."""
    place = Where(where) if isinstance(where, str) else where
    by_service: dict[tuple[str, str], list[discovery_v1.EndpointSlice]] = {}
    for endpoint_slice in slices:
        owner = endpoint_slice.metadata.labels.get(LABEL_SERVICE_NAME)
        if owner and endpoint_slice.address_type == family:
            by_service.setdefault((endpoint_slice.metadata.namespace, owner), []).append(endpoint_slice)
    ports = []
    for service in services:
        address = cluster_ip(service, family) if is_served(service) else ""
        if address:
            own = by_service.get((service.metadata.namespace, service.metadata.name), [])
            ports += [_service_port(service, port, address, own, place, family) for port in service.spec.ports]
    return sorted(ports, key=sort_key)


def sort_key(port: ServicePort) -> tuple[str, str]:
    """The order of services in the shared chains."""
    return (port.full_name, port.protocol)


def health_ports(ports: Iterable[ServicePort]) -> HealthPorts:
    """The health-check ports of services with externalTrafficPolicy Local."""
    return {
        port.health_port: (port.namespace, port.service, len(port.local_endpoints))
        for port in ports
        if port.health_port and port.local_only
    }


def cluster_ip(service: core_v1.Service, family: str) -> str:
    """The service's cluster IP of a family, "" if it has none."""
    return next(iter(_of_family((service.spec.cluster_ip, *service.spec.cluster_ips), family)), "")


def _of_family(addresses: Iterable[str], family: str) -> tuple[str, ...]:
    """Addresses or CIDRs of one family."""
    return tuple(a for a in addresses if a and (":" in a) == (family == "IPv6"))


def is_served(service: core_v1.Service) -> bool:
    """Not headless, not external, not left to another proxy."""
    if service.spec.cluster_ip in ("", "None") or service.spec.type == "ExternalName":
        return False
    return not {LABEL_SERVICE_PROXY_NAME, IS_HEADLESS_SERVICE} & service.metadata.labels.keys()


def _service_port(
    service: core_v1.Service,
    port: core_v1.ServicePort,
    address: str,
    slices: list[discovery_v1.EndpointSlice],
    where: Where,
    family: str,
) -> ServicePort:
    spec = service.spec
    affinity = 0
    if spec.session_affinity == "ClientIP":
        config = spec.session_affinity_config
        client_ip = config.client_ip if config else None
        affinity = (client_ip.timeout_seconds if client_ip else None) or DEFAULT_AFFINITY_SECONDS
    ingress = service.status.load_balancer.ingress if spec.type == "LoadBalancer" else []
    # External addresses make any service reachable from outside, whatever its type (apihelpers.ExternallyAccessible).
    external = spec.type in ("NodePort", "LoadBalancer") or bool(spec.type == "ClusterIP" and spec.external_ips)
    candidates = _candidates(port, slices, where)
    return ServicePort(
        namespace=service.metadata.namespace,
        service=service.metadata.name,
        name=port.name,
        protocol=(port.protocol or "TCP").lower(),
        cluster_ip=address,
        port=port.port,
        node_port=port.node_port,
        external_ips=_of_family(spec.external_ips, family),
        ingress_ips=_of_family((i.ip for i in ingress if i.ip_mode != "Proxy"), family),
        source_ranges=_of_family((r.strip() for r in spec.load_balancer_source_ranges), family),
        local_only=external and spec.external_traffic_policy == "Local",
        internal_local=spec.internal_traffic_policy == "Local",
        affinity_seconds=affinity,
        health_port=spec.health_check_node_port if spec.type == "LoadBalancer" else 0,
        endpoints=_usable(_in_topology(candidates, where)),
        local_endpoints=_usable([c for c in candidates if c.endpoint.local]),
    )


@dataclass(frozen=True, slots=True)
class _Candidate:
    endpoint: Endpoint
    ready: bool  # else it serves while it terminates
    zones: frozenset[str]  # hints: where it should be used
    nodes: frozenset[str]


def _usable(candidates: Sequence[_Candidate]) -> tuple[Endpoint, ...]:
    """Ready ones; where none is ready, those that still serve while they terminate (KEP-1669)."""
    ready = [c for c in candidates if c.ready] or candidates
    return tuple(sorted({c.endpoint for c in ready}, key=str))


def _in_topology(candidates: list[_Candidate], where: Where) -> list[_Candidate]:
    """Those hinted for this node, else for its zone; all of them unless every ready one has a hint (proxy/topology.go)."""
    ready = [c for c in candidates if c.ready]
    if ready and all(c.nodes for c in ready):
        here = [c for c in ready if where.node in c.nodes]
        if here:
            return here
    if ready and where.zone and all(c.zones for c in ready):
        near = [c for c in ready if where.zone in c.zones]
        if near:
            return near
    return candidates


def _candidates(port: core_v1.ServicePort, slices: list[discovery_v1.EndpointSlice], where: Where) -> list[_Candidate]:
    candidates = []
    for endpoint_slice in slices:
        numbers = [
            p.port
            for p in endpoint_slice.ports or ()
            if (p.name or "") == port.name and (p.protocol or "TCP") == (port.protocol or "TCP") and p.port
        ]
        for item in endpoint_slice.endpoints or ():
            conditions = item.conditions
            ready = conditions is None or conditions.ready is not False
            serves = conditions is not None and bool(conditions.serving) and bool(conditions.terminating)
            if not (ready or serves) or not item.addresses:
                continue
            zones = frozenset(h.name for h in item.hints.for_zones) if item.hints else frozenset()
            nodes = frozenset(h.name for h in item.hints.for_nodes) if item.hints else frozenset()
            # Upstream, too, uses the first address only.
            candidates += [
                _Candidate(Endpoint(item.addresses[0], number, item.node_name == where.node), ready, zones, nodes)
                for number in numbers
            ]
    return candidates
