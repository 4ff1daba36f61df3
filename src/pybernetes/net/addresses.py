"""Addresses of this host as its routes see them."""

from __future__ import annotations

import ipaddress
import socket

# Documentation addresses: nothing is sent, only the route is asked for.
_ELSEWHERE = {4: "192.0.2.1", 6: "2001:db8::1"}


def source_address(destination: str) -> str:
    """The address that packets to an IP address or host name would carry, "" where no route leads there."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((destination, 9))  # sends nothing: the kernel just chooses
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def outward_address(version: int = 4) -> str:
    """The address by which this host is reached from outside, "" where it has none: of the route that packets to the world take."""
    address = source_address(_ELSEWHERE[version])
    return "" if not address or ipaddress.ip_address(address).is_loopback else address
