"""Three hosts, a kernel that remembers, and nodes: what flannel's tests share."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from pybernetes.api import types
from pybernetes.api.types import core_v1
from pybernetes.flannel.lease import Attributes, Lease, vxlan_data
from pybernetes.net.links import LinkError
from pybernetes.net.routes import VXLAN, Forwarding, Link, Neighbour, Route, Router

NETWORK = IPv4Network("10.244.0.0/16")
DEVICE, OVERLAY = 2, 7  # indexes: of eth0, of the first vxlan device that is made


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def lease(number: int, backend: str = "vxlan", node: str = "", public_ip: str = "", hardware: str = "") -> Lease:
    """Host N has 10.79.0.N and pods in 10.244.N.0/24."""
    data = vxlan_data(1, hardware or mac(number)) if backend == "vxlan" else "null"
    attributes = Attributes(IPv4Address(public_ip or f"10.79.0.{number}"), backend, data)
    return Lease(node or f"host{number}", IPv4Network(f"10.244.{number}.0/24"), attributes)


def node(number: int, **annotations: str) -> core_v1.Node:
    """With a podCIDR; keywords are annotations under the usual prefix (public_ip is public-ip)."""
    notes = {f"flannel.alpha.coreos.com/{name.replace('_', '-')}": value for name, value in annotations.items()}
    body = {
        "metadata": {"name": f"host{number}", "annotations": notes},
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
    }
    return types.decode(json.dumps(body).encode(), core_v1.Node)


def vxlan_node(number: int, **annotations: str) -> core_v1.Node:
    """As its flanneld leaves it."""
    told = {"backend_type": "vxlan", "backend_data": vxlan_data(1, mac(number)), "public_ip": f"10.79.0.{number}"}
    return node(number, **{**told, "kube_subnet_manager": "true", **annotations})


class Kernel(Router):
    """A router without a kernel: one route a destination, one MAC a neighbour, one host a MAC, as Linux has them."""

    def __init__(self) -> None:
        super().__init__()
        self.table: dict[str, Route] = {}
        self.arp: dict[tuple[int, str], Neighbour] = {}
        self.fdb: dict[tuple[int, str], Forwarding] = {}
        self.devices: dict[str, tuple[Link, VXLAN | None]] = {}
        self.address: dict[int, dict[str, int]] = {}
        self.calls: list[str] = []
        self.unreachable: set[str] = set()  # gateways
        self.far: set[str] = set()  # addresses behind a router
        self._next = OVERLAY

    def index(self, name: str) -> int:
        return self.devices[name][0].index if name in self.devices else 0

    def link(self, name: str) -> Link | None:
        return self.devices[name][0] if name in self.devices else None

    def vxlan(self, name: str) -> VXLAN | None:
        return self.devices[name][1] if name in self.devices else None

    def add_vxlan(self, device: VXLAN, mac: str, mtu: int) -> None:
        self.calls.append(f"add {device.name}")
        self.devices[device.name] = (Link(self._next, device.name, mtu, mac), replace(device, port=device.port or 8472))
        self.address[self._next] = {}
        self._next += 1

    def delete(self, index: int) -> None:
        self.calls.append(f"delete {index}")
        self.devices = {name: pair for name, pair in self.devices.items() if pair[0].index != index}
        self.table = {name: route for name, route in self.table.items() if route.device != index}
        self.arp = {name: entry for name, entry in self.arp.items() if entry.device != index}
        self.fdb = {name: entry for name, entry in self.fdb.items() if entry.device != index}

    def set_up(self, index: int, **attributes: str | int) -> None: ...

    def addresses(self, index: int) -> dict[str, int]:
        return dict(self.address.get(index, {}))

    def add_address(self, index: int, address: str, prefix: int) -> None:
        self.address.setdefault(index, {})[address] = prefix

    def delete_address(self, index: int, address: str, prefix: int) -> None:
        self.address[index].pop(address, None)

    def way_to(self, address: str) -> tuple[int, str, str]:
        return DEVICE, "10.79.0.1", "10.79.0.254" if address in self.far else ""

    def routes(self, device: int = 0, family: int = socket.AF_INET) -> set[Route]:
        found = {replace(r, onlink=False) for r in self.table.values() if device in (0, r.device)}
        return {route for route in found if (":" in route.destination) == (family == socket.AF_INET6)}

    def replace_route(self, entry: Route) -> None:
        self.calls.append(f"+{entry.destination}")
        if entry.gateway in self.unreachable:
            raise LinkError("netlink: (101, 'Network is unreachable')")
        self.table[entry.destination] = entry if entry.device else replace(entry, device=DEVICE)

    def delete_route(self, entry: Route) -> None:
        self.calls.append(f"-{entry.destination}")
        if self.table.get(entry.destination, entry).gateway == entry.gateway:
            self.table.pop(entry.destination, None)

    def replace_neighbour(self, neighbour: Neighbour) -> None:
        self.calls.append(f"+{neighbour.address}")
        self.arp[neighbour.device, neighbour.address] = neighbour

    def delete_neighbour(self, neighbour: Neighbour) -> None:
        self.calls.append(f"-{neighbour.address}")
        self.arp.pop((neighbour.device, neighbour.address), None)

    def neighbours(self, device: int, family: int = socket.AF_INET) -> set[Neighbour]:
        found = {entry for entry in self.arp.values() if entry.device == device}
        return {entry for entry in found if (":" in entry.address) == (family == socket.AF_INET6)}

    def replace_forwarding(self, entry: Forwarding) -> None:
        self.calls.append(f"+{entry.mac}")
        self.fdb[entry.device, entry.mac] = entry

    def delete_forwarding(self, entry: Forwarding) -> None:
        self.calls.append(f"-{entry.mac}")
        self.fdb.pop((entry.device, entry.mac), None)

    def forwardings(self, device: int) -> set[Forwarding]:
        return {entry for entry in self.fdb.values() if entry.device == device}
