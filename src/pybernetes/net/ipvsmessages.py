"""What the kernel's IP Virtual Server is told, and tells, over generic netlink (linux/ip_vs.h). Pure."""

from __future__ import annotations

import errno
import functools
import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from .netlinkmessages import Attributes, attribute, attributes, nested, text

_INET, _INET6 = 2, 10  # families of addresses
NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = range(1, 9)
SET_CONFIG, FLUSH = 12, 17
_SERVICE, _DEST, _TIMEOUT_TCP, _TIMEOUT_TCP_FIN, _TIMEOUT_UDP = 1, 2, 4, 5, 6
_S_FAMILY, _S_PROTOCOL, _S_ADDRESS, _S_PORT, _S_FWMARK, _S_SCHEDULER, _S_FLAGS, _S_TIMEOUT, _S_NETMASK = range(1, 10)
_D_ADDRESS, _D_PORT, _D_METHOD, _D_WEIGHT, _D_UPPER, _D_LOWER, _D_ACTIVE, _D_INACTIVE = range(1, 9)
PERSISTENT, HASHED, MH_PORT = 0x1, 0x2, 0x10  # flags of a service; the kernel sets the second one
_MASQUERADING = 0  # how packets are forwarded
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_NAMES = {number: name for name, number in _PROTOCOLS.items()}


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """An address and port that IPVS listens to; `protocol` is tcp, udp or sctp."""

    address: str
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{_place(self.address, self.port)}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Service:
    """How a virtual server chooses: flags without HASHED; the time-out of a persistent one in seconds, else 0."""

    scheduler: str
    flags: int = 0
    timeout: int = 0


@dataclass(frozen=True, slots=True)
class RealServer:
    """Where a virtual server sends to."""

    address: str
    port: int

    def __str__(self) -> str:
        return _place(self.address, self.port)


@dataclass(frozen=True, slots=True)
class Use:
    """What the kernel says of a real server: 0 is the weight of one that gets nothing new."""

    weight: int
    active: int = 0
    inactive: int = 0


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class Command:
    """One change: its number, attributes, what it is about, and which errors say that it was so already."""

    number: int
    body: bytes
    about: str
    harmless: tuple[int, ...] = ()


def new_service(server: VirtualServer, service: Service) -> Command:
    return Command(NEW_SERVICE, _service(server, service), f"adding virtual server {server} ({service.scheduler})")


def set_service(server: VirtualServer, service: Service) -> Command:
    return Command(SET_SERVICE, _service(server, service), f"changing virtual server {server} ({service.scheduler})")


def del_service(server: VirtualServer) -> Command:
    return Command(DEL_SERVICE, about(server), f"deleting virtual server {server}", (errno.ESRCH,))


def new_dest(server: VirtualServer, real: RealServer, weight: int = 1) -> Command:
    return Command(NEW_DEST, _dest(server, real, weight), f"adding real server {real} to {server}")


def set_dest(server: VirtualServer, real: RealServer, weight: int) -> Command:
    return Command(SET_DEST, _dest(server, real, weight), f"setting the weight of real server {real} of {server}")


def del_dest(server: VirtualServer, real: RealServer) -> Command:
    body = about(server) + nested(_DEST, *_real_identity(real))
    return Command(DEL_DEST, body, f"deleting real server {real} of {server}", (errno.ESRCH, errno.ENOENT))


def set_timeouts(tcp: int, tcp_fin: int, udp: int) -> Command:
    """Seconds; 0 leaves one as it is."""
    given = {_TIMEOUT_TCP: tcp, _TIMEOUT_TCP_FIN: tcp_fin, _TIMEOUT_UDP: udp}
    return Command(SET_CONFIG, b"".join(_word(kind, value) for kind, value in given.items()), "setting time-outs")


def _word(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _port(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">H", value))


def _address(kind: int, address: str) -> bytes:
    """A union: an IPv4 address is its first word."""
    return attribute(kind, ipaddress.ip_address(address).packed.ljust(16, b"\0"))


