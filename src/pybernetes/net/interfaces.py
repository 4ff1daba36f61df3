"""This host's links, their addresses and the default route, by netlink alone: for who has no pyroute2. Blocking; OSError from everything."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable

from . import netlink
from .dummy import parse_address
from .netlink import Connection
from .netlinkmessages import DUMP, attributes
from .routes import DEPRECATED, MAIN_TABLE, Link, preferred

_GETLINK, _GETADDR, _GETROUTE = 18, 22, 26
_LINK_ADDRESS, _NAME, _MTU = 1, 3, 4
_ADDRESS_FLAGS = 8
_OUT = 4  # RTA_OIF
_UNICAST = 1


def links() -> list[Link]:
    """As `Router.links`: in the order of their indexes."""
    with Connection(netlink.ROUTE) as connection:
        bodies = connection.ask(_GETLINK, DUMP, bytes(16))
        return parse_links(bodies, connection.ask(_GETADDR, DUMP, bytes(8)))


def addresses() -> dict[str, list[str]]:
    """All addresses by the name of their link, the loopback's too; those of the link itself with its name (fe80::1%eth0)."""
    with Connection(netlink.ROUTE) as connection:
        bodies = connection.ask(_GETLINK, DUMP, bytes(16))
        return parse_addresses(bodies, connection.ask(_GETADDR, DUMP, bytes(8)))


def default_device() -> int:
    """The index of the link that the default route of IPv4 leaves by, 0 where there is none."""
    with Connection(netlink.ROUTE) as connection:
        head = struct.pack("=B", socket.AF_INET).ljust(12, b"\0")
        return parse_default(connection.ask(_GETROUTE, DUMP, head))


def parse_addresses(links: Iterable[bytes], addresses: Iterable[bytes]) -> dict[str, list[str]]:
    """Of the answers to RTM_GETLINK and RTM_GETADDR."""
    names = {
        int(struct.unpack_from("=i", body, 4)[0]): _name(attributes(body[16:])) for body in links if len(body) >= 16
    }
    by_name: dict[str, list[str]] = {name: [] for name in names.values()}
    for body in addresses:
        parsed = parse_address(body)
        if parsed is not None and parsed[0] in names:
            name, address = names[parsed[0]], parsed[1]
            by_name[name].append(
                f"{address}%{name}" if ipaddress.ip_address(address).is_link_local and ":" in address else address
            )
    return by_name


def _name(values: dict[int, bytes]) -> str:
    return values.get(_NAME, b"").partition(b"\0")[0].decode(errors="replace")


def parse_links(links: Iterable[bytes], addresses: Iterable[bytes]) -> list[Link]:
    """Of the answers to RTM_GETLINK and RTM_GETADDR."""
    by_index: dict[int, list[str]] = {}
    for body in addresses:
        parsed = parse_address(body)
        flags = int.from_bytes(attributes(body[8:]).get(_ADDRESS_FLAGS, b""), "little")
        if parsed is not None and not flags & DEPRECATED:
            by_index.setdefault(parsed[0], []).append(parsed[1])
    listed = []
    for body in (body for body in links if len(body) >= 16):
        index = int(struct.unpack_from("=i", body, 4)[0])
        values, own = attributes(body[16:]), by_index.get(index, [])
        listed.append(
            Link(
                index,
                _name(values),
                int.from_bytes(values.get(_MTU, b""), "little"),
                values.get(_LINK_ADDRESS, b"").hex(":"),
                preferred([address for address in own if ":" not in address]),
                preferred([address for address in own if ":" in address]),
            )
        )
    return sorted(listed, key=lambda link: link.index)


def parse_default(routes: Iterable[bytes]) -> int:
    """Of the answers to RTM_GETROUTE, in the kernel's order, which is that of their metrics."""
    for body in (body for body in routes if len(body) >= 12):
        length, table, kind = body[1], body[4], body[7]
        device = attributes(body[12:]).get(_OUT, b"")
        if not length and table == MAIN_TABLE and kind == _UNICAST and device:
            return int.from_bytes(device, "little")
    return 0
