"""Keeps the Endpoints of each service with a selector (upstream: pkg/controller/endpoint)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from ..common import Key, is_ready, namespace_terminating
from ..endpointslice import endpoints as util
from ..framework import Context, Controller

MAX_ADDRESSES = 1000  # more would make objects that no client can bear
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
TRUNCATED = "truncated"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
ORPHAN_SECONDS = 1.0  # services and endpoints come over two watches: one that seems missing may just be late


def subsets_of(service: core.Service, pods: Sequence[core.Pod]) -> list[core.EndpointSubset]:
    """The addresses of the pods under the ports that each of them really has."""
    unready = service.spec.publish_not_ready_addresses
    family = util.families(service, pods)[0]
    found: list[core.EndpointSubset] = []
    for pod in pods:
        if not util.belongs(pod, unready):
            continue
        addresses = util.addresses_of(pod, family)
        if not addresses:
            continue
        ports = _ports_of(service, pod)
        if not ports and not (util.is_headless(service) and not service.spec.ports):
            continue
        address = core.EndpointAddress(
            ip=addresses[0],
            node_name=pod.spec.node_name or None,
            target_ref=util.pod_reference(pod),
            hostname=pod.spec.hostname if util.has_hostname(pod, service) else "",
        )
        subset = core.EndpointSubset(ports=ports)
        (subset.addresses if unready or is_ready(pod) else subset.not_ready_addresses).append(address)
        found.append(subset)
    return util.repack(found)


def _ports_of(service: core.Service, pod: core.Pod) -> list[core.EndpointPort]:
    numbers = ((port, util.find_port(pod, port)) for port in service.spec.ports)
    return [
        core.EndpointPort(name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol)
        for port, number in numbers
        if number is not None
    ]


def truncate(subsets: Sequence[core.EndpointSubset]) -> tuple[list[core.EndpointSubset], bool]:
    """No more than the limit, ready ones first, each subset its share; whether something was left out (truncateEndpoints)."""
    ready = sum(len(subset.addresses) for subset in subsets)
    unready = sum(len(subset.not_ready_addresses) for subset in subsets)
    if ready + unready <= MAX_ADDRESSES:
        return list(subsets), False
    kept_ready = _shares([len(subset.addresses) for subset in subsets], MAX_ADDRESSES)
    room = MAX_ADDRESSES - sum(kept_ready)
    kept_unready = _shares([len(subset.not_ready_addresses) for subset in subsets], room)
    result = [
        core.EndpointSubset(
            addresses=subset.addresses[:some],
            not_ready_addresses=subset.not_ready_addresses[:others],
            ports=subset.ports,
        )
        for subset, some, others in zip(subsets, kept_ready, kept_unready, strict=True)
    ]
    return [subset for subset in result if subset.addresses or subset.not_ready_addresses], True


def _shares(sizes: Sequence[int], room: int) -> list[int]:
    total = sum(sizes)
    if total <= room:
        return list(sizes)
    shares = [size * room // total for size in sizes]
    for index, size in enumerate(sizes):  # what rounding left over
        more = min(room - sum(shares), size - shares[index])
        shares[index] += max(0, more)
    return shares


def desired(
    service: core.Service, current: core.Endpoints | None, pods: Sequence[core.Pod], moment: datetime | None
) -> core.Endpoints | None:
    """What to write, None where it is so already; `moment` is the time of the change that is answered."""
    subsets, over = truncate(subsets_of(service, pods))
    labels = {**util.with_headless(service.metadata.labels, util.is_headless(service)), MANAGED_BY: MANAGER}
    if current is not None and (
        util.without_versions(current.subsets) == subsets
        and current.metadata.labels == labels
        and (current.metadata.annotations.get(OVER_CAPACITY) == TRUNCATED) == over
    ):
        return None
    if current is None:
        identity = meta.ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace)
        current = core.Endpoints(metadata=identity)
    notes = util.annotate(current.metadata.annotations, moment)
    notes.pop(OVER_CAPACITY, None)
    if over:
        notes[OVER_CAPACITY] = TRUNCATED
    metadata = msgspec.structs.replace(current.metadata, labels=labels, annotations=notes)
    return core.Endpoints(metadata=metadata, subsets=subsets)


LEADER = "control-plane.alpha.kubernetes.io/leader"  # on locks of old leader elections: no service has ever been theirs


class EndpointsController(Controller):
    """One queue of services; pods and endpoints lead to theirs."""

    name = "endpoints-controller"
    component = account = "endpoint-controller"
    queue_name = "endpoint"
    max_retries = 15

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_endpoint_syncs)
        self._services = self.informer(core.Service)
        self._pods = self.informer(core.Pod)
        self._endpoints = self.informer(core.Endpoints)
        self._services.add_index(util.BY_SELECTOR, util.index_by_selector)
        self._pods.add_index(util.BY_LABEL, util.index_by_label)
        self._times = util.TriggerTimes()
        self._costs: dict[Key, float] = {}  # seconds that the last decision took
        self._delay = context.options.endpoint_updates_batch_period
        self._services.add_handler(self.on_change)
        self._pods.add_handler(self._on_pod)
        self._endpoints.add_handler(self._on_endpoints)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        for key in util.services_to_tell(self._services, old, new):
            self.queue.add_after(key, max(self._delay, self._costs.get(key, 0.0) * util.PAUSE))

    def _on_endpoints(self, old: core.Endpoints | None, new: core.Endpoints | None) -> None:
        """Deleted ones are made again, and those without a service are deleted at the start."""
        if old is not None and new is None:
            self.enqueue(old)
        elif old is None and new is not None and self._services.get(new.metadata.name, new.metadata.namespace) is None:
            self.queue.add_after((new.metadata.namespace, new.metadata.name), ORPHAN_SECONDS)

    async def sync(self, key: Key) -> None:
        """Writes the endpoints of a service where they are not as they should be."""
        service = self._services.get(key[1], key[0])
        if service is None:
            self._times.forget(key)
            self._costs.pop(key, None)
            await self._delete(key)
            return
        if service.spec.type == "ExternalName" or not service.spec.selector:
            return
        start = self.context.clock.monotonic()
        pods = util.pods_of(self._pods, service)
        moment = self._times.compute(service, pods)
        current = self._endpoints.get(key[1], key[0])
        wanted = desired(service, current, pods, moment)
        self._costs[key] = self.context.clock.monotonic() - start
        if wanted is not None:
            await self._write(service, current is None, wanted)

    async def _delete(self, key: Key) -> None:
        known = self._endpoints.get(key[1], key[0])
        if known is None or LEADER in known.metadata.annotations:
            return
        try:
            await self.client.delete(core.Endpoints, key[1], key[0])
        except StatusError as error:
            if error.code != 404:
                raise

    async def _write(self, service: core.Service, new: bool, wanted: core.Endpoints) -> None:
        namespace, name = wanted.metadata.namespace, wanted.metadata.name
        try:
            await (self.client.create(wanted) if new else self.client.update(wanted))
        except StatusError as error:
            if new and namespace_terminating(error):
                return
            if new:
                text = f"Failed to create endpoint for service {namespace}/{name}: {error}"
                self.recorder.warning(service, "FailedToCreateEndpoint", text)
            else:
                text = f"Failed to update endpoint {namespace}/{name}: {error}"
                self.recorder.warning(wanted, "FailedToUpdateEndpoint", text)
            raise
