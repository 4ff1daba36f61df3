"""Packs endpoints into slices; pure (upstream: k8s.io/endpointslice, reconciler.go). Used by endpointslice and endpointslicemirroring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pybernetes.api.types import discovery_v1 as discovery

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"

Identity = tuple[Any, ...]
PortKey = frozenset[tuple[Any, ...]]
Event = tuple[str, str, str]  # type, reason, message


@dataclass
class Changes:
    """Slices to create, update and delete, in objects that may be sent as they are, and what to tell of it."""

    create: list[discovery.EndpointSlice] = field(default_factory=list)
    update: list[discovery.EndpointSlice] = field(default_factory=list)
    delete: list[discovery.EndpointSlice] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def add(self, other: Changes) -> None:
        """Adds what another says to these."""
        self.create += other.create
        self.update += other.update
        self.delete += other.delete
        self.events += other.events


def port_key(ports: Iterable[discovery.EndpointPort]) -> PortKey:
    """Equal for equal sets of ports, whatever their order."""
    return frozenset((port.name, port.protocol, port.port, port.app_protocol) for port in ports)


def identity(endpoint: discovery.Endpoint) -> Identity:
    """What makes an endpoint the same one (EndpointHash); the rest may change in place."""
    target = endpoint.target_ref
    reference = (target.namespace, target.name) if target is not None else None
    return (tuple(sorted(endpoint.addresses)), endpoint.hostname, reference)


def alike(a: discovery.Endpoint, b: discovery.Endpoint) -> bool:
    """Whether endpoints of one identity need no update but for their hints (EndpointsEqualBeyondHash)."""
    uids = [e.target_ref.uid if e.target_ref is not None else None for e in (a, b)]
    return uids[0] == uids[1] and _rest(a) == _rest(b)


def same(a: discovery.Endpoint, b: discovery.Endpoint) -> bool:
    """Whether endpoints of one identity need no update (trafficdist's needsUpdate)."""
    return a.hints == b.hints and alike(a, b)


def _rest(endpoint: discovery.Endpoint) -> tuple[Any, ...]:
    return endpoint.node_name, endpoint.zone, endpoint.conditions, endpoint.deprecated_topology


def pack(
    existing: Sequence[discovery.EndpointSlice],
    endpoints: Iterable[discovery.Endpoint],
    blank: discovery.EndpointSlice,
    labels: Callable[[discovery.EndpointSlice], dict[str, str]],
    most: int,
    equal: Callable[[discovery.Endpoint, discovery.Endpoint], bool] = same,
) -> Changes:
    """Endpoints of one set of ports: as few writes as possible, then as few slices (reconcileByPortMapping).

    `blank` is a new slice without endpoints; `labels` says what an existing one is to be labelled with, `equal` which
    endpoints may stay as they are.
    """
    left = {identity(endpoint): endpoint for endpoint in endpoints}
    changes = Changes()
    untouched: list[discovery.EndpointSlice] = []
    for present in existing:
        _refresh(present, left, labels(present), equal, changes, untouched)
    for present in sorted(changes.update, key=lambda s: -len(s.endpoints)):
        _fill(present, left, most)
    while left:
        target = _fitting(untouched, len(left), most)
        if target is None:
            target = msgspec.structs.replace(blank, endpoints=[])
            changes.create.append(target)
        else:
            untouched = [present for present in untouched if present is not target]
            target = msgspec.structs.replace(target, endpoints=list(target.endpoints))
            changes.update.append(target)
        _fill(target, left, most)
    return changes


def _refresh(
    present: discovery.EndpointSlice,
    left: dict[Identity, discovery.Endpoint],
    labels: dict[str, str],
    equal: Callable[[discovery.Endpoint, discovery.Endpoint], bool],
    changes: Changes,
    untouched: list[discovery.EndpointSlice],
) -> None:
    """Keeps what is still wanted, in its newest form."""
    endpoints: list[discovery.Endpoint] = []
    changed = labels != present.metadata.labels
    for endpoint in present.endpoints:
        newest = left.pop(identity(endpoint), None)
        if newest is not None:
            endpoints.append(newest)
            changed = changed or not equal(endpoint, newest)
    gone = len(endpoints) != len(present.endpoints)
    if gone and not endpoints:
        changes.delete.append(present)
    elif changed or gone:
        metadata = msgspec.structs.replace(present.metadata, labels=labels)
        changes.update.append(msgspec.structs.replace(present, endpoints=endpoints, metadata=metadata))
    else:
        untouched.append(present)


def _fill(target: discovery.EndpointSlice, left: dict[Identity, discovery.Endpoint], most: int) -> None:
    while left and len(target.endpoints) < most:
        target.endpoints.append(left.pop(next(iter(left))))


def _fitting(slices: Sequence[discovery.EndpointSlice], count: int, most: int) -> discovery.EndpointSlice | None:
    """The fullest that still takes all of them (GetSliceToFill)."""
    roomy = [present for present in slices if len(present.endpoints) + count <= most]
    return max(roomy, key=lambda present: len(present.endpoints), default=None) if count < most else None


def recycled(changes: Changes, reusable: Callable[[discovery.EndpointSlice], bool]) -> Changes:
    """Deletions and creations of one address type become updates."""
    result = Changes(list(changes.create), list(changes.update), [], changes.events)
    for present in changes.delete:
        fresh = result.create[-1] if result.create else None
        if fresh is not None and present.address_type == fresh.address_type and reusable(present):
            result.create.pop()
            metadata = msgspec.structs.replace(
                present.metadata, labels=fresh.metadata.labels, annotations=fresh.metadata.annotations
            )
            result.update.append(
                msgspec.structs.replace(present, metadata=metadata, endpoints=fresh.endpoints, ports=fresh.ports)
            )
        else:
            result.delete.append(present)
    return result


class Tracker:
    """Whether the cache has seen our own writes (endpointslice/util's EndpointSliceTracker).

    Without it a second sync would add the same endpoints to another slice.
    """

    def __init__(self) -> None:
        self._generations: dict[tuple[str, str], dict[str, int]] = {}

    def wrote(self, service: tuple[str, str], written: discovery.EndpointSlice) -> None:
        """After a creation or an update."""
        self._generations.setdefault(service, {})[written.metadata.uid] = written.metadata.generation

    def deleted(self, service: tuple[str, str], uid: str) -> None:
        """After a deletion: it must not be seen any more."""
        self._generations.setdefault(service, {})[uid] = -1

    def seen_gone(self, service: tuple[str, str], uid: str) -> None:
        """The cache says that it is gone."""
        self._generations.get(service, {}).pop(uid, None)

    def expected(self, service: tuple[str, str], uid: str, generation: int) -> bool:
        """Whether this state of a slice is our own work."""
        return self._generations.get(service, {}).get(uid) == generation

    def stale(self, service: tuple[str, str], slices: Iterable[discovery.EndpointSlice]) -> bool:
        """Whether the cache is behind what we wrote."""
        written = self._generations.get(service, {})
        cached = {present.metadata.uid: present.metadata.generation for present in slices}
        for uid, generation in written.items():
            if generation < 0 and uid in cached:
                return True
            if generation >= 0 and cached.get(uid, -1) < generation:
                return True
        return False

    def forget(self, service: tuple[str, str]) -> None:
        """Drops what is remembered of a service that is gone."""
        self._generations.pop(service, None)
