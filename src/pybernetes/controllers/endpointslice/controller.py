"""Keeps the EndpointSlices of each service with a selector (upstream: pkg/controller/endpointslice, k8s.io/endpointslice).

Topology hints are not given: kube-proxy takes all endpoints then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import meta_v1 as meta

from ..common import Key, controller_ref, is_ready, namespace_terminating
from ..framework import Again, Context, Controller
from . import endpoints as util
from .slices import MANAGED_BY, SERVICE_NAME, Changes, PortKey, Tracker, pack, port_key, recycled

MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
RESERVED = {SERVICE_NAME, MANAGED_BY, util.HEADLESS}
BY_SERVICE = "service"
STALE_RETRIES = 9  # about 2.5 s of back-off, then a cache that lags behind our own writes is believed

Nodes = Callable[[str], core.Node | None]


def labels_of(service: core.Service) -> dict[str, str]:
    """The service's labels, and those that say whose slice it is."""
    own = {key: value for key, value in service.metadata.labels.items() if key not in RESERVED}
    own |= {SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}
    return util.with_headless(own, util.is_headless(service))


def blank(service: core.Service, address_type: str, ports: list[discovery.EndpointPort]) -> discovery.EndpointSlice:
    """A new slice."""
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
    return discovery.Endpoint(
        addresses=util.addresses_of(pod, address_type),
        conditions=discovery.EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        target_ref=util.pod_reference(pod),
        node_name=pod.spec.node_name or None,
        zone=(node.metadata.labels.get(ZONE) if node is not None else None) or None,
        hostname=pod.spec.hostname if util.has_hostname(pod, service) else None,
    )


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
) -> tuple[Changes, list[str]]:
    """What to write, and the pods that were left out because their node is not there."""
    kinds = util.families(service, pods)
    changes = Changes(delete=[known for known in existing if known.address_type not in kinds])
    missing: list[str] = []
    for kind in kinds:
        slices = [known for known in existing if known.address_type == kind]
        changes.add(_plan_type(service, pods, node, slices, kind, most, missing))
    return changes, missing


def _plan_type(
    service: core.Service,
    pods: Sequence[core.Pod],
    node: Nodes,
    existing: Sequence[discovery.EndpointSlice],
    kind: str,
    most: int,
    missing: list[str],
) -> Changes:
    by_ports: dict[PortKey, list[discovery.EndpointSlice]] = {}
    changes = Changes()
    for known in existing:
        if owned(known, service):
            by_ports.setdefault(port_key(known.ports), []).append(known)
        else:
            changes.delete.append(known)
    for key, (ports, endpoints) in _wanted(service, pods, node, kind, missing).items():
        slices = by_ports.pop(key, [])
        changes.add(pack(slices, endpoints, blank(service, kind, ports), lambda _: labels_of(service), most))
    for rest in by_ports.values():
        changes.delete += rest
    if len(existing) == len(changes.delete) and not changes.create:
        _keep_placeholder(service, kind, changes)
    return recycled(changes, lambda known: owned(known, service))


def _wanted(
    service: core.Service, pods: Sequence[core.Pod], node: Nodes, kind: str, missing: list[str]
) -> dict[PortKey, tuple[list[discovery.EndpointPort], list[discovery.Endpoint]]]:
    wanted: dict[PortKey, tuple[list[discovery.EndpointPort], list[discovery.Endpoint]]] = {}
    for pod in pods:
        if not util.belongs(pod, include_terminating=True):
            continue
        ports = ports_of(service, pod)
        _, endpoints = wanted.setdefault(port_key(ports), (ports, []))
        where = node(pod.spec.node_name)
        if where is None and not service.spec.publish_not_ready_addresses:
            missing.append(pod.metadata.name)
            continue
        endpoint = endpoint_of(pod, where, service, kind)
        if endpoint.addresses:
            endpoints.append(endpoint)
    return wanted


def _keep_placeholder(service: core.Service, kind: str, changes: Changes) -> None:
    """A service without endpoints has one empty slice, so that clients see that there are none."""
    empty = blank(service, kind, [])
    if len(changes.delete) == 1:
        known = changes.delete[0]
        same_labels = known.metadata.labels == empty.metadata.labels
        if same_labels and not known.endpoints and not known.ports and owned(known, service):
            changes.delete.clear()
            return
    changes.create.append(empty)


def owned(known: discovery.EndpointSlice, service: core.Service) -> bool:
    """Whether a slice is this service's, and not one of a former service of its name."""
    return any(ref.kind == "Service" and ref.uid == service.metadata.uid for ref in known.metadata.owner_references)


def index_by_service(known: discovery.EndpointSlice) -> list[str]:
    """NAMESPACE/SERVICE for slices of this controller."""
    labels = known.metadata.labels
    if labels.get(MANAGED_BY) != MANAGER or SERVICE_NAME not in labels:
        return []
    return [f"{known.metadata.namespace}/{labels[SERVICE_NAME]}"]


