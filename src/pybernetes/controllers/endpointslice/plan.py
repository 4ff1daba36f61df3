"""Which endpoint slices a service should have; pure (upstream: pkg/controller/endpointslice, k8s.io/endpointslice)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pybernetes.api.owners import controller_ref
from pybernetes.api.pods import is_ready
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import (
    IS_HEADLESS_SERVICE,
    LABEL_SERVICE_NAME,
    LABEL_TOPOLOGY_ZONE,
)

from . import endpoints as util
from .slices import MANAGED_BY, Changes, PortKey, alike, pack, port_key, recycled, same
from .topology import Topology, asked

MANAGER = "endpointslice-controller.k8s.io"
SAME_NODE, SAME_ZONE = "PreferSameNode", ("PreferClose", "PreferSameZone")  # values of trafficDistribution
RESERVED = {LABEL_SERVICE_NAME, MANAGED_BY, IS_HEADLESS_SERVICE}
Nodes = Callable[[str], core.Node | None]


def labels_of(service: core.Service) -> dict[str, str]:
    """The service's labels, and those that say whose slice it is."""
    own = {key: value for key, value in service.metadata.labels.items() if key not in RESERVED}
    own |= {LABEL_SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}
    return util.with_headless(own, util.is_headless(service))


def blank(service: core.Service, address_type: str, ports: list[discovery.EndpointPort]) -> discovery.EndpointSlice:
    """A slice of the service without endpoints, not created yet."""
    return discovery.EndpointSlice(
        metadata=meta.ObjectMeta(
            generate_name=f"{service.metadata.name}-",
            namespace=service.metadata.namespace,
            labels=labels_of(service),
            owner_references=[controller_ref(service)],
        ),
        address_type=address_type,
        ports=ports,
    )


def endpoint_of(pod: core.Pod, node: core.Node | None, service: core.Service, address_type: str) -> discovery.Endpoint:
    """A pod as an endpoint; without addresses of the type it has none."""
    serving, terminating = is_ready(pod), pod.metadata.deletion_timestamp is not None
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    zone = (node.metadata.labels.get(LABEL_TOPOLOGY_ZONE) if node is not None else None) or None
    return discovery.Endpoint(
        addresses=util.addresses_of(pod, address_type),
        conditions=discovery.EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        target_ref=util.pod_reference(pod),
        node_name=pod.spec.node_name or None,
        zone=zone,
        hostname=pod.spec.hostname if util.has_hostname(pod, service) else None,
        hints=hints_of(service, pod.spec.node_name, zone) if ready else None,
    )


def hints_of(service: core.Service, node: str, zone: str | None) -> discovery.EndpointHints | None:
    """Who should use a ready endpoint: its node and zone, by the service's trafficDistribution; proxies that know no nodes then go by zones
    (upstream: endpointslice/trafficdist). None where the annotation asks for hints by the zones' shares, which `topology` gives to all at once."""
    chosen = service.spec.traffic_distribution
    if asked(service):
        return None
    zones = [discovery.ForZone(name=zone)] if zone and chosen in (*SAME_ZONE, SAME_NODE) else []
    nodes = [discovery.ForNode(name=node)] if node and chosen == SAME_NODE else []
    return discovery.EndpointHints(for_nodes=nodes, for_zones=zones) if zones or nodes else None


def ports_of(service: core.Service, pod: core.Pod) -> list[discovery.EndpointPort]:
    """The service's ports that the pod has."""
    if util.is_headless(service) and not service.spec.ports:
        return []
    numbers = ((port, util.find_port(pod, port)) for port in service.spec.ports)
    return [
        discovery.EndpointPort(name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol)
        for port, number in numbers
        if number is not None
    ]


