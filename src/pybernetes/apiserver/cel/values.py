"""Kubernetes' own values in CEL: quantities, URLs, addresses (upstream: apiserver/pkg/cel/library). Pure.

The engine has no values of foreign types, so that each is a map with one key that nobody else uses.
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pybernetes.api.quantity import Quantity, QuantityError

Value = dict[str, str]
QUANTITY, URL, IP, CIDR = "quantity", "url", "ip", "cidr"
GO_INT = range(-(2**63), 2**63)


def _made(kind: str, text: str) -> Value:
    return {f"kubernetes.{kind}": text}


def _text(kind: str, value: Any) -> str:
    found = value.get(f"kubernetes.{kind}") if isinstance(value, dict) else None
    if found is None:
        raise ValueError(f"no such overload: this is no {kind}")
    return str(found)


# --- quantities ---------------------------------------------------------------------------------


def quantity(text: str) -> Value:
    """ValueError for what is none; equal amounts are equal values."""
    try:
        return _made(QUANTITY, str(Quantity(Quantity.parse(text).nanos)))
    except QuantityError as error:
        raise ValueError(str(error)) from None


def is_quantity(text: str) -> bool:
    """Whether `quantity` takes it."""
    try:
        Quantity.parse(text)
    except QuantityError:
        return False
    return True


def amount(value: Any) -> Quantity:
    """Of a value that `quantity` made."""
    return Quantity.parse(_text(QUANTITY, value))


def plus(left: Any, right: Any, sign: int = 1) -> Value:
    """Of two quantities, or a quantity and an integer."""
    other = Quantity.from_int(right) if isinstance(right, int) else amount(right)
    return _made(QUANTITY, str(amount(left) + (other if sign > 0 else -other)))


def is_integer(value: Any) -> bool:
    """Whether `as_integer` can."""
    found = amount(value)
    return found.nanos % 10**9 == 0 and found.nanos // 10**9 in GO_INT


def as_integer(value: Any) -> int:
    """ValueError for a quantity that is no integer."""
    if not is_integer(value):
        raise ValueError("cannot convert value to integer")
    return amount(value).nanos // 10**9


# --- URLs ---------------------------------------------------------------------------------------


def url(text: str) -> Value:
    """An absolute URL or path; ValueError."""
    if not is_url(text):
        raise ValueError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    return _made(URL, text)


def is_url(text: str) -> bool:
    """Whether `url` takes it."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return bool(text) and " " not in text and (bool(parts.scheme) or text.startswith("/"))


def url_part(value: Any, part: str) -> str:
    """scheme, host (with port), hostname, port, path."""
    parts = urlsplit(_text(URL, value))
    host = parts.netloc.rpartition("@")[2]
    hostname, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "")
    return {
        "scheme": parts.scheme,
        "host": host,
        "hostname": hostname.strip("[]"),
        "port": port,
        "path": parts.path,
    }[part]


def url_query(value: Any) -> dict[str, list[str]]:
    """Parameters by name."""
    return parse_qs(urlsplit(_text(URL, value)).query, keep_blank_values=True)


# --- addresses ----------------------------------------------------------------------------------


def ip(text: str) -> Value:
    """ValueError for what is no address."""
    return _made(IP, str(_address(text)))


def is_ip(text: str) -> bool:
    """Whether `ip` takes it."""
    try:
        _address(text)
    except ValueError:
        return False
    return True


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text)
    if "%" in text or (found.version == 6 and found.ipv4_mapped is not None):
        raise ValueError(f"IP Address {text!r} parse error during conversion from string")
    return found


def address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Of a value that `ip` made."""
    return ipaddress.ip_address(_text(IP, value))


def cidr(text: str) -> Value:
    """ValueError for what is no network."""
    ipaddress.ip_interface(text)
    if "/" not in text:
        raise ValueError(f"network address parse error during conversion from string: {text!r}")
    return _made(CIDR, text)


def is_cidr(text: str) -> bool:
    """Whether `cidr` takes it."""
    try:
        cidr(text)
    except ValueError:
        return False
    return True


def interface(value: Any) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """Of a value that `cidr` made: its address and its network."""
    return ipaddress.ip_interface(_text(CIDR, value))


def contains(value: Any, other: Any) -> bool:
    """Whether a network has an address or another network; both may be text."""
    network = interface(value).network
    if isinstance(other, str):
        other = cidr(other) if "/" in other else ip(other)
    if f"kubernetes.{CIDR}" in other:
        inner = interface(other).network
        return inner.version == network.version and inner.subnet_of(network)  # type: ignore[arg-type]  # of one version
    return address(other) in network
