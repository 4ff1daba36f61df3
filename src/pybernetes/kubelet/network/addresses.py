"""Which pod has which address of the node's range (upstream: containernetworking plugins, ipam/host-local)."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from ..runtime.types import PortMapping, RuntimeFailure


@dataclass(frozen=True, slots=True)
class Lease:
    """An address in use."""

    address: str
    sandbox_id: str
    pod_uid: str
    ports: tuple[PortMapping, ...] = ()


def next_free(cidr: str, used: Collection[str], last: str) -> str:
    """The first free address after the last one given, round the range; its first two are the network's and the bridge's."""
    network = ipaddress.ip_network(cidr)
    base, count = int(network.network_address), network.num_addresses
    first, end = 2, count - 1 if network.version == 4 else count
    start = int(ipaddress.ip_address(last)) - base + 1 if last else first
    size = end - first
    for step in range(size):
        offset = first + (start - first + step) % size
        address = str(network.network_address + offset)
        if address not in used:
            return address
    raise RuntimeFailure(f"no IP addresses available in range set: {network[first]}-{network[end - 1]}")


def gateway(cidr: str) -> str:
    """The bridge's own address."""
    return str(ipaddress.ip_network(cidr)[1])


class AddressBook:
    """Leases as files named by their address, so that a restarted kubelet knows them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.leases: dict[str, Lease] = {}  # by sandbox id
        self._last = ""
        if directory.is_dir():
            for path in directory.iterdir():
                if path.name == "last":
                    self._last = path.read_text()
                elif not path.name.endswith(".tmp"):
                    lease = _decode(path.read_text())
                    self.leases[lease.sandbox_id] = lease

    def lease(self, cidr: str, sandbox_id: str, pod_uid: str, ports: tuple[PortMapping, ...]) -> Lease:
        """The sandbox's lease, a new one where it has none."""
        lease = self.leases.get(sandbox_id)
        network = ipaddress.ip_network(cidr)
        if lease is not None and ipaddress.ip_address(lease.address) in network:
            return lease
        last = self._last if self._last and ipaddress.ip_address(self._last) in network else ""
        address = next_free(cidr, {lease.address for lease in self.leases.values()}, last)
        lease = self.leases[sandbox_id] = Lease(address, sandbox_id, pod_uid, ports)
        self._last = address
        self._directory.mkdir(parents=True, exist_ok=True)
        self._put(address, json.dumps(asdict(lease)))
        self._put("last", address)
        return lease

    def release(self, sandbox_id: str) -> Lease | None:
        lease = self.leases.pop(sandbox_id, None)
        if lease is not None:
            (self._directory / lease.address).unlink(missing_ok=True)
        return lease

    def _put(self, name: str, text: str) -> None:
        fresh = self._directory / f"{name}.tmp"
        fresh.write_text(text)
        fresh.rename(self._directory / name)


def _decode(text: str) -> Lease:
    decoded = json.loads(text)
    decoded["ports"] = tuple(PortMapping(**port) for port in decoded["ports"])
    return Lease(**decoded)
