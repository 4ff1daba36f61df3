"""Which subnets hosts may take where nobody else allots them (upstream: CheckNetworkConfig, allocateSubnet, MakeSubnetKey)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from .config import NOWHERE, ConfigError, Network, NetworkConfig

MOST_CANDIDATES = 100  # of which one is drawn: hosts that start together seldom want the same
SMALLEST, USUAL_LENGTH, USUAL_NETWORK = 28, 24, 22
_KEY = re.compile(r"(\d+\.\d+\.\d+\.\d+)-(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Range:
    """All subnets of a length from the first to the last, by their addresses."""

    length: int
    first: IPv4Address
    last: IPv4Address

    def __contains__(self, subnet: Network) -> bool:
        if isinstance(subnet, IPv6Network):
            return False
        return subnet.prefixlen == self.length and self.first <= subnet.network_address <= self.last


def allotted(config: NetworkConfig) -> Range:
    """What the configuration says, with upstream's defaults: the first subnet is left out, as its address is the network's. ConfigError."""
    network = config.network
    if config.ipv6_network is not None:
        raise ConfigError("EnableIPv6: leases in etcd are of IPv4, for both there is --kube-subnet-mgr")
    if network == NOWHERE:
        raise ConfigError("please define a correct Network parameter in the flannel config")
    length = _length(config)
    size = 1 << (32 - length)
    first = _bound("SubnetMin", config.subnet_min, network.network_address + size, network, size)
    last = _bound("SubnetMax", config.subnet_max, network.broadcast_address + 1 - size, network, size)
    return Range(length, first, last)


def _length(config: NetworkConfig) -> int:
    length, network = config.subnet_len, config.network.prefixlen
    if length:
        if length > 30:  # an address for the host's bridge and one for its device
            raise ConfigError("SubnetLen must be less than /31")
        if length < network + 2:
            raise ConfigError("network must be able to accommodate at least four subnets")
        return length
    if network > SMALLEST:
        raise ConfigError("network is too small. Minimum useful network prefix is /28")
    return USUAL_LENGTH if network <= USUAL_NETWORK else network + 2


def _bound(
    name: str, address: IPv4Address | None, default: IPv4Address, network: IPv4Network, size: int
) -> IPv4Address:
    if address is None or not int(address):
        return default
    if address not in network:
        raise ConfigError(f"{name} is not in the range of the Network")
    if int(address) % size:
        raise ConfigError(f"{name} is not on a SubnetLen boundary: {address}")
    return address


def candidates(range_: Range, taken: Collection[Network]) -> list[IPv4Network]:
    """The first subnets that overlap none that is taken, at most MOST_CANDIDATES; work grows as what is taken."""
    size = 1 << (32 - range_.length)
    blocked = sorted((int(subnet.network_address), int(subnet.broadcast_address)) for subnet in taken)
    free: list[IPv4Network] = []
    place, position = int(range_.first), 0
    while place <= int(range_.last) and len(free) < MOST_CANDIDATES:
        while position < len(blocked) and blocked[position][1] < place:
            position += 1
        if position < len(blocked) and blocked[position][0] < place + size:
            end = blocked[position][1] + 1
            place += max(1, -((place - end) // size)) * size  # the next boundary behind it
            continue
        free.append(IPv4Network((place, range_.length)))
        place += size
    return free


def key(subnet: Network) -> str:
    """10.5.34.0-24."""
    return f"{subnet.network_address}-{subnet.prefixlen}"


def parse_key(text: str) -> IPv4Network | None:
    """The subnet of a key's last part, None of what is none."""
    match = _KEY.fullmatch(text.rpartition("/")[2])
    try:
        return IPv4Network(f"{match[1]}/{match[2]}", strict=False) if match else None
    except ValueError:
        return None
