"""flannel's subnet.env: the subnet and the MTU for who makes pods' interfaces (upstream: WriteSubnetFile in pkg/subnet/subnet.go)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from pathlib import Path


class SubnetFileError(ValueError):
    """No such file can be read, or it lacks something; one line for the user."""


@dataclass(frozen=True, slots=True)
class SubnetFile:
    """What it says. The subnet is told as its first address, that of the bridge; `ip_masq`: flanneld masquerades, so that nobody else has to.

    None for the networks of a family that is not there; at least one is.
    """

    network: IPv4Network | None
    subnet: IPv4Interface | None
    mtu: int
    ip_masq: bool
    ipv6_network: IPv6Network | None = None
    ipv6_subnet: IPv6Interface | None = None

    def text(self) -> str:
        """In upstream's order."""
        lines = []
        if self.subnet is not None:
            lines += [f"FLANNEL_NETWORK={self.network}", f"FLANNEL_SUBNET={self.subnet}"]
        if self.ipv6_subnet is not None:
            lines += [f"FLANNEL_IPV6_NETWORK={self.ipv6_network}", f"FLANNEL_IPV6_SUBNET={self.ipv6_subnet}"]
        lines += [f"FLANNEL_MTU={self.mtu}", f"FLANNEL_IPMASQ={'true' if self.ip_masq else 'false'}"]
        return "\n".join([*lines, ""])


def parse(text: str) -> SubnetFile:
    """SubnetFileError for a value that cannot be understood, and where there is no subnet or no MTU: half a file is none."""
    values = dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)

    def value(name: str) -> str:
        return values.get(name, "").strip("\"'")

    try:
        subnet = SubnetFile(
            IPv4Network(value("FLANNEL_NETWORK"), strict=False) if value("FLANNEL_NETWORK") else None,
            IPv4Interface(value("FLANNEL_SUBNET")) if value("FLANNEL_SUBNET") else None,
            int(value("FLANNEL_MTU")),
            value("FLANNEL_IPMASQ") == "true",
            IPv6Network(value("FLANNEL_IPV6_NETWORK"), strict=False) if value("FLANNEL_IPV6_NETWORK") else None,
            IPv6Interface(value("FLANNEL_IPV6_SUBNET")) if value("FLANNEL_IPV6_SUBNET") else None,
        )
    except ValueError as error:
        raise SubnetFileError(str(error)) from None
    if subnet.subnet is None and subnet.ipv6_subnet is None:
        raise SubnetFileError("neither FLANNEL_SUBNET nor FLANNEL_IPV6_SUBNET is in it")
    return subnet


def load(path: Path) -> SubnetFile:
    """SubnetFileError with the path."""
    try:
        return parse(path.read_text())
    except OSError as error:
        raise SubnetFileError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise SubnetFileError(f"{path}: {error}") from None


def write(path: Path, content: str) -> None:
    """In one step, readable for everybody, as who reads it may be another user; the folder is made. OSError."""
    path.parent.mkdir(0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(content)
    fresh.chmod(0o644)
    os.replace(fresh, path)