class EndpointSliceController(Controller):
    """One queue of services; pods, slices and nodes' zones lead to theirs."""

    name = "endpointslice-controller"
    component = "endpoint-slice-controller"
    account = "endpointslice-controller"
    queue_name = "endpoint_slice"
    max_retries = 15

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_service_endpoint_syncs)
        self._services = self.informer(core.Service)
        self._pods = self.informer(core.Pod)
        self._nodes = self.informer(core.Node)
        self._slices = self.informer(discovery.EndpointSlice)
        self._services.add_index(util.BY_SELECTOR, util.index_by_selector)
        self._pods.add_index(util.BY_LABEL, util.index_by_label)
        self._slices.add_index(BY_SERVICE, index_by_service)
        self._times = util.TriggerTimes()
        self._costs: dict[Key, float] = {}  # seconds that the last decision took
        self._tracker = Tracker()
        self._delay = context.options.endpointslice_updates_batch_period
        self._most = context.options.max_endpoints_per_slice
        self._services.add_handler(self.on_change)
        self._pods.add_handler(self._on_pod)
        self._slices.add_handler(self._on_slice)
        self._nodes.add_handler(self._on_node)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        for key in util.services_to_tell(self._services, old, new):
            self.queue.add_after(key, max(self._delay, self._costs.get(key, 0.0) * util.PAUSE))

    def _on_slice(self, old: discovery.EndpointSlice | None, new: discovery.EndpointSlice | None) -> None:
        """What others did to a slice is undone."""
        for known in (old, new):
            for text in index_by_service(known) if known is not None else ():
                namespace, _, name = text.partition("/")
                key = (namespace, name)
                if new is None:
                    self._tracker.seen_gone(key, known.metadata.uid)  # type: ignore[union-attr]  # index_by_service took it
                elif self._tracker.expected(key, new.metadata.uid, new.metadata.generation):
                    continue
                self.queue.add_after(key, self._delay)

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        """A zone is part of every endpoint on the node, and pods whose node was missing may come back."""
        zones = [node.metadata.labels.get(ZONE) if node is not None else None for node in (old, new)]
        if old is not None and zones[0] == zones[1]:
            return
        if old is None and zones[1] is None:
            return  # syncs that missed it try again by themselves
        for service in self._services.list():
            if service.spec.selector:
                self.enqueue(service)

    async def sync(self, key: Key) -> None:
        """Writes the slices of a service where they are not as they should be."""
        service = self._services.get(key[1], key[0])
        if service is None:
            self._times.forget(key)
            self._costs.pop(key, None)
            self._tracker.forget(key)
            return  # the garbage collector deletes its slices
        if service.spec.type == "ExternalName" or not service.spec.selector:
            return
        existing = [
            known
            for known in self._slices.by_index(BY_SERVICE, f"{key[0]}/{key[1]}")
            if known.metadata.deletion_timestamp is None
        ]
        if self._tracker.stale(key, existing):
            if self.queue.num_requeues(key) < STALE_RETRIES:
                raise Again("EndpointSlice informer cache is out of date")
            self._tracker.forget(key)  # what was written must have been deleted by somebody else before it was seen
        start = self.context.clock.monotonic()
        pods = util.pods_of(self._pods, service)
        moment = self._times.compute(service, pods)
        changes, missing = plan(service, pods, self._nodes.get, existing, self._most)
        self._costs[key] = self.context.clock.monotonic() - start
        try:
            await self._apply(key, service, changes, moment)
        except StatusError as error:
            text = f"Error updating Endpoint Slices for Service {key[0]}/{key[1]}: {error}"
            self.recorder.warning(service, "FailedToUpdateEndpointSlices", text)
            raise
        if missing:
            raise Again(f"skipping pods whose node is not found: {', '.join(missing[:10])}")

    async def _apply(self, key: Key, service: core.Service, changes: Changes, moment: datetime | None) -> None:
        try:
            if service.metadata.deletion_timestamp is None:
                await asyncio.gather(*(self._create(key, _stamped(known, moment)) for known in changes.create))
        except StatusError as error:
            if namespace_terminating(error):
                return
            raise
        for known in changes.update:
            self._tracker.wrote(key, await self.client.update(_stamped(known, moment)))
        for known in changes.delete:
            try:
                await self.client.delete(discovery.EndpointSlice, known.metadata.name, known.metadata.namespace)
            except StatusError as error:
                if error.code != 404:
                    raise
            else:
                self._tracker.deleted(key, known.metadata.uid)

    async def _create(self, key: Key, wanted: discovery.EndpointSlice) -> None:
        self._tracker.wrote(key, await self.client.create(wanted))


def _stamped(known: discovery.EndpointSlice, moment: datetime | None) -> discovery.EndpointSlice:
    notes = util.annotate(known.metadata.annotations, moment)
    return msgspec.structs.replace(known, metadata=msgspec.structs.replace(known.metadata, annotations=notes))
