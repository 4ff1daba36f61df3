"""What of a machine pods may not have: reserved for the system and the kubelet, and what evictions keep free. Pure.

Upstream: pkg/kubelet/cm/node_container_manager_linux.go, parseResourceList of cmd/kubelet/app/server.go.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from pybernetes.api.pods import ZERO
from pybernetes.api.quantity import Format, Quantity, QuantityError

RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")
MAX_CPUS = 8192  # as the kernel's largest NR_CPUS
KEPT_FREE = {"memory.available": "memory", "nodefs.available": "ephemeral-storage"}


def reservation(amounts: Mapping[str, str]) -> dict[str, Quantity]:
    """Of --kube-reserved or --system-reserved. ValueError in upstream's words."""
    parsed: dict[str, Quantity] = {}
    for name, text in amounts.items():
        if name not in RESERVABLE:
            raise ValueError(f'cannot reserve "{name}" resource')
        try:
            parsed[name] = Quantity.parse(text)
        except QuantityError as error:
            raise ValueError(f'failed to parse quantity "{text}" for "{name}" resource: {error}') from None
        if parsed[name].sign() < 0:
            raise ValueError(f'resource quantity for "{name}" cannot be negative: {text}')
    return parsed


def reserved(kube: Mapping[str, Quantity], system: Mapping[str, Quantity], cpus: str = "") -> dict[str, Quantity]:
    """Both together; with --reserved-cpus, a list such as 0-1,4, these are all that is kept back of the processors."""
    together = {name: kube.get(name, ZERO) + system.get(name, ZERO) for name in (*kube, *system)}
    return {**together, "cpu": Quantity.from_int(len(cpus_of(cpus)))} if cpus else together


def cpus_of(text: str) -> set[int]:
    """The processors of a list such as 0-3,8 (cpuset.Parse). ValueError in upstream's words."""
    cpus = set[int]()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
            raise ValueError(f'unable to parse reserved-cpus list, err: strconv.Atoi: parsing "{part}": invalid syntax')
        begin, end = int(first), int(last or first)
        if begin > end:
            raise ValueError(f'unable to parse reserved-cpus list, err: invalid range "{part}" ({first} > {last})')
        if end >= MAX_CPUS:
            raise ValueError(f"unable to parse reserved-cpus list, err: {end} is no processor of a machine")
        cpus.update(range(begin, end + 1))
    return cpus


def share_of(percent: str, capacity: int) -> int:
    """10% of it, with the rounding of Go's float32."""
    (share,) = struct.unpack("f", struct.pack("f", float(percent.removesuffix("%")) / 100))
    return int(capacity * share)


def amount_of(text: str, capacity: int) -> int:
    """An eviction threshold: 100Mi, or 10% of the capacity."""
    return share_of(text, capacity) if text.endswith("%") else Quantity.parse(text).value()


def allocatable(
    capacity: Mapping[str, Quantity], kept_back: Mapping[str, Quantity], eviction_hard: Mapping[str, str]
) -> dict[str, Quantity]:
    """Of each resource what is left, 0 where that is less than nothing; `capacity` in whole units."""
    free = {
        resource: Quantity.from_int(amount_of(eviction_hard[signal], capacity[resource].value()), Format.BINARY_SI)
        for signal, resource in KEPT_FREE.items()
        if signal in eviction_hard
    }
    left = {name: total - kept_back.get(name, ZERO) - free.get(name, ZERO) for name, total in capacity.items()}
    return {name: Quantity.from_int(0) if rest.sign() < 0 else rest for name, rest in left.items()}
