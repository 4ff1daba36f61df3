"""Rates and numbers of connections that each client of an Ingress has (upstream: internal/ingress/annotations/ratelimit)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from .model import Key, Limits, Location

ZONE_SIZE = "5m"  # upstream's: some 40,000 clients; the oldest is forgotten for one more


def _id(ingress: Key) -> str:
    """As a part of a variable's name."""
    return hashlib.sha256("/".join(ingress).encode()).hexdigest()[:16]


def zones(locations: Iterable[Location]) -> Iterator[str]:
    """Of the block `http`: clients are counted for each Ingress, over all its paths and hosts. Who is let off has no key, and is not counted."""
    limited = {each.ingress: each.options.limits for each in locations if each.ingress and each.options.limits}
    for ingress, limits in sorted(limited.items()):
        name, key = _id(ingress), "$binary_remote_addr"
        if limits.unlimited:
            networks = " ".join(f"{network} 1;" for network in limits.unlimited)
            yield f"geo $unlimited_{name} {{ default 0; {networks} }}"
            yield f'map $unlimited_{name} $limited_{name} {{ 0 $binary_remote_addr; 1 ""; }}'
            key = f"$limited_{name}"
        if limits.connections:
            yield f"limit_conn_zone {key} zone={name}_conn:{ZONE_SIZE};"
        if limits.per_second:
            yield f"limit_req_zone {key} zone={name}_rps:{ZONE_SIZE} rate={limits.per_second}r/s;"
        if limits.per_minute:
            yield f"limit_req_zone {key} zone={name}_rpm:{ZONE_SIZE} rate={limits.per_minute}r/m;"


def directives(ingress: Key, limits: Limits) -> Iterator[str]:
    """Of a location. Who asks too often gets 503, as upstream's."""
    name = _id(ingress)
    if limits.connections:
        yield f"limit_conn {name}_conn {limits.connections};"
    for kind, rate in (("rps", limits.per_second), ("rpm", limits.per_minute)):
        if rate:
            yield f"limit_req zone={name}_{kind} burst={rate * limits.burst} nodelay;"
    if limits.kilobytes:
        yield f"limit_rate {limits.kilobytes}k;"
        yield f"limit_rate_after {limits.kilobytes_free}k;"
