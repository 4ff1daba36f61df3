"""subnet.env, which the CNI plugin and Docker's unit read (upstream: WriteSubnetFile in pkg/subnet/subnet.go)."""

from __future__ import annotations

import os
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path


def text(network: IPv4Network, subnet: IPv4Network, mtu: int, ip_masq: bool) -> str:
    """The subnet is told as its first address, that of the bridge."""
    return (
        f"FLANNEL_NETWORK={network}\nFLANNEL_SUBNET={subnet.network_address + 1}/{subnet.prefixlen}\n"
        f"FLANNEL_MTU={mtu}\nFLANNEL_IPMASQ={'true' if ip_masq else 'false'}\n"
    )


def write(path: Path, content: str) -> None:
    """In one step, readable for everybody, as who reads it may be another user; the folder is made. OSError."""
    path.parent.mkdir(0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(content)
    fresh.chmod(0o644)
    os.replace(fresh, path)


def read(path: Path, name: str = "FLANNEL_SUBNET") -> IPv4Network | None:
    """The network that an earlier process wrote there; None where it cannot be read, for whatever reason."""
    try:
        lines = [line.partition("=") for line in path.read_text().splitlines()]
        return next((IPv4Interface(value).network for key, _, value in lines if key == name), None)
    except (OSError, ValueError):
        return None
