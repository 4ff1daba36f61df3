"""IP addresses and networks (upstream: apiserver/pkg/cel/library/ip.go, cidr.go), parsed as Go's net/netip does."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import functions, types
from ..errors import EvaluationError, NoSuchOverload
from ..functions import TRAVERSAL, Overload
from ..types import BOOL, INT, STRING
from ..values import Opaque, size_of
from .declare import function, method
from .formatting import go_quoted

IP, CIDR = types.opaque("net.IP"), types.opaque("net.CIDR")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class IpValue(Opaque):
    """An address."""

    type_name = "net.IP"
    address: Address

    def size(self) -> int:
        """In bytes."""
        return self.address.max_prefixlen // 8

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True)
class CidrValue(Opaque):
    """An address and how many bits of it are the network's; the others may be set."""

    type_name = "net.CIDR"
    address: Address
    bits: int

    def size(self) -> int:
        """Of the network's part, in bytes."""
        return math.ceil(self.bits / 8)

    def __str__(self) -> str:
        return f"{self.address}/{self.bits}"

    def masked(self) -> CidrValue:
        """Without the bits that are not the network's."""
        return CidrValue(type(self.address)(_prefix(self.address, self.bits)), self.bits)


def overloads() -> Iterator[Overload]:
    """All of them."""
    once = functions.traversal(0)
    yield function("ip", "string_to_ip", (STRING,), IP, _ip, once)
    yield function("isIP", "is_ip", (STRING,), BOOL, _is_ip, once)
    yield function(
        "ip.isCanonical",
        "ip_is_canonical",
        (STRING,),
        BOOL,
        lambda text: str(_ip(text).address) == text,
        functions.traversal(0, 2),
    )
    yield function("string", "ip_to_string", (IP,), STRING, str)
    yield method("family", "ip_family", (IP,), INT, lambda value: value.address.version)
    yield method("isUnspecified", "ip_is_unspecified", (IP,), BOOL, lambda value: value.address.is_unspecified)
    yield method("isLoopback", "ip_is_loopback", (IP,), BOOL, lambda value: value.address.is_loopback)
    yield method(
        "isLinkLocalMulticast",
        "ip_is_link_local_multicast",
        (IP,),
        BOOL,
        lambda value: _link_local_multicast(value.address),
    )
    yield method(
        "isLinkLocalUnicast", "ip_is_link_local_unicast", (IP,), BOOL, lambda value: value.address.is_link_local
    )
    yield method("isGlobalUnicast", "ip_is_global_unicast", (IP,), BOOL, lambda value: _global_unicast(value.address))
    yield function("cidr", "string_to_cidr", (STRING,), CIDR, _cidr, once)
    yield function("isCIDR", "is_cidr", (STRING,), BOOL, _is_cidr, once)
    yield function("string", "cidr_to_string", (CIDR,), STRING, str)
    yield method("ip", "cidr_ip", (CIDR,), IP, lambda value: IpValue(value.address))
    yield method("prefixLength", "cidr_prefix_length", (CIDR,), INT, lambda value: value.bits)
    yield method("masked", "cidr_masked", (CIDR,), CIDR, CidrValue.masked)
    yield method("containsIP", "cidr_contains_ip_string", (CIDR, STRING), BOOL, _contains_ip_text, _contains_ip_cost)
    yield method("containsIP", "cidr_contains_ip_ip", (CIDR, IP), BOOL, _contains_ip, _contains_ip_cost)
    yield method(
        "containsCIDR",
        "cidr_contains_cidr_string",
        (CIDR, STRING),
        BOOL,
        lambda value, text: _contains_cidr(value, _cidr(text)),
        _contains_cidr_cost,
    )
    yield method("containsCIDR", "cidr_contains_cidr", (CIDR, CIDR), BOOL, _contains_cidr, _contains_cidr_cost)


# --- parsing -----------------------------------------------------------------------------------


def _parse_address(text: str) -> Address:
    """ValueError with Go's words."""

    def refused(reason: str) -> ValueError:
        return ValueError(f"ParseAddr({go_quoted(text)}): {reason}")

    for character in text:
        if character == ".":
            return _parse_v4(text)
        if character in ":%":
            if character == "%":
                raise refused("missing IPv6 address")
            try:
                return ipaddress.IPv6Address(text)
            except ValueError:
                raise refused(_v6_fault(text)) from None
    raise refused("unable to parse IP")


def _v6_fault(text: str) -> str:
    address = text.partition("%")[0]
    if "%" in text and text.endswith("%"):
        return "zone must be a non-empty string"
    bad = re.search(r"[^0-9a-fA-F:.]", address)
    if bad:
        return f"each colon-separated field must have at least one digit (at {go_quoted(address[bad.start() :])})"
    if re.search(r"[0-9a-fA-F]{5}", address):
        place = re.search(r"[0-9a-fA-F]{5}", address)
        return f"each group must have 4 or less digits (at {go_quoted(address[place.start() if place else 0 :])})"
    if address.count("::") > 1:
        return f"multiple :: in address (at {go_quoted(address[address.rindex('::') + 1 :])})"
    return "address string too short" if address.count(":") < 8 else "trailing garbage after address"


