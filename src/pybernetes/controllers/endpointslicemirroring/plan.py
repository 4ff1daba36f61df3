"""Which slices mirror Endpoints that somebody else made; pure (upstream: pkg/controller/endpointslicemirroring)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pybernetes.api.owners import controller_ref
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import (
    ENDPOINTS_LABEL_MANAGED_BY,
    ENDPOINTS_LAST_CHANGE_TRIGGER_TIME,
    LABEL_SERVICE_NAME,
    LABEL_SKIP_MIRROR,
    LAST_APPLIED_CONFIG_ANNOTATION,
    LEADER_ELECTION_RECORD_ANNOTATION,
)

from ..endpointslice import endpoints as util
from ..endpointslice.slices import MANAGED_BY, Changes, PortKey, pack, port_key, recycled

MANAGER = "endpointslicemirroring-controller.k8s.io"
MAX_PER_SLICE = 1000  # the most that a slice may hold


def should_mirror(endpoints: core.Endpoints) -> bool:
    """Neither marked to be left alone nor a lock."""
    labels = endpoints.metadata.labels
    return (
        labels.get(LABEL_SKIP_MIRROR) != "true"
        and LEADER_ELECTION_RECORD_ANNOTATION not in endpoints.metadata.annotations
    )


def _blank(endpoints: core.Endpoints, kind: str, ports: list[discovery.EndpointPort]) -> discovery.EndpointSlice:
    return discovery.EndpointSlice(
        metadata=meta.ObjectMeta(
            generate_name=f"{endpoints.metadata.name}-",
            namespace=endpoints.metadata.namespace,
            labels=labels_of(endpoints),
            annotations=annotations_of(endpoints),
            owner_references=[controller_ref(endpoints)],
        ),
        address_type=kind,
        ports=ports,
    )


def labels_of(endpoints: core.Endpoints) -> dict[str, str]:
    """Those of the endpoints, and whose slice it is."""
    own = {key: value for key, value in endpoints.metadata.labels.items() if key != ENDPOINTS_LABEL_MANAGED_BY}
    return {**own, LABEL_SERVICE_NAME: endpoints.metadata.name, MANAGED_BY: MANAGER}


def annotations_of(endpoints: core.Endpoints) -> dict[str, str]:
    """Those of the endpoints that mean something on a slice."""
    left_out = {LAST_APPLIED_CONFIG_ANNOTATION, ENDPOINTS_LAST_CHANGE_TRIGGER_TIME}
    return {key: value for key, value in endpoints.metadata.annotations.items() if key not in left_out}


def endpoint_of(address: core.EndpointAddress, ready: bool) -> discovery.Endpoint:
    """An address as an endpoint."""
    target = msgspec.structs.replace(address.target_ref) if address.target_ref is not None else None
    return discovery.Endpoint(
        addresses=[address.ip],
        conditions=discovery.EndpointConditions(ready=ready),
        target_ref=target,
        node_name=address.node_name,
        hostname=address.hostname or None,
    )


def ports_of(subset: core.EndpointSubset) -> list[discovery.EndpointPort]:
    """The ports of a subset."""
    return [
        discovery.EndpointPort(name=p.name, port=p.port, protocol=p.protocol, app_protocol=p.app_protocol)
        for p in subset.ports
    ]


def plan(endpoints: core.Endpoints, existing: Sequence[discovery.EndpointSlice], most: int) -> tuple[Changes, int]:
    """What to write, and how many addresses of a subset were left out; `most`: addresses of a subset that are mirrored."""
    by_ports: dict[tuple[str, PortKey], list[discovery.EndpointSlice]] = {}
    for present in existing:
        by_ports.setdefault((present.address_type, port_key(present.ports)), []).append(present)
    changes, skipped = Changes(), 0
    groups: dict[tuple[str, PortKey], tuple[list[discovery.EndpointPort], list[discovery.Endpoint]]] = {}
    for subset in util.repack(endpoints.subsets):
        ports, room = ports_of(subset), most
        for ready, addresses in ((True, subset.addresses), (False, subset.not_ready_addresses)):
            skipped += max(0, len(addresses) - room)
            for address in addresses[:room]:
                kind = util.family(address.ip)
                groups.setdefault((kind, port_key(ports)), (ports, []))[1].append(endpoint_of(address, ready))
            room -= min(room, len(addresses))
    for (kind, key), (ports, mirrored) in groups.items():
        slices = by_ports.pop((kind, key), [])
        fresh = _blank(endpoints, kind, ports)
        changes.add(pack(slices, mirrored, fresh, lambda _: labels_of(endpoints), MAX_PER_SLICE))
    for rest in by_ports.values():
        changes.delete += rest
    return recycled(changes, lambda present: True), skipped


def index_by_service(present: discovery.EndpointSlice) -> list[str]:
    """NAMESPACE/SERVICE for slices of this controller."""
    labels = present.metadata.labels
    if labels.get(MANAGED_BY) != MANAGER or LABEL_SERVICE_NAME not in labels:
        return []
    return [f"{present.metadata.namespace}/{labels[LABEL_SERVICE_NAME]}"]
