"""What the API server of a test is called, by the address that it listens on. Pure."""

from __future__ import annotations

import ipaddress

LOOPBACK = "127.0.0.1"
EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "[::1]"}  # and where that is for this machine
# host.docker.internal: by which containers know their host.
NAMES = ("localhost", "host.docker.internal", "kubernetes", "kubernetes.default.svc")
ADDRESSES = (LOOPBACK, "::1", "10.96.0.1")


def reached_at(host: str) -> str:
    """As URLs of this machine have it."""
    return EVERYWHERE.get(host) or (f"[{host}]" if ":" in host else host)


def served_as(host: str) -> tuple[list[str], list[str]]:
    """(names, addresses) of its certificate."""
    names, addresses = list(NAMES), list(ADDRESSES)
    if host not in (*names, *addresses, *EVERYWHERE):
        (addresses if _is_address(host) else names).append(host)
    return names, addresses


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False
