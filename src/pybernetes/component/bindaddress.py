"""Where a part listens, as flags of the form --...-bind-address say it."""

from __future__ import annotations

import ipaddress

from .command import UsageError


def bind_address(name: str, text: str, default_port: int) -> tuple[str, int] | None:
    """Of a flag's value: host:port, [v6]:port, or an address alone; None where nothing is to listen (empty, or port 0). UsageError."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or (":" in host and not host.startswith("[")):
        host, port = text, str(default_port)
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number < 65536:
        raise UsageError(f"--{name}={text}: must be an IP address, or one with a port (0.0.0.0:{default_port})")
    return (host, number) if number else None
