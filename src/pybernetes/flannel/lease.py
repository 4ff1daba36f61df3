"""Leases: which host has which subnet, and how it is reached (upstream: pkg/lease/lease.go, vxlanLeaseAttrs)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

HARDWARE_ADDRESS = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}")
NO_DATA = "null"  # what Go writes for the backends that have none to tell


class LeaseError(ValueError):
    """What a node says of its lease cannot be understood."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a host tells the others; `backend_data` is JSON."""

    public_ip: IPv4Address
    backend_type: str
    backend_data: str = NO_DATA


@dataclass(frozen=True, slots=True)
class Lease:
    """A node's subnet and what it tells."""

    node: str
    subnet: IPv4Network
    attributes: Attributes


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
