"""What the allocators count, by upstream's names (upstream: pkg/registry/core/service/{ipallocator,portallocator}/metrics.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pybernetes.component.metrics import Registry

from . import ranges
from .ranges import Network, Span

IPS, PORTS = "kube_apiserver_clusterip_allocator", "kube_apiserver_nodeport_allocator"
STATIC, DYNAMIC = "static", "dynamic"  # asked for, or any


def size(network: Network) -> int:
    """Addresses that Services can have."""
    span = ranges.addresses(network)
    return span.last - span.first + 1


class AllocatorMetrics:
    """`addresses` (of a network) and `ports` say how many are given."""

    def __init__(
        self,
        registry: Registry,
        networks: Callable[[], Sequence[Network]],
        addresses: Callable[[Network], int],
        ports: Callable[[], int],
        span: Span,
    ) -> None:
        def given() -> Mapping[tuple[str, ...], float]:
            return {(str(network),): float(addresses(network)) for network in networks()}

        def left() -> Mapping[tuple[str, ...], float]:
            return {(str(network),): float(size(network) - addresses(network)) for network in networks()}

        def left_ports() -> Mapping[tuple[str, ...], float]:
            return {(): float(span.last - span.first + 1 - ports())}

        registry.gauge(
            f"{IPS}_allocated_ips", "Gauge measuring the number of allocated IPs for Services", ("cidr",), given
        )
        registry.gauge(
            f"{IPS}_available_ips", "Gauge measuring the number of available IPs for Services", ("cidr",), left
        )
        self.addresses = registry.counter(
            f"{IPS}_allocation_total", "Number of Cluster IPs allocations", ("cidr", "scope")
        )
        self.address_errors = registry.counter(
            f"{IPS}_allocation_errors_total", "Number of errors trying to allocate Cluster IPs", ("cidr", "scope")
        )
        help_text = "Gauge measuring the number of {} NodePorts for Services"
        registry.gauge(f"{PORTS}_allocated_ports", help_text.format("allocated"), (), lambda: {(): float(ports())})
        registry.gauge(f"{PORTS}_available_ports", help_text.format("available"), (), left_ports)
        self.ports = registry.counter(f"{PORTS}_allocation_total", "Number of NodePort allocations", ("scope",))
        self.port_errors = registry.counter(
            f"{PORTS}_allocation_errors_total", "Number of errors trying to allocate NodePort", ("scope",)
        )
