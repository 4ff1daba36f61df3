"""What a crash between two writes leaves behind: addresses and ports of no service, services without theirs.

Upstream: pkg/registry/core/service/{ipallocator,portallocator}/controller. Pure; `keeper` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pybernetes.api.times import parse_time
from pybernetes.api.wellknown import IP_ADDRESS_LABEL_MANAGED_BY

from ..kinds.validation import parse_ip
from ..resource import Object
from .records import MANAGED_BY, may_be_of, own_addresses, own_ports, refers

GRACE = timedelta(seconds=60)  # an address is made before its service is: a young one may be on its way


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: names of addresses and numbers of ports to forget, and what services lack."""

    stale_addresses: tuple[str, ...]
    stale_ports: tuple[int, ...]
    missing_addresses: tuple[tuple[str, Object], ...]
    missing_ports: tuple[tuple[int, Object], ...]


def plan(services: Iterable[Object], addresses: Iterable[Object], ports: Iterable[Object], now: datetime) -> Plan:
    """`addresses`: IPAddresses; `ports`: the values under `records.PORTS`."""
    expected: dict[str, Object] = {}
    numbers: dict[int, Object] = {}
    for service in services:
        spec = service.get("spec") or {}
        for text in own_addresses(spec):
            expected.setdefault(str(parse_ip(text)), service)
        for number in own_ports(spec):
            numbers.setdefault(number, service)
    uids: set[str] = set()
    stale: list[str] = []
    for address in addresses:
        name = address["metadata"]["name"]
        uids.add(name)
        if _ours(address) and not _held(address, expected.get(name)) and not _young(address, now):
            stale.append(name)
    taken = {int(port["metadata"]["name"]): port for port in ports}
    return Plan(
        tuple(stale),
        tuple(n for n, port in taken.items() if not _owned(port, numbers.get(n)) and not _young(port, now)),
        tuple((name, service) for name, service in expected.items() if name not in uids),
        tuple((number, service) for number, service in numbers.items() if number not in taken),
    )


def _owned(port: Object, service: Object | None) -> bool:
    return service is not None and may_be_of(port, service)


def _ours(address: Object) -> bool:
    labels = address["metadata"].get("labels") or {}
    return labels.get(IP_ADDRESS_LABEL_MANAGED_BY) == MANAGED_BY


def _held(address: Object, service: Object | None) -> bool:
    return service is not None and refers((address.get("spec") or {}).get("parentRef"), service)


def _young(entry: Object, now: datetime) -> bool:
    return now - parse_time(entry["metadata"]["creationTimestamp"]) < GRACE
