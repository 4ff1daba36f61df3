"""Ranges of addresses and ports: what is in them, and in which order free ones are tried.

Upstream: pkg/registry/core/service/ipallocator, portallocator. What is given without being asked for comes from the upper part first
(KEP-3070, KEP-3668), so that numbers chosen by people, which tend to be low, stay free.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MIN_OFFSET, MAX_ADDRESS_OFFSET, MAX_PORT_OFFSET = 16, 256, 128
ADDRESS_STEP, PORT_STEP = 16, 32  # the lower part is a 16th, or 32nd, of the range, within the limits above
MAX_HOST_BITS = 64  # upstream's: an IPv6 range may be no larger


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `first` to `last`, both included; those below `middle` are given last."""

    first: int
    middle: int
    last: int

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number <= self.last


def _offset(size: int, step: int, most: int) -> int:
    return 0 if size < MIN_OFFSET else min(max(MIN_OFFSET, size // step), most)


def addresses(network: Network) -> Span:
    """The addresses of a network that Services may have: neither the network's own nor, in IPv4, the broadcast address."""
    if network.prefixlen < network.max_prefixlen - MAX_HOST_BITS:
        raise ValueError(
            f"{network}: the shortest prefix of a service range is {network.max_prefixlen - MAX_HOST_BITS}"
        )
    last = int(network.broadcast_address) - (1 if network.version == 4 else 0)
    first = int(network.network_address) + 1
    offset = _offset(network.num_addresses - (2 if network.version == 4 else 1), ADDRESS_STEP, MAX_ADDRESS_OFFSET)
    return Span(first, first + offset, last)


def ports(first: int, last: int) -> Span:
    """Node ports."""
    return Span(first, first + _offset(last - first + 1, PORT_STEP, MAX_PORT_OFFSET), last)


def parse_ports(text: str) -> Span:
    """`30000-32767`, `30000+2767` or a single port; ValueError."""
    if "+" in text:
        base, _, size = text.partition("+")
        low, high = int(base), int(base) + int(size)
    else:
        start, dash, end = text.partition("-")
        low, high = int(start), int(end if dash else start)
    if not 0 < low <= high <= 65535:
        raise ValueError(f"{text!r} is no range of ports: give FIRST-LAST between 1 and 65535")
    return ports(low, high)


def parse_networks(text: str) -> list[Network]:
    """One network, or one of each family with a comma between; ValueError."""
    networks = [ipaddress.ip_network(part.strip()) for part in text.split(",")]
    if len(networks) > 2 or len({network.version for network in networks}) != len(networks):
        raise ValueError(f"{text!r}: give one range, or one of IPv4 and one of IPv6")
    for network in networks:
        addresses(network)  # refuses ranges that are too large
    return networks