def _parse_v4(text: str) -> ipaddress.IPv4Address:
    fields = text.split(".")
    for index, field in enumerate(fields):
        rest = ".".join(fields[index:])
        bad = re.search(r"[^0-9]", field)
        if bad:
            raise ValueError(
                f"ParseAddr({go_quoted(text)}): unexpected character (at {go_quoted(rest[bad.start() :])})"
            )
        if not field:
            raise ValueError(
                f"ParseAddr({go_quoted(text)}): IPv4 field must have at least one digit (at {go_quoted(rest or '.')})"
            )
        if len(field) > 1 and field[0] == "0":
            raise ValueError(f"ParseAddr({go_quoted(text)}): IPv4 field has octet with leading zero")
        if len(field) > 3 or int(field) > 255:
            raise ValueError(f"ParseAddr({go_quoted(text)}): IPv4 field has value >255")
    if len(fields) != 4:
        raise ValueError(f"ParseAddr({go_quoted(text)}): IPv4 address too {'long' if len(fields) > 4 else 'short'}")
    return ipaddress.IPv4Address(text)


def _ip(text: str) -> IpValue:
    try:
        address = _parse_address(text)
    except ValueError as error:
        raise EvaluationError(
            f"IP Address {go_quoted(text)} parse error during conversion from string: {error}"
        ) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise EvaluationError(f"IP address {go_quoted(text)} with zone value is not allowed")
        if address.ipv4_mapped is not None:
            raise EvaluationError(f"IPv4-mapped IPv6 address {go_quoted(text)} is not allowed")
    return IpValue(address)


def _is_ip(text: str) -> bool:
    try:
        _ip(text)
    except EvaluationError:
        return False
    return True


def _parse_prefix(text: str) -> CidrValue:
    """ValueError with Go's words."""

    def refused(reason: str) -> ValueError:
        return ValueError(f"netip.ParsePrefix({go_quoted(text)}): {reason}")

    name, slash, bits = text.rpartition("/")
    if not slash:
        raise refused("no '/'")
    try:
        address = _parse_address(name)
    except ValueError as error:
        raise refused(str(error)) from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise refused("IPv6 zones cannot be present in a prefix")
    if not re.fullmatch(r"0|[1-9][0-9]*", bits):
        raise refused(f"bad bits after slash: {go_quoted(bits)}")
    if len(bits) > 3 or int(bits) > address.max_prefixlen:
        raise refused("prefix length out of range")
    return CidrValue(address, int(bits))


def _cidr(text: str) -> CidrValue:
    prefix = "network address parse error during conversion from string: "
    try:
        value = _parse_prefix(text)
    except ValueError as error:
        raise EvaluationError(f"{prefix}{prefix}{error}") from None
    if isinstance(value.address, ipaddress.IPv6Address) and value.address.ipv4_mapped is not None:
        raise EvaluationError(f"{prefix}IPv4-mapped IPv6 address {go_quoted(text)} is not allowed")
    return value


def _is_cidr(text: str) -> bool:
    try:
        _cidr(text)
    except EvaluationError:
        return False
    return True


# --- what they do ------------------------------------------------------------------------------


def _prefix(address: Address, bits: int) -> int:
    rest = address.max_prefixlen - bits
    return int(address) >> rest << rest


def _link_local_multicast(address: Address) -> bool:
    if address.version == 4:
        return int(address) >> 8 == 0xE00000
    return int(address) >> 112 & 0xFF0F == 0xFF02


def _global_unicast(address: Address) -> bool:
    if address.version == 4 and int(address) in (0, 2**32 - 1):
        return False
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)


def _contains(value: CidrValue, address: Address) -> bool:
    return value.address.version == address.version and _prefix(value.address, value.bits) == _prefix(
        address, value.bits
    )


def _contains_ip(value: CidrValue, other: IpValue) -> bool:
    return _contains(value, other.address)


def _contains_ip_text(value: CidrValue, text: str) -> bool:
    try:
        return _contains_ip(value, _ip(text))
    except EvaluationError:
        raise NoSuchOverload("no such overload") from None  # as upstream, which loses the reason


def _contains_cidr(value: CidrValue, other: CidrValue) -> bool:
    return value.bits <= other.bits and _contains(value, other.address)


def _contains_ip_cost(arguments: Sequence[Any], _: Any) -> int:
    own: CidrValue = arguments[0]
    other = arguments[1]
    return math.ceil(2 * own.size() * TRAVERSAL) + (
        math.ceil(size_of(other) * TRAVERSAL) if isinstance(other, str) else 0
    )


def _contains_cidr_cost(arguments: Sequence[Any], result: Any) -> int:
    return _contains_ip_cost(arguments, result) + math.ceil(size_of(arguments[0]) * TRAVERSAL) + 1
