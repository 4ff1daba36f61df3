"""Keeps the Endpoints of each service with a selector (upstream: pkg/controller/endpoint)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import LEADER_ELECTION_RECORD_ANNOTATION

from ..common import Key, namespace_terminating
from ..endpointslice import endpoints as util
from ..framework import Context, Controller
from ..indexers import BY_LABEL, index_by_label
from .plan import desired


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
        self._pods.add_index(BY_LABEL, index_by_label)
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
        """Deleted ones are made again."""
        if old is not None and new is None:
            self.enqueue(old)

    def background(self) -> Iterable[Awaitable[None]]:
        """One look at the start."""
        return (self._queue_leftovers(),)

    async def _queue_leftovers(self) -> None:
        """Those whose service went while nobody looked. Later ones without a service are somebody's own and stay."""
        for endpoints in self._endpoints.list():
            # The lock of an election by endpoints never had a service.
            if LEADER_ELECTION_RECORD_ANNOTATION not in endpoints.metadata.annotations:
                self.enqueue(endpoints)

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
        endpoints = desired(service, current, pods, moment)
        self._costs[key] = self.context.clock.monotonic() - start
        if endpoints is not None:
            await self._write(service, current is None, endpoints)

    async def _delete(self, key: Key) -> None:
        existing = self._endpoints.get(key[1], key[0])
        if existing is None:
            return
        try:
            await self.client.delete(core.Endpoints, key[1], key[0])
        except StatusError as error:
            if error.code != 404:
                raise

    async def _write(self, service: core.Service, new: bool, endpoints: core.Endpoints) -> None:
        namespace, name = endpoints.metadata.namespace, endpoints.metadata.name
        try:
            await (self.client.create(endpoints) if new else self.client.update(endpoints))
        except StatusError as error:
            if new and namespace_terminating(error):
                return
            if new:
                text = f"Failed to create endpoint for service {namespace}/{name}: {error}"
                self.recorder.warning(endpoints, "FailedToCreateEndpoint", text)
            else:
                text = f"Failed to update endpoint {namespace}/{name}: {error}"
                self.recorder.warning(endpoints, "FailedToUpdateEndpoint", text)
            raise
