"""Kernel settings that the proxy needs (upstream: cmd/kube-proxy/app/server_linux.go, conntrack.go)."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)

PROC = Path("/proc/sys")
ROUTE_LOCALNET = "net/ipv4/conf/all/route_localnet"
BRIDGE_CALLS = "net/bridge/bridge-nf-call-iptables"
NETFILTER = "net/netfilter/"
TCP_BE_LIBERAL = NETFILTER + "nf_conntrack_tcp_be_liberal"


@dataclass(frozen=True, slots=True)
class Conntrack:
    """Limits of the connection tracking; 0 leaves a setting alone. Times in seconds."""

    max_per_core: int = 32 * 1024
    minimum: int = 128 * 1024
    tcp_established: float = 24 * 3600.0
    tcp_close_wait: float = 3600.0
    tcp_be_liberal: bool = False
    udp: float = 0.0
    udp_stream: float = 0.0

    def maximum(self, cores: int) -> int:
        """nf_conntrack_max, 0 to leave it."""
        return max(self.max_per_core * cores, self.minimum) if self.max_per_core > 0 else 0


def settings(conntrack: Conntrack) -> dict[str, int]:
    """Path below /proc/sys -> value, for all but nf_conntrack_max, which is only ever raised."""
    values = {
        "nf_conntrack_tcp_timeout_established": int(conntrack.tcp_established),
        "nf_conntrack_tcp_timeout_close_wait": int(conntrack.tcp_close_wait),
        "nf_conntrack_tcp_be_liberal": int(conntrack.tcp_be_liberal),
        "nf_conntrack_udp_timeout": int(conntrack.udp),
        "nf_conntrack_udp_timeout_stream": int(conntrack.udp_stream),
    }
    return {NETFILTER + name: value for name, value in values.items() if value > 0}


def apply(conntrack: Conntrack, root: Path = PROC) -> None:
    """Sets what differs; what the kernel refuses is logged, since rules work without it."""
    for name, value in settings(conntrack).items():
        ensure(name, value, root)
    maximum = conntrack.maximum(os.cpu_count() or 1)
    current = read(NETFILTER + "nf_conntrack_max", root)
    if current is not None and current < maximum:
        ensure(NETFILTER + "nf_conntrack_max", maximum, root)


def ensure(name: str, value: int, root: Path = PROC) -> bool:
    """Whether the setting has the value now."""
    current = read(name, root)
    if current == value:
        return True
    try:
        (root / name).write_text(str(value))
    except OSError as error:
        _log.error("Failed to set sysctl %s to %d: %s", name, value, error.strerror)
        return False
    return True


def read(name: str, root: Path = PROC) -> int | None:
    """None where the kernel does not have it."""
    try:
        return int((root / name).read_text())
    except (OSError, ValueError):
        return None
