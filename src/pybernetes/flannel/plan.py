"""What the kernel is to hold for the lease of another host (upstream: handleSubnetEvents of pkg/backend/vxlan and route_network.go)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pybernetes.net.routes import Forwarding, Neighbour, Route

from .lease import Lease, Network, vtep_mac


@dataclass(frozen=True, slots=True)
class Hop:
    """What the udp backend's own table holds: the host to which packets for a subnet are sent."""

    subnet: Network
    host: str


Entry = Route | Neighbour | Forwarding | Hop
Key = tuple[str, str]


def key(entry: Entry) -> Key:
    """Of two entries with the same key the kernel holds one: the later takes the place of the earlier."""
    match entry:
        case Route(destination):
            return ("route", destination)
        case Neighbour(address):
            return ("neighbour", address)
        case Forwarding(mac):
            return ("forwarding", mac)
        case Hop(subnet):
            return ("hop", str(subnet))


def by_gateway(lease: Lease, device: int) -> tuple[Entry, ...]:
    """The other host is in reach of the device (0: any) and passes packets on itself: host-gw, and vxlan's DirectRouting."""
    return (Route(str(lease.subnet), str(lease.attributes.public_ip), device),)


def by_vxlan(lease: Lease, device: int) -> tuple[Entry, ...]:
    """In the order in which they are to be there: with the route, packets come that need the rest. LeaseError.

    The gateway is the address of the other host's device, the first of its subnet: nobody asks for it, since its hardware address is
    told, nor is it within any network of this one (onlink).
    """
    gateway = str(lease.subnet.network_address)
    mac = vtep_mac(lease.attributes.backend_data)
    return (
        Neighbour(gateway, mac, device),
        Forwarding(mac, str(lease.attributes.public_ip), device),
        Route(str(lease.subnet), gateway, device, onlink=True),
    )


def difference(before: Iterable[Entry], after: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """(what goes, what comes): what goes is in the order to remove it, routes first; what is replaced only comes."""
    later = {key(entry): entry for entry in after}
    earlier = {key(entry): entry for entry in before}
    goes = [entry for name, entry in reversed(earlier.items()) if name not in later]
    comes = [entry for name, entry in later.items() if earlier.get(name) != entry]
    return goes, comes
