"""Keeps the EndpointSlices of each service with a selector (upstream: pkg/controller/endpointslice, k8s.io/endpointslice)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.wellknown import LABEL_TOPOLOGY_ZONE

from ..common import Key, aggregate, namespace_terminating
from ..framework import Again, Context, Controller
from ..indexers import BY_LABEL, index_by_label
from . import endpoints as util
from .plan import index_by_service, plan
from .slices import Changes, Tracker
from .topology import Topology

BY_SERVICE = "service"
TOLD = 10  # failures that an event tells of: a node that is gone may have had hundreds of a service's pods
ZONES_DELAY = 1.0  # seconds: nodes that change together ask once
STALE_RETRIES = 9  # about 2.5 s of back-off, then a cache that lags behind our own writes is believed


class SliceFailed(Exception):
    """A slice could not be written; the text is upstream's, `cause` what was answered."""

    def __init__(self, text: str, cause: StatusError) -> None:
        super().__init__(text)
        self.cause = cause


class EndpointSliceController(Controller):
    """One queue of services; pods, slices and nodes' zones lead to theirs."""

    name = "endpointslice-controller"
    component = "endpoint-slice-controller"
    account = "endpointslice-controller"
    queue_name = "endpoint_slice"
    max_retries = 15
    retry_delays = (1.0, 1000.0)

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_service_endpoint_syncs)
        self._services = self.informer(core.Service)
        self._pods = self.informer(core.Pod)
        self._nodes = self.informer(core.Node)
        self._slices = self.informer(discovery.EndpointSlice)
        self._services.add_index(util.BY_SELECTOR, util.index_by_selector)
        self._pods.add_index(BY_LABEL, index_by_label)
        self._slices.add_index(BY_SERVICE, index_by_service)
        self._times = util.TriggerTimes()
        self._costs: dict[Key, float] = {}  # seconds that the last decision took
        self._tracker = Tracker()
        self._topology = Topology()
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
        for endpoint_slice in (old, new):
            for text in index_by_service(endpoint_slice) if endpoint_slice is not None else ():
                namespace, _, name = text.partition("/")
                key = (namespace, name)
                if new is None:
                    self._tracker.seen_gone(key, endpoint_slice.metadata.uid)  # type: ignore[union-attr]  # index_by_service took it
                elif self._tracker.expected(key, new.metadata.uid, new.metadata.generation):
                    continue
                self.queue.add_after(key, self._delay)

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        """A zone is part of every endpoint on the node, and pods whose node was missing may come back. Its CPU is part of its zone's share."""
        if self._topology.zones.change(old, new):
            for key in self._topology.overloaded():
                self.queue.add_after(key, ZONES_DELAY)
        zones = [node.metadata.labels.get(LABEL_TOPOLOGY_ZONE) if node is not None else None for node in (old, new)]
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
            self._topology.forget(key)
            return  # the garbage collector deletes its slices
        if service.spec.type == "ExternalName" or not service.spec.selector:
            return
        existing = [
            endpoint_slice
            for endpoint_slice in self._slices.by_index(BY_SERVICE, f"{key[0]}/{key[1]}")
            if endpoint_slice.metadata.deletion_timestamp is None
        ]
        if self._tracker.stale(key, existing):
            if self.queue.num_requeues(key) < STALE_RETRIES:
                raise Again("EndpointSlice informer cache is out of date")
            self._tracker.forget(key)  # what was written must have been deleted by somebody else before it was seen
        start = self.context.clock.monotonic()
        pods = util.pods_of(self._pods, service)
        moment = self._times.compute(service, pods)
        changes, missing = plan(service, pods, self._nodes.get, existing, self._most, self._topology)
        self._costs[key] = self.context.clock.monotonic() - start
        try:
            await self._apply(key, service, changes, moment)
        except SliceFailed as failed:
            self._tell(service, [*missing, str(failed)])
            raise failed.cause from None
        finally:
            for kind, reason, message in changes.events:
                self.recorder.event(service, kind, reason, message)
        if missing:
            self._tell(service, missing)
            raise Again(aggregate(missing[:TOLD]))

    def _tell(self, service: core.Service, failures: Sequence[str]) -> None:
        meta = service.metadata
        text = f"Error updating Endpoint Slices for Service {meta.namespace}/{meta.name}: {aggregate(failures[:TOLD])}"
        self.recorder.warning(service, "FailedToUpdateEndpointSlices", text)

    async def _apply(self, key: Key, service: core.Service, changes: Changes, moment: datetime | None) -> None:
        """SliceFailed with upstream's words for the first write that was refused."""
        where = f"EndpointSlice for Service {key[0]}/{key[1]}"
        try:
            if service.metadata.deletion_timestamp is None:
                await asyncio.gather(
                    *(self._create(key, _stamped(endpoint_slice, moment)) for endpoint_slice in changes.create)
                )
        except StatusError as error:
            if namespace_terminating(error):
                return
            raise SliceFailed(f"failed to create {where}: {error}", error) from error
        for endpoint_slice in changes.update:
            try:
                self._tracker.wrote(key, await self.client.update(_stamped(endpoint_slice, moment)))
            except StatusError as error:
                raise SliceFailed(f"failed to update {endpoint_slice.metadata.name} {where}: {error}", error) from error
        for endpoint_slice in changes.delete:
            name, namespace = endpoint_slice.metadata.name, endpoint_slice.metadata.namespace
            try:
                await self.client.delete(discovery.EndpointSlice, name, namespace)
            except StatusError as error:
                if error.code != 404:
                    raise SliceFailed(f"failed to delete {name} {where}: {error}", error) from error
            else:
                self._tracker.deleted(key, endpoint_slice.metadata.uid)

    async def _create(self, key: Key, endpoint_slice: discovery.EndpointSlice) -> None:
        self._tracker.wrote(key, await self.client.create(endpoint_slice))


def _stamped(endpoint_slice: discovery.EndpointSlice, moment: datetime | None) -> discovery.EndpointSlice:
    notes = util.annotate(endpoint_slice.metadata.annotations, moment)
    return msgspec.structs.replace(
        endpoint_slice, metadata=msgspec.structs.replace(endpoint_slice.metadata, annotations=notes)
    )
