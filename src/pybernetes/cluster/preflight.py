"""What can be told before anything starts: routes in the way of the pods' network, and disks that are full. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .settings import ClusterConfig

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What the kubelet's bridge and the ends of pods' links are called: a cluster that is up has routes, too.
OWN_INTERFACES = "pyb"
ENOUGH_BYTES = 256 << 20  # below it the first write of the store, an image or a log soon fails, somewhere in the middle
LAST_TRIED = 254


@dataclass(frozen=True, slots=True)
class Route:
    """To a network, by an interface."""

    network: Network
    interface: str

    def __str__(self) -> str:
        return f"{self.network} dev {self.interface}"


def routes_in_the_way(settings: ClusterConfig, routes: Iterable[Route], is_new: bool) -> list[str]:
    """Why the pods' range cannot be used, with what to do.

    A route to a part of the range, or to all of it, takes the packets of pods: it is as long as ours, or longer. A shorter one, such
    as a VPN's to all of 10.0.0.0/8, gives way. Plugins make routes of their own, which stay.
    """
    if settings.hollow or settings.uses_cni:
        return []
    pods = ipaddress.ip_network(settings.pod_cidr)
    others = [route for route in routes if not route.interface.startswith(OWN_INTERFACES)]
    inside = [route for route in others if _lies_in(route.network, pods)]
    if not inside:
        return []
    other = _free_range(settings, [route.network for route in others])
    instead = (
        f"choose another range, as --pod-cidr={other}"
        if is_new
        else "the range of a cluster cannot change, so start over with `pybernetes down --purge`"
    )
    return [
        f"the route {route} leads packets for pods elsewhere, their range is {pods}: {instead}, "
        f"or take it away (ip route del {route}; another cluster's: end that)"
        for route in inside
    ]


def hidden_by_services(settings: ClusterConfig, routes: Iterable[Route]) -> list[str]:
    """Networks whose hosts a Service may hide: nothing of the cluster fails for it, so that it is only told."""
    if settings.hollow:
        return []
    services = ipaddress.ip_network(settings.service_cidr)
    return [
        f"the route {route} lies within the services' range {services}: a Service may get the address of a host there "
        "(--service-cidr chooses another range for a new cluster)"
        for route in routes
        if _lies_in(route.network, services)
    ]


def full_disks(free: Mapping[str, int]) -> list[str]:
    """By directory, the bytes that are free there."""
    return [
        f"only {size >> 20} MiB are free at {path}, want {ENOUGH_BYTES >> 20}: make room"
        for path, size in free.items()
        if size < ENOUGH_BYTES
    ]


def parse_routes(ipv4: str, ipv6: str = "") -> list[Route]:
    """The kernel's /proc/net/route and /proc/net/ipv6_route, without routes to the whole world, to links and to groups."""
    routes: list[Route] = []
    for line in ipv4.splitlines()[1:]:
        fields = line.split()
        # As the machine has them in memory: little-endian on all that we run on.
        destination, mask = (int.from_bytes(bytes.fromhex(fields[i])[::-1], "big") for i in (1, 7))
        routes.append(Route(ipaddress.ip_network((destination, mask.bit_count())), fields[0]))
    for line in ipv6.splitlines():
        fields = line.split()
        network = ipaddress.IPv6Network((bytes.fromhex(fields[0]), int(fields[1], 16)))
        if not network.is_link_local and not network.is_multicast and fields[-1] != "lo":
            routes.append(Route(network, fields[-1]))
    return [route for route in routes if route.network.prefixlen > 0]


def _lies_in(one: Network, other: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return one.subnet_of(other)
    return isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network) and one.subnet_of(other)


def _free_range(settings: ClusterConfig, taken: Sequence[Network]) -> str:
    """The next one after 10.244.0.0/16 that neither a route nor the services have."""
    services = ipaddress.ip_network(settings.service_cidr)
    for number in range(245, LAST_TRIED + 1):
        candidate = ipaddress.ip_network(f"10.{number}.0.0/16")
        others = [network for network in (*taken, services) if network.version == 4]
        if not any(candidate.overlaps(network) and network.prefixlen > 8 for network in others):
            return str(candidate)
    return "172.30.0.0/16"
