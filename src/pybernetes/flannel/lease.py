"""Leases: which host has which subnet, and how it is reached (upstream: pkg/lease/lease.go, vxlanLeaseAttrs)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

HARDWARE_ADDRESS = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}")
NO_DATA = "null"  # what Go writes for the backends that have none to tell


Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class LeaseError(ValueError):
    """What a node says of its lease cannot be understood."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a host tells the others; `backend_data` is JSON."""

    public_ip: Address
    backend_type: str
    backend_data: str = NO_DATA
    public_ipv6: IPv6Address | None = None
    backend_v6_data: str = NO_DATA


@dataclass(frozen=True, slots=True)
class Lease:
    """A node's subnet and what it tells. Beside IPv4 there may be IPv6, which `ipv6` gives as a lease of its own."""

    node: str
    subnet: Network
    attributes: Attributes
    ipv6_subnet: IPv6Network | None = None

    def ipv6(self) -> Lease | None:
        """What there is to do for IPv6, as if there were nothing else; None where there is nothing."""
        told = self.attributes
        if self.ipv6_subnet is None or told.public_ipv6 is None:
            return None
        attributes = replace(told, public_ip=told.public_ipv6, backend_data=told.backend_v6_data, public_ipv6=None)
        return Lease(self.node, self.ipv6_subnet, attributes)


def vxlan_data(vni: int, mac: str) -> str:
    """As Go writes it, to the byte: who restarts compares the texts."""
    return f'{{"VNI":{vni},"VtepMAC":"{mac}"}}'


def vtep_mac(data: str) -> str:
    """The hardware address in a vxlan host's data, with colons and in lower case. LeaseError."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise LeaseError(f"error decoding subnet lease JSON: {data[:200]!r}") from None
    fields = {name.casefold(): value for name, value in document.items()} if isinstance(document, dict) else {}
    mac = fields.get("vtepmac")
    if not isinstance(mac, str) or not HARDWARE_ADDRESS.fullmatch(mac.lower()):
        raise LeaseError(f"error decoding subnet lease JSON: no VtepMAC in {data[:200]!r}")
    return mac.lower().replace("-", ":")
