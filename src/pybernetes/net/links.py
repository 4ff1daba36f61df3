"""Links, addresses and routes over netlink, and network namespaces. Blocking: for a thread of their own."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

CLONE_NEWNET = 0x40000000
HAIRPIN = 1  # IFLA_BRPORT_MODE


class LinkError(Exception):
    """The kernel refused; the text is its own."""


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """The calling thread in another network namespace (a path such as /proc/PID/ns/net). The thread must be nobody else's. OSError."""
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


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"entering a network namespace: {os.strerror(number)}")


def pyroute2() -> Any:
    """The package, 0.1 s to import: only where there are real pods. LinkError where it is not installed."""
    try:
        import pyroute2
    except ModuleNotFoundError as error:
        if error.name != "pyroute2":
            raise
        raise LinkError("netlink is spoken by the package pyroute2: pip install 'pybernetes[node]'") from error
    return pyroute2


@contextmanager
def unless(*numbers: int) -> Iterator[None]:
    """These answers of the kernel are no errors."""
    refused = pyroute2().NetlinkError
    try:
        yield
    except refused as error:
        if error.code not in numbers:
            raise


class Netlink:
    """One socket, opened at the first use in the network namespace that the thread is in then. Call it always from the same thread.

    Every method may raise LinkError. Links are named by their index, 0 is none.
    """

    def __init__(self) -> None:
        self._socket: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """It may be used again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @contextmanager
    def _route(self) -> Iterator[Any]:
        package = pyroute2()
        if self._socket is None:
            self._socket = package.IPRoute()
        try:
            yield self._socket
        except package.NetlinkError as error:
            raise LinkError(f"netlink: {error}") from error

    def index(self, name: str) -> int:
        """0 where there is no such link."""
        with self._route() as route:
            indexes = list(route.link_lookup(ifname=name))
        return int(indexes[0]) if indexes else 0

    def ensure_bridge(self, name: str) -> int:
        """The index of the bridge, which is made if it is missing."""
        index = self.index(name)
        if index:
            return index
        with self._route() as route:
            route.link("add", ifname=name, kind="bridge")
        return self.index(name)

    def add_veth(self, name: str, peer: str, namespace: str, mtu: int) -> int:
        """A pair: `name` here, its `peer` in the namespace of the path. The index of the end here. OSError for the namespace."""
        descriptor = os.open(namespace, os.O_RDONLY)
        try:
            with self._route() as route:
                other = {"ifname": peer, "net_ns_fd": descriptor, "mtu": mtu}
                route.link("add", ifname=name, kind="veth", peer=other, mtu=mtu)
        finally:
            os.close(descriptor)
        return self.index(name)

    def set_up(self, index: int, **attributes: str | int) -> None:
        """Up, with attributes of the link: mtu, address (of the hardware), master (an index)."""
        with self._route() as route:
            route.link("set", index=index, state="up", **attributes)

    def set_hairpin(self, index: int) -> None:
        """A port of a bridge may get back what it sent."""
        with self._route() as route:
            route.brport("set", index=index, mode=HAIRPIN)

    def delete(self, index: int) -> None:
        """A link, and the other end of it. One that is gone is no error: a veth goes with its namespace, at the kernel's leisure."""
        with self._route() as route, unless(errno.ENODEV):
            route.link("del", index=index)

    def members(self, bridge: int) -> list[str]:
        """The names of the links on it."""
        with self._route() as route:
            links = [dict(link["attrs"]) for link in route.get_links()]
        return [str(link["IFLA_IFNAME"]) for link in links if link.get("IFLA_MASTER") == bridge]

    def addresses(self, index: int) -> dict[str, int]:
        """Address -> length of its prefix."""
        with self._route() as route:
            listed = [
                (dict(entry["attrs"]).get("IFA_ADDRESS"), entry["prefixlen"]) for entry in route.get_addr(index=index)
            ]
        return {str(address): int(prefix) for address, prefix in listed if address is not None}

    def add_address(self, index: int, address: str, prefix: int) -> None:
        with self._route() as route:
            route.addr("add", index=index, address=address, prefixlen=prefix)

    def delete_address(self, index: int, address: str, prefix: int) -> None:
        """One that is gone is no error."""
        with self._route() as route, unless(errno.ENODEV, errno.EADDRNOTAVAIL):
            route.addr("del", index=index, address=address, prefixlen=prefix)

    def add_default_route(self, gateway: str) -> None:
        with self._route() as route:
            route.route("add", dst="default", gateway=gateway)

    def default_mtu(self) -> int:
        """That of the link with the default route, 0 where there is none."""
        with self._route() as route:
            for entry in route.get_default_routes():
                index = dict(entry["attrs"]).get("RTA_OIF")
                if index:
                    return int(dict(route.get_links(index)[0]["attrs"])["IFLA_MTU"])
        return 0
