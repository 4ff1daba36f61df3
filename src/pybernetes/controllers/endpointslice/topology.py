"""Hints by the zones' shares of CPU, for Services with service.kubernetes.io/topology-mode: Auto; pure.

Upstream: k8s.io/endpointslice/topologycache. Upstream breaks ties by the order of a map, which is another one each time; here they go by name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.wellknown import (
    ANNOTATION_TOPOLOGY_AWARE_HINTS,
    ANNOTATION_TOPOLOGY_MODE,
    LABEL_TOPOLOGY_ZONE,
)

from ..common import Key
from .slices import Changes, Event

OVERLOAD = 0.2  # what an endpoint may get more than its part, at most
CONTROL_PLANE = {
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
}  # labels: users' pods are elsewhere
ENABLED, DISABLED = "TopologyAwareHintsEnabled", "TopologyAwareHintsDisabled"  # reasons of events

Shares = Mapping[str, float]  # zone -> its part of the CPU of all nodes
Capacity = tuple[str, int]  # zone ("": not said), nanos of CPU
UNSAID: Capacity = ("", 0)


@dataclass(frozen=True, slots=True)
class Allocation:
    """How many endpoints of a Service are for one zone."""

    minimum: int
    maximum: int
    desired: float


class Refused(Exception):
    """No hints can be given; the text is upstream's."""


def asked(service: core.Service) -> bool:
    """Whether a Service asks for these hints; the annotation's name of before 1.27 goes first."""
    notes = service.metadata.annotations
    return notes.get(ANNOTATION_TOPOLOGY_AWARE_HINTS, notes.get(ANNOTATION_TOPOLOGY_MODE)) in ("Auto", "auto")


def capacity_of(node: core.Node | None) -> Capacity | None:
    """None of nodes that do not count: not ready, or of the control plane."""
    if node is None or CONTROL_PLANE & node.metadata.labels.keys():
        return None
    if next((c.status for c in node.status.conditions if c.type == "Ready"), "") != "True":
        return None
    zone, cpu = node.metadata.labels.get(LABEL_TOPOLOGY_ZONE), node.status.allocatable.get("cpu")
    return (zone, cpu.nanos) if zone and cpu is not None and cpu.nanos else UNSAID


class Zones:
    """The CPU of all zones, kept by difference."""

    def __init__(self) -> None:
        self._nodes: Counter[str] = Counter()
        self._nanos: Counter[str] = Counter()

    def change(self, old: core.Node | None, new: core.Node | None) -> bool:
        """Whether the shares may be others now."""
        before, after = capacity_of(old), capacity_of(new)
        for capacity, sign in ((before, -1), (after, 1)):
            if capacity is not None:
                self._nodes[capacity[0]] += sign
                self._nanos[capacity[0]] += sign * capacity[1]
        return before != after

    @property
    def shares(self) -> Shares:
        """{} unless every node that counts says its zone and CPU, and there are two zones."""
        zones = sorted(zone for zone, nodes in self._nodes.items() if nodes)
        if len(zones) < 2 or UNSAID[0] in zones:
            return {}
        total = sum(self._nanos[zone] for zone in zones)
        return {zone: self._nanos[zone] / total for zone in zones}


def _least(endpoints: float) -> int:
    """How few endpoints may do the work of so many."""
    return math.ceil(endpoints * (1 / (1 + OVERLOAD)))


def allocate(shares: Shares, endpoints: int) -> dict[str, Allocation]:
    """By zone. Refused where some endpoint would get too much."""
    if not shares:
        raise Refused("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes")
    numbers = f"({endpoints} endpoints, {len(shares)} zones)"
    if len(shares) > endpoints:
        raise Refused(f"Insufficient number of endpoints {numbers}")
    minima = {zone: _least(share * endpoints) for zone, share in shares.items()}
    spare = endpoints - sum(minima.values())
    if spare < 0:
        raise Refused(
            "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold " + numbers
        )
    return {
        zone: Allocation(minimum, minimum + spare, max(shares[zone] * endpoints, float(minimum)))
        for zone, minimum in minima.items()
    }


def overloaded(given: Mapping[str, int], shares: Shares) -> bool:
    """Whether some zone has too few endpoints for its share."""
    if not given:
        return False
    total = sum(given.values())
    return not shares or any(zone not in given or given[zone] < _least(total * share) for zone, share in shares.items())


def transfers(allocations: Mapping[str, Allocation], given: Mapping[str, int]) -> tuple[Counter[str], Counter[str]]:
    """How many endpoints zones are to give and to receive, so that each comes near to what is desired."""
    surplus = {zone: given.get(zone, 0) - allocation.desired for zone, allocation in sorted(allocations.items())}
    giving: Counter[str] = Counter()
    receiving: Counter[str] = Counter()
    while True:
        giver, receiver = max(surplus, key=surplus.__getitem__), min(surplus, key=surplus.__getitem__)
        more, fewer = surplus[giver], -surplus[receiver]
        if min(more, fewer) < 0.5 or max(more, fewer) < 1.0:
            return giving, receiving
        giving[giver] += 1
        receiving[receiver] += 1
        surplus[giver] -= 1
        surplus[receiver] += 1


