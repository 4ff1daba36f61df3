"""Mirrors Endpoints that somebody else made for a service without a selector (upstream: pkg/controller/endpointslicemirroring)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.wellknown import ENDPOINTS_LAST_CHANGE_TRIGGER_TIME

from ..common import Key, namespace_terminating
from ..endpointslice import endpoints as util
from ..endpointslice.slices import Changes
from ..framework import Context, Controller
from .plan import index_by_service, plan, should_mirror

BY_SERVICE = "mirrored"
MIRROR_FAILED = "FailedToUpdateEndpointSlices"


class EndpointSliceMirroringController(Controller):
    """One queue of endpoints; services and slices lead to theirs."""

    name = "endpointslice-mirroring-controller"
    component = "endpoint-slice-mirroring-controller"
    account = "endpointslicemirroring-controller"
    queue_name = "endpoint_slice_mirroring"
    max_retries = 15
    retry_delays = (1.0, 100.0)

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.mirroring_concurrent_service_endpoint_syncs)
        self._most = context.options.mirroring_max_endpoints_per_subset
        self._delay = context.options.mirroring_endpointslice_updates_batch_period
        self._endpoints = self.informer(core.Endpoints)
        self._services = self.informer(core.Service)
        self._slices = self.informer(discovery.EndpointSlice)
        self._slices.add_index(BY_SERVICE, index_by_service)
        self._endpoints.add_handler(self._on_endpoints)
        self._services.add_handler(self.on_change)
        self._slices.add_handler(self._on_slice)

    def _on_endpoints(self, old: core.Endpoints | None, new: core.Endpoints | None) -> None:
        """Those of services with a selector are written by the endpoints controller, often: not even queued."""
        endpoints = new if new is not None else old
        assert endpoints is not None
        key = (endpoints.metadata.namespace, endpoints.metadata.name)
        service = self._services.get(key[1], key[0])
        if service is None or not service.spec.selector:
            self.queue.add_after(key, self._delay)

    def _on_slice(self, old: discovery.EndpointSlice | None, new: discovery.EndpointSlice | None) -> None:
        for endpoint_slice in (old, new):
            for text in index_by_service(endpoint_slice) if endpoint_slice is not None else ():
                namespace, _, name = text.partition("/")
                self.queue.add((namespace, name))

    async def sync(self, key: Key) -> None:
        """Writes the slices of endpoints where they are not as they should be; none where there is nothing to mirror."""
        endpoints, service = self._endpoints.get(key[1], key[0]), self._services.get(key[1], key[0])
        existing = list(self._slices.by_index(BY_SERVICE, f"{key[0]}/{key[1]}"))
        if endpoints is None or service is None or service.spec.selector or not should_mirror(endpoints):
            await self._delete(existing)
            return
        changes, skipped = plan(endpoints, existing, self._most)
        if skipped:
            text = f"A max of {self._most} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped"
            self.recorder.warning(endpoints, "TooManyAddressesToMirror", text)
        try:
            await self._apply(changes, _trigger_time(endpoints))
        except StatusError as error:
            if namespace_terminating(error):
                return
            text = f"Failed to update EndpointSlices for Endpoints {key[0]}/{key[1]}: {error}"
            self.recorder.warning(endpoints, MIRROR_FAILED, text)
            raise

    async def _apply(self, changes: Changes, stamp: str) -> None:
        for endpoint_slice in changes.create:
            await self.client.create(_stamped(endpoint_slice, stamp))
        for endpoint_slice in changes.update:
            await self.client.update(_stamped(endpoint_slice, stamp))
        await self._delete(changes.delete)

    async def _delete(self, slices: Sequence[discovery.EndpointSlice]) -> None:
        for endpoint_slice in slices:
            try:
                await self.client.delete(
                    discovery.EndpointSlice, endpoint_slice.metadata.name, endpoint_slice.metadata.namespace
                )
            except StatusError as error:
                if error.code != 404:
                    raise


def _trigger_time(endpoints: core.Endpoints) -> str:
    return endpoints.metadata.annotations.get(ENDPOINTS_LAST_CHANGE_TRIGGER_TIME, "")


def _stamped(endpoint_slice: discovery.EndpointSlice, stamp: str) -> discovery.EndpointSlice:
    notes = util.annotate(endpoint_slice.metadata.annotations, None)
    if stamp:
        notes[ENDPOINTS_LAST_CHANGE_TRIGGER_TIME] = stamp
    return msgspec.structs.replace(
        endpoint_slice, metadata=msgspec.structs.replace(endpoint_slice.metadata, annotations=notes)
    )
