"""Services and EndpointSlices as the proxy sees them: ports and their ready endpoints (upstream: pkg/proxy/service.go, endpoints.go)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pybernetes.api.types import core_v1, discovery_v1

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
SERVICE_LABEL = "kubernetes.io/service-name"
DEFAULT_AFFINITY_SECONDS = 10800


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
    affinity_seconds: int  # 0: none
    health_port: int
    endpoints: tuple[Endpoint, ...]

    @property
    def full_name(self) -> str:
        """`namespace/service:port`, without the colon where the port has no name."""
        return f"{self.namespace}/{self.service}:{self.name}" if self.name else f"{self.namespace}/{self.service}"

    @property
    def local_endpoints(self) -> tuple[Endpoint, ...]:
        """Those on this node."""
        return tuple(e for e in self.endpoints if e.local)


def service_ports(
    services: Iterable[core_v1.Service], slices: Iterable[discovery_v1.EndpointSlice], node: str, family: str = "IPv4"
) -> list[ServicePort]:
    """Every port that the proxy serves, sorted by name; services that are not its business are left out."""
    by_service: dict[tuple[str, str], list[discovery_v1.EndpointSlice]] = {}
    for endpoint_slice in slices:
        owner = endpoint_slice.metadata.labels.get(SERVICE_LABEL)
        if owner and endpoint_slice.address_type == family:
            by_service.setdefault((endpoint_slice.metadata.namespace, owner), []).append(endpoint_slice)
    ports = [
        _service_port(service, port, by_service.get((service.metadata.namespace, service.metadata.name), []), node)
        for service in services
        if is_served(service)
        for port in service.spec.ports
    ]
    return sorted(ports, key=lambda p: (p.full_name, p.protocol))


def is_served(service: core_v1.Service) -> bool:
    """Not headless, not external, not left to another proxy."""
    if service.spec.cluster_ip in ("", "None") or service.spec.type == "ExternalName":
        return False
    return not {PROXY_NAME_LABEL, HEADLESS_LABEL} & service.metadata.labels.keys()


def _service_port(
    service: core_v1.Service, port: core_v1.ServicePort, slices: list[discovery_v1.EndpointSlice], node: str
) -> ServicePort:
    spec = service.spec
    affinity = 0
    if spec.session_affinity == "ClientIP":
        config = spec.session_affinity_config
        client_ip = config.client_ip if config else None
        affinity = (client_ip.timeout_seconds if client_ip else None) or DEFAULT_AFFINITY_SECONDS
    external = spec.type in ("NodePort", "LoadBalancer")
    ingress = service.status.load_balancer.ingress if spec.type == "LoadBalancer" else []
    return ServicePort(
        namespace=service.metadata.namespace,
        service=service.metadata.name,
        name=port.name,
        protocol=(port.protocol or "TCP").lower(),
        cluster_ip=spec.cluster_ip,
        port=port.port,
        node_port=port.node_port,
        external_ips=tuple(spec.external_ips),
        ingress_ips=tuple(i.ip for i in ingress if i.ip and i.ip_mode != "Proxy"),
        source_ranges=tuple(r.strip() for r in spec.load_balancer_source_ranges),
        local_only=external and spec.external_traffic_policy == "Local",
        affinity_seconds=affinity,
        health_port=spec.health_check_node_port if spec.type == "LoadBalancer" else 0,
        endpoints=tuple(sorted(_endpoints(port, slices, node), key=str)),
    )


def _endpoints(port: core_v1.ServicePort, slices: list[discovery_v1.EndpointSlice], node: str) -> set[Endpoint]:
    """Ready ones; where none is ready, those that still serve while they terminate (KEP-1669)."""
    ready: set[Endpoint] = set()
    terminating: set[Endpoint] = set()
    for endpoint_slice in slices:
        numbers = [
            p.port
            for p in endpoint_slice.ports or ()
            if (p.name or "") == port.name and (p.protocol or "TCP") == (port.protocol or "TCP") and p.port
        ]
        for item in endpoint_slice.endpoints or ():
            conditions = item.conditions
            is_ready = conditions is None or conditions.ready is not False
            serves = conditions is not None and bool(conditions.serving) and bool(conditions.terminating)
            chosen = ready if is_ready else terminating if serves else None
            if chosen is None or not item.addresses:
                continue
            # Upstream, too, uses the first address only.
            chosen.update(Endpoint(item.addresses[0], number, item.node_name == node) for number in numbers)
    return ready or terminating
