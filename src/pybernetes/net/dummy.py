"""An interface that leads nowhere and makes its addresses this host's own. Blocking."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Iterator

from . import netlink
from .netlink import Connection
from .netlinkmessages import CREATE, DUMP, EXCLUSIVE, Request, attribute, attributes, nested, text

_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR, _GETADDR = 16, 17, 18, 20, 21, 22
_NAME, _LINKINFO, _KIND = 3, 18, 1
_ADDRESS, _LOCAL = 1, 2


def parse_address(body: bytes) -> tuple[int, str] | None:
    """Index of the interface, and the address, of one answer to RTM_GETADDR."""
    if len(body) < 8:
        return None
    values = attributes(body[8:])
    data = values.get(_LOCAL) or values.get(_ADDRESS, b"")
    if len(data) not in (4, 16):
        return None
    return struct.unpack_from("=I", body, 4)[0], str(ipaddress.ip_address(data))


def address_request(kind: int, index: int, address: str) -> Request:
    """Adds or deletes a single address without a network."""
    packed = ipaddress.ip_address(address).packed
    family = socket.AF_INET6 if len(packed) == 16 else socket.AF_INET
    head = struct.pack("=BBBBI", family, 8 * len(packed), 0, 0, index)
    flags = CREATE | EXCLUSIVE if kind == _NEWADDR else 0
    return kind, flags, head + attribute(_LOCAL, packed) + attribute(_ADDRESS, packed)


def link_request(kind: int, name: str) -> Request:
    head = bytes(16)
    if kind == _NEWLINK:
        created = nested(_LINKINFO, text(_KIND, "dummy"))
        return kind, CREATE | EXCLUSIVE, head + text(_NAME, name) + created
    return kind, 0, head + text(_NAME, name)


class DummyDevice:
    """In the network namespace of who makes it; there or not. OSError from everything."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._connection = Connection(netlink.ROUTE)

    def close(self) -> None:
        self._connection.close()

    def ensure(self) -> None:
        """It is there."""
        self._run([link_request(_NEWLINK, self.name)], errno.EEXIST)

    def delete(self) -> None:
        """It is gone, with its addresses."""
        self._run([link_request(_DELLINK, self.name)], errno.ENODEV)

    def index(self) -> int:
        """0 where it is not there."""
        try:
            bodies = self._connection.ask(*link_request(_GETLINK, self.name))
        except OSError as error:
            if error.errno == errno.ENODEV:
                return 0
            raise
        return next((int(struct.unpack_from("=i", body, 4)[0]) for body in bodies if len(body) >= 16), 0)

    def addresses(self) -> tuple[set[str], set[str]]:
        """Its own, and those of all other interfaces. Link-local ones of IPv6, and the loopback's, are none of both."""
        index, own, others = self.index(), set[str](), set[str]()
        for number, address in self._all():
            parsed = ipaddress.ip_address(address)
            if not (parsed.is_loopback or (parsed.version == 6 and parsed.is_link_local)):
                (own if number == index else others).add(address)
        return own, others

    def _all(self) -> Iterator[tuple[int, str]]:
        bodies = self._connection.ask(_GETADDR, DUMP, struct.pack("=BBBBI", 0, 0, 0, 0, 0))
        return (item for item in map(parse_address, bodies) if item is not None)

    def bind(self, addresses: Iterable[str]) -> None:
        """It has them, too."""
        index = self.index()
        self._run([address_request(_NEWADDR, index, address) for address in addresses], errno.EEXIST)

    def unbind(self, addresses: Iterable[str]) -> None:
        """It has them no longer."""
        index = self.index()
        self._run([address_request(_DELADDR, index, address) for address in addresses], errno.EADDRNOTAVAIL)

    def _run(self, requests: list[Request], harmless: int) -> None:
        refused = [number for number in self._connection.run(requests) if number not in (0, harmless)]
        if refused:
            raise OSError(refused[0], f"interface {self.name}: {os.strerror(refused[0])}")