def settled(
    present: discovery.EndpointSlice, given: Mapping[str, int], allocations: Mapping[str, Allocation]
) -> Counter[str] | None:
    """The hints of a slice by zone; None where it cannot stay: one is missing, is for a zone that needs none, or is one too many."""
    counts: Counter[str] = Counter()
    for endpoint in filter(_ready, present.endpoints):
        zones = [zone.name for zone in endpoint.hints.for_zones] if endpoint.hints is not None else []
        if not zones or not allocations.keys() >= set(zones):
            return None
        counts.update(zones)
    if any(count + given.get(zone, 0) > allocations[zone].maximum for zone, count in counts.items()):
        return None
    return counts


class Topology:
    """Which zones the endpoints of Services were given to, and on what that stands."""

    def __init__(self) -> None:
        self.zones = Zones()
        self._given: dict[Key, dict[str, Counter[str]]] = {}  # by address type
        self._told: set[Key] = set()  # of whose hints an event has told

    def overloaded(self) -> list[Key]:
        """Services whose hints need another look after a change of nodes."""
        if not self._given:
            return []
        shares = self.zones.shares
        return [key for key, by in self._given.items() if any(overloaded(given, shares) for given in by.values())]

    def forget(self, key: Key) -> None:
        """Of a Service that is gone."""
        self._given.pop(key, None)
        self._told.discard(key)

    def drop(self, key: Key, kind: str) -> None:
        """It has no hints in slices of this address type."""
        by = self._given.get(key, {})
        by.pop(kind, None)
        if not by:
            self._given.pop(key, None)
        self._told.discard(key)

    def withdraw(self, key: Key, kind: str, changes: Changes) -> None:
        """The Service does not ask any more."""
        if key in self._told:
            changes.events.append(_event("Warning", DISABLED, "Topology Aware Hints has been disabled", kind))
        self.drop(key, kind)

    def hint(self, key: Key, kind: str, changes: Changes, unchanged: Sequence[discovery.EndpointSlice]) -> None:
        """Gives hints in all slices of an address type: more of them change where that must be."""
        try:
            given = self._hinted(changes, unchanged)
        except Refused as refused:
            changes.events.append(_event("Warning", DISABLED, str(refused), kind))
            self.drop(key, kind)
            _clear(changes, unchanged)
            return
        self._given.setdefault(key, {})[kind] = given
        if key not in self._told:
            self._told.add(key)
            changes.events.append(_event("Normal", ENABLED, "Topology Aware Hints has been enabled", kind))

    def _hinted(self, changes: Changes, unchanged: Sequence[discovery.EndpointSlice]) -> Counter[str]:
        """How many endpoints each zone has then. Refused."""
        every = [*changes.create, *changes.update, *unchanged]
        allocations = allocate(self.zones.shares, sum(_ready(e) for one in every for e in one.endpoints))
        given: Counter[str] = Counter()
        stale = []
        for present in unchanged:
            counts = settled(present, given, allocations)
            if counts is None:
                stale.append(msgspec.structs.replace(present, endpoints=list(present.endpoints)))
            else:
                given.update(counts)
        changing = [*changes.create, *changes.update, *stale]
        own = [e.zone or "" for one in changing for e in one.endpoints if _ready(e)]
        if "" in own:
            raise Refused("One or more endpoints do not have a zone specified")
        given.update(own)
        given.update(_redistribute(changing, *transfers(allocations, given)))
        changes.update += stale
        return given


def _redistribute(
    slices: Iterable[discovery.EndpointSlice], giving: Counter[str], receiving: Counter[str]
) -> dict[str, int]:
    """Hints endpoints for their own zone, and some of zones that give for those that receive; what zones have more then, or less."""
    moved: Counter[str] = Counter()
    for present in slices:
        for number, endpoint in enumerate(present.endpoints):
            zone = (endpoint.zone or "") if _ready(endpoint) else ""
            if zone and giving[zone] > 0:
                receiver = min(name for name, count in receiving.items() if count)
                giving[zone] -= 1
                receiving[receiver] -= 1
                moved[zone] -= 1
                moved[receiver] += 1
                zone = receiver
            hints = discovery.EndpointHints(for_zones=[discovery.ForZone(name=zone)]) if zone else None
            present.endpoints[number] = msgspec.structs.replace(endpoint, hints=hints)
    return moved


def _clear(changes: Changes, unchanged: Iterable[discovery.EndpointSlice]) -> None:
    """No slice has hints."""
    stale = [present for present in unchanged if any(endpoint.hints is not None for endpoint in present.endpoints)]
    changes.update += [msgspec.structs.replace(present) for present in stale]
    for present in (*changes.create, *changes.update):
        present.endpoints = [msgspec.structs.replace(endpoint, hints=None) for endpoint in present.endpoints]


def _ready(endpoint: discovery.Endpoint) -> bool:
    return endpoint.conditions is not None and endpoint.conditions.ready is True


def _event(kind: str, reason: str, message: str, address_type: str) -> Event:
    return kind, reason, f"{message}, addressType: {address_type}"