def _identity(server: VirtualServer) -> list[bytes]:
    family = _INET6 if ":" in server.address else _INET
    return [
        attribute(_S_FAMILY, struct.pack("=H", family)),
        attribute(_S_PROTOCOL, struct.pack("=H", _PROTOCOLS[server.protocol])),
        _address(_S_ADDRESS, server.address),
        _port(_S_PORT, server.port),
    ]


def _service(server: VirtualServer, service: Service) -> bytes:
    # Who is stuck to a real server is so by his whole address: a mask of all bits, or a prefix of all.
    netmask = 128 if ":" in server.address else 0xFFFFFFFF
    return nested(
        _SERVICE,
        *_identity(server),
        text(_S_SCHEDULER, service.scheduler),
        attribute(_S_FLAGS, struct.pack("=II", service.flags, 0xFFFFFFFF)),
        _word(_S_TIMEOUT, service.timeout),
        _word(_S_NETMASK, netmask),
    )


def _real_identity(real: RealServer) -> list[bytes]:
    return [_address(_D_ADDRESS, real.address), _port(_D_PORT, real.port)]


def _dest(server: VirtualServer, real: RealServer, weight: int) -> bytes:
    return about(server) + nested(
        _DEST,
        *_real_identity(real),
        _word(_D_METHOD, _MASQUERADING),
        _word(_D_WEIGHT, weight),
        _word(_D_UPPER, 0),
        _word(_D_LOWER, 0),
    )


def parse_service(body: bytes) -> tuple[VirtualServer, Service] | None:
    """Of an answer to GET_SERVICE; None for one by firewall mark, or of another protocol."""
    values = attributes(attributes(body).get(_SERVICE, b""))
    protocol = _NAMES.get(_number(values, _S_PROTOCOL))
    if _S_FWMARK in values or protocol is None or len(values.get(_S_ADDRESS, b"")) < 16:
        return None
    address = _unpacked(values[_S_ADDRESS], _number(values, _S_FAMILY))
    server = VirtualServer(address, int.from_bytes(values.get(_S_PORT, b"")[:2], "big"), protocol)
    flags = struct.unpack("=I", values.get(_S_FLAGS, bytes(8))[:4])[0] & ~HASHED
    scheduler = values.get(_S_SCHEDULER, b"").partition(b"\0")[0].decode(errors="replace")
    # The kernel tells a time-out also where nobody is stuck to anything.
    return server, Service(scheduler, flags, _number(values, _S_TIMEOUT) if flags & PERSISTENT else 0)


def parse_dest(body: bytes, server: VirtualServer) -> tuple[RealServer, Use] | None:
    """Of an answer to GET_DEST."""
    values = attributes(attributes(body).get(_DEST, b""))
    if len(values.get(_D_ADDRESS, b"")) < 16:
        return None
    address = _unpacked(values[_D_ADDRESS], _INET6 if ":" in server.address else _INET)
    real = RealServer(address, int.from_bytes(values.get(_D_PORT, b"")[:2], "big"))
    return real, Use(_number(values, _D_WEIGHT), _number(values, _D_ACTIVE), _number(values, _D_INACTIVE))


def _number(values: Attributes, kind: int) -> int:
    data = values.get(kind, b"")
    value: int = struct.unpack("=H" if len(data) == 2 else "=I", data)[0] if len(data) in (2, 4) else 0
    return value


def _unpacked(data: bytes, family: int) -> str:
    return str(ipaddress.ip_address(data[:16] if family == _INET6 else data[:4]))


def header(command: int) -> bytes:
    """Of generic netlink, before the attributes."""
    return struct.pack("=BBH", command, 1, 0)


@functools.lru_cache(maxsize=256)
def about(server: VirtualServer) -> bytes:
    """Which one is meant; asked in a row for all of its real servers."""
    return nested(_SERVICE, *_identity(server))


def of_family(servers: Iterable[VirtualServer], family: str) -> list[VirtualServer]:
    """Those of IPv4 or IPv6."""
    return [server for server in servers if (":" in server.address) == (family == "IPv6")]
