"""Pools of addresses: CIDRs, and ranges as 192.0.2.10-192.0.2.20."""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable
from dataclasses import dataclass


class PoolError(ValueError):
    """A pool that cannot be; one line."""


@dataclass(frozen=True, slots=True)
class Pools:
    """`ranges` are (IP version, first, last), in the order in which they are used."""

    ranges: tuple[tuple[int, int, int], ...]

    def __contains__(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address)
        return any(v == parsed.version and first <= int(parsed) <= last for v, first, last in self.ranges)

    def free(self, version: int, taken: Container[str]) -> str | None:
        """The first address that nobody has; the work is as much as there are taken ones."""
        make = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        for own, first, last in self.ranges:
            if own == version:
                for number in range(first, last + 1):
                    if (address := str(make(number))) not in taken:
                        return address
        return None


def parse(texts: Iterable[str]) -> Pools:
    """Of a flag's words. PoolError."""
    ranges: list[tuple[int, int, int]] = []
    for text in texts:
        version, first, last = _range(text.strip())
        for other in ranges:
            if other[0] == version and first <= other[2] and other[1] <= last:
                raise PoolError(f"{text}: overlaps another pool")
        ranges.append((version, first, last))
    return Pools(tuple(ranges))


def _range(text: str) -> tuple[int, int, int]:
    start, dash, end = text.partition("-")
    try:
        if not dash:
            network = ipaddress.ip_network(text)
            return network.version, int(network.network_address), int(network.broadcast_address)
        first, last = ipaddress.ip_address(start.strip()), ipaddress.ip_address(end.strip())
    except ValueError as error:
        raise PoolError(f"{error}: want a CIDR, or FIRST-LAST") from None
    if first.version != last.version or int(first) > int(last):
        raise PoolError(f"{text}: the last address comes before the first")
    return first.version, int(first), int(last)
