"""Links, addresses and routes over netlink (upstream: CNI's bridge plugin). Blocking: `bridge` calls it on a thread of its own."""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..runtime.types import RuntimeFailure

logger = logging.getLogger(__name__)

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
POD_INTERFACE = "eth0"
HAIRPIN = 1


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"entering a network namespace: {os.strerror(number)}")


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """The calling thread in another network namespace. The thread must be nobody else's."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        other = os.open(namespace, os.O_RDONLY)
        try:
            _setns(other)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def _route() -> Any:
    from pyroute2 import IPRoute  # 0.1 s to import: only where there are real pods

    return IPRoute()


def _index(route: Any, name: str) -> int:
    found = list(route.link_lookup(ifname=name))
    return int(found[0]) if found else 0


def _write(path: str, value: str) -> None:
    try:
        if Path(path).read_text().strip() != value:
            Path(path).write_text(value)
    except FileNotFoundError:
        logger.debug("%s is not there", path)  # a kernel without that module needs no such setting


class Links:
    """The host's end; keeps one netlink socket. Call it always from the same thread."""

    def __init__(self, bridge: str) -> None:
        self._bridge = bridge
        self._host: Any = None
        self._bridge_index = 0

    def _netlink(self) -> Any:
        if self._host is None:
            self._host = _route()
        return self._host

    def ensure_bridge(self, address: str, prefix: int, mtu: int) -> None:
        """The bridge, up, with the pods' gateway as its address; forwarding on."""
        from pyroute2 import NetlinkError

        route = self._netlink()
        index = _index(route, self._bridge)
        if not index:
            route.link("add", ifname=self._bridge, kind="bridge")
            index = _index(route, self._bridge)
        # A bridge takes the least of its ports' hardware addresses unless it has one of its own: pods would lose their gateway.
        octets = [0x02, *(int(part) for part in address.split("."))] if "." in address else [0x02, 0, 0, 0, 1]
        hardware = ":".join(f"{octet:02x}" for octet in [*octets, 0x01][:6])
        route.link("set", index=index, address=hardware, mtu=mtu, state="up")
        present = {dict(a["attrs"]).get("IFA_ADDRESS") for a in route.get_addr(index=index)}
        for other in present - {address, None}:
            if not str(other).startswith("fe80"):
                self._forget_address(route, index, str(other))
        if address not in present:
            try:
                route.addr("add", index=index, address=address, prefixlen=prefix)
            except NetlinkError as error:
                raise RuntimeFailure(f"address {address} for bridge {self._bridge}: {error}") from error
        self._bridge_index = index
        _write("/proc/sys/net/ipv4/ip_forward", "1")
        _write("/proc/sys/net/bridge/bridge-nf-call-iptables", "1")
        # So that a host port answers on the loopback address as well.
        _write(f"/proc/sys/net/ipv4/conf/{self._bridge}/route_localnet", "1")

    def _forget_address(self, route: Any, index: int, address: str) -> None:
        """The range of the node has changed."""
        for entry in route.get_addr(index=index):
            if dict(entry["attrs"]).get("IFA_ADDRESS") == address:
                route.addr("del", index=index, address=address, prefixlen=entry["prefixlen"])

    def connect(self, pid: int, host_name: str, address: str, prefix: int, gateway: str, mtu: int) -> None:
        """A veth from the bridge into the namespace of a process, with its address and routes."""
        route = self._netlink()
        namespace = f"/proc/{pid}/ns/net"
        old = _index(route, host_name)
        if old:
            route.link("del", index=old)  # of a try that did not come to its end
        descriptor = os.open(namespace, os.O_RDONLY)
        try:
            peer = {"ifname": POD_INTERFACE, "net_ns_fd": descriptor, "mtu": mtu}
            route.link("add", ifname=host_name, kind="veth", peer=peer, mtu=mtu)
        finally:
            os.close(descriptor)
        index = _index(route, host_name)
        route.link("set", index=index, master=self._bridge_index, state="up")
        route.brport("set", index=index, mode=HAIRPIN)
        with inside(namespace):
            _configure(address, prefix, gateway)

    def disconnect(self, host_name: str) -> None:
        """The host's end; the pod's goes with it."""
        route = self._netlink()
        index = _index(route, host_name)
        if index:
            route.link("del", index=index)

    def remove_bridge(self) -> None:
        self.disconnect(self._bridge)

    def members(self) -> list[str]:
        """The names of the links on the bridge."""
        route = self._netlink()
        index = _index(route, self._bridge)
        if not index:
            return []
        return [
            dict(link["attrs"])["IFLA_IFNAME"]
            for link in route.get_links()
            if dict(link["attrs"]).get("IFLA_MASTER") == index
        ]

    def close(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None


def _configure(address: str, prefix: int, gateway: str) -> None:
    """The pod's own end; the thread is in its namespace."""
    with _route() as route:
        route.link("set", index=_index(route, "lo"), state="up")
        index = _index(route, POD_INTERFACE)
        route.addr("add", index=index, address=address, prefixlen=prefix)
        route.link("set", index=index, state="up")
        route.route("add", dst="default", gateway=gateway)


def default_mtu(read: Callable[[], Any] = _route) -> int:
    """That of the interface with the default route; Ethernet's where there is none."""
    with read() as route:
        for entry in route.get_default_routes():
            index = dict(entry["attrs"]).get("RTA_OIF")
            if index:
                return int(dict(route.get_links(index)[0]["attrs"])["IFLA_MTU"])
    return 1500
