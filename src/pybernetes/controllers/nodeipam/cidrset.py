"""Which parts of a network are given to nodes; pure (upstream: pkg/controller/nodeipam/ipam/cidrset)."""

from __future__ import annotations

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_BITS = 16  # between cluster and node masks, so that the set of parts stays small


class Exhausted(Exception):
    """All parts of the network are given away: no further node gets one."""

    def __init__(self) -> None:
        super().__init__("CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range")


class CIDRSet:
    """A network cut into equal parts; one bit each."""

    def __init__(self, network: Network, node_mask: int) -> None:
        """ValueError where the mask does not fit the network."""
        if not network.prefixlen <= node_mask <= network.prefixlen + MAX_BITS:
            raise ValueError(
                f"new CIDR set failed; the node CIDR size is too big: mask {node_mask} of {network} "
                f"(from {network.prefixlen} to {network.prefixlen + MAX_BITS})"
            )
        self.network = network
        self._mask = node_mask
        self._count = 1 << (node_mask - network.prefixlen)
        self._size = 1 << (network.max_prefixlen - node_mask)
        self._used = 0
        self._next = 0

    def allocate(self) -> Network:
        """The next free part, going round; Exhausted."""
        free = ~self._used & ((1 << self._count) - 1)
        index = _lowest_bit(free >> self._next << self._next)
        if index < 0:
            index = _lowest_bit(free)
        if index < 0:
            raise Exhausted
        self._used |= 1 << index
        self._next = (index + 1) % self._count
        return self._part(index)

    def occupy(self, subnet: Network) -> None:
        """All parts that this network touches are taken; ValueError where it lies outside."""
        self._used |= self._bits(subnet)

    def release(self, subnet: Network) -> None:
        """All parts that this network touches are free again; ValueError where it lies outside."""
        self._used &= ~self._bits(subnet)

    def _part(self, index: int) -> Network:
        start = self.network.network_address + index * self._size
        return ipaddress.ip_network(f"{start}/{self._mask}")

    def _bits(self, subnet: Network) -> int:
        if subnet.version != self.network.version or not subnet.overlaps(self.network):
            raise ValueError(f"cidr {subnet} is out the range of cluster cidr {self.network}")
        base = int(self.network.network_address)
        first = max(int(subnet.network_address), base)
        last = min(int(subnet.broadcast_address), int(self.network.broadcast_address))
        lowest, highest = (first - base) // self._size, (last - base) // self._size
        return ((1 << (highest - lowest + 1)) - 1) << lowest


def _lowest_bit(number: int) -> int:
    """The place of the lowest 1, -1 if there is none; one pass in C, where a loop would make a copy a bit."""
    return (number & -number).bit_length() - 1