def plan(
    service: core.Service,
    pods: Sequence[core.Pod],
    node: Nodes,
    existing: Sequence[discovery.EndpointSlice],
    most: int,
    topology: Topology,
) -> tuple[Changes, list[str]]:
    """What to write, and the pods that were left out because their node is not there. `topology` remembers the hints that are given."""
    kinds = util.families(service, pods)
    changes = Changes(delete=[present for present in existing if present.address_type not in kinds])
    for present in changes.delete:
        topology.drop((service.metadata.namespace, service.metadata.name), present.address_type)
    missing: list[str] = []
    for kind in kinds:
        slices = [present for present in existing if present.address_type == kind]
        changes.add(_plan_type(service, pods, node, slices, kind, most, topology, missing))
    return changes, missing


def _plan_type(
    service: core.Service,
    pods: Sequence[core.Pod],
    node: Nodes,
    existing: Sequence[discovery.EndpointSlice],
    kind: str,
    most: int,
    topology: Topology,
    missing: list[str],
) -> Changes:
    by_shares = asked(service)
    by_ports: dict[PortKey, list[discovery.EndpointSlice]] = {}
    changes = Changes()
    for present in existing:
        if owned(present, service):
            by_ports.setdefault(port_key(present.ports), []).append(present)
        else:
            changes.delete.append(present)
    for key, (ports, endpoints) in _groups(service, pods, node, kind, missing).items():
        slices = by_ports.pop(key, [])
        empty, equal = blank(service, kind, ports), alike if by_shares else same
        changes.add(pack(slices, endpoints, empty, lambda _: labels_of(service), most, equal))
    for rest in by_ports.values():
        changes.delete += rest
    if len(existing) == len(changes.delete) and not changes.create:
        _keep_placeholder(service, kind, changes)
    name = (service.metadata.namespace, service.metadata.name)
    if by_shares:
        changing = {present.metadata.name for present in (*changes.update, *changes.delete)}
        topology.hint(name, kind, changes, [present for present in existing if present.metadata.name not in changing])
    else:
        topology.withdraw(name, kind, changes)
    return recycled(changes, lambda present: owned(present, service))


def _groups(
    service: core.Service, pods: Sequence[core.Pod], node: Nodes, kind: str, missing: list[str]
) -> dict[PortKey, tuple[list[discovery.EndpointPort], list[discovery.Endpoint]]]:
    groups: dict[PortKey, tuple[list[discovery.EndpointPort], list[discovery.Endpoint]]] = {}
    for pod in pods:
        if not util.belongs(pod, include_terminating=True):
            continue
        ports = ports_of(service, pod)
        _, endpoints = groups.setdefault(port_key(ports), (ports, []))
        where = node(pod.spec.node_name)
        if where is None and not service.spec.publish_not_ready_addresses:
            missing.append(_skipped(service, pod))
            continue
        endpoint = endpoint_of(pod, where, service, kind)
        if endpoint.addresses:
            endpoints.append(endpoint)
    return groups


def _skipped(service: core.Service, pod: core.Pod) -> str:
    meta = service.metadata
    return f"skipping Pod {pod.metadata.name} for Service {meta.namespace}/{meta.name}: Node {pod.spec.node_name} Not Found"


def _keep_placeholder(service: core.Service, kind: str, changes: Changes) -> None:
    """A service without endpoints has one empty slice, so that clients see that there are none."""
    empty = blank(service, kind, [])
    if len(changes.delete) == 1:
        present = changes.delete[0]
        same_labels = present.metadata.labels == empty.metadata.labels
        if same_labels and not present.endpoints and not present.ports and owned(present, service):
            changes.delete.clear()
            return
    changes.create.append(empty)


def owned(present: discovery.EndpointSlice, service: core.Service) -> bool:
    """Whether a slice is this service's, and not one of a former service of its name."""
    return any(ref.kind == "Service" and ref.uid == service.metadata.uid for ref in present.metadata.owner_references)


def index_by_service(present: discovery.EndpointSlice) -> list[str]:
    """NAMESPACE/SERVICE for slices of this controller."""
    labels = present.metadata.labels
    if labels.get(MANAGED_BY) != MANAGER or LABEL_SERVICE_NAME not in labels:
        return []
    return [f"{present.metadata.namespace}/{labels[LABEL_SERVICE_NAME]}"]
