"""Counts anew what the objects of a namespace use of its quotas (upstream: pkg/controller/resourcequota).

Creation is counted by admission; here what goes away is seen, and all is counted again from time to time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence

from pybernetes.api.errors import StatusError
from pybernetes.api.quantity import Quantity
from pybernetes.api.quota import (
    SERVICE_NAMES,
    Usage,
    claim_in_scope,
    claim_usage,
    counted_resource,
    counts,
    in_scopes,
    is_claim_name,
    is_pod_name,
    pod_in_scope,
    pod_usage,
    scopes_of,
    service_usage,
    status_of,
    total,
)
from pybernetes.api.types import core_v1 as core
from pybernetes.client.informer import Reflector
from pybernetes.client.metadata import MetadataClient, MetadataListWatch, Partial, Resource, discover
from pybernetes.client.types import WatchEvent

from ..common import Key, clone
from ..framework import Context, Controller

_log = logging.getLogger(__name__)

DEBOUNCE = 0.2  # seconds that deletions are gathered: a recount costs as much for one as for all


class _Deletions:
    """The store of a reflector that keeps nothing: tells the namespaces in which an object went away."""

    def __init__(self, controller: ResourceQuotaController) -> None:
        self._controller = controller
        self._listed = False

    def replace(self, objects: Sequence[Partial]) -> None:
        """After a gap anything may have gone."""
        if self._listed:
            self._controller.recount_all()
        self._listed = True

    def apply(self, event: WatchEvent[Partial]) -> None:
        if event.type == "DELETED":
            self._controller.replenish(event.object.metadata.namespace)


class ResourceQuotaController(Controller):
    """One queue of quotas; namespaces in which something went away wait a little, for more to go."""

    name = "resourcequota-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_resource_quota_syncs)
        self._metadata = MetadataClient(self.client)
        self._resources: dict[str, Resource] = {}  # by `deployments.apps`
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._unknown: set[str] = set()
        self._look = asyncio.Event()
        self._quotas = self.informer(core.ResourceQuota)
        self._pods = self.informer(core.Pod)
        self._services = self.informer(core.Service)
        self._claims = self.informer(core.PersistentVolumeClaim)
        self._quotas.add_handler(self._on_quota)
        self._pods.add_handler(self._on_pod)
        self._services.add_handler(self._on_other)
        self._claims.add_handler(self._on_other)

    # --- what happens

    def _on_quota(self, old: core.ResourceQuota | None, new: core.ResourceQuota | None) -> None:
        if new is not None and (old is None or old.spec != new.spec):
            self.enqueue(new)

    def _on_pod(self, old: core.Pod | None, new: core.Pod | None) -> None:
        if old is None or not self._quotas.list(old.metadata.namespace):
            return
        finished = new is not None and counts(old, self.now()) and not counts(new, self.now())
        if new is None or finished or old.spec != new.spec:
            self.replenish(old.metadata.namespace)

    def _on_other(
        self,
        old: core.Service | core.PersistentVolumeClaim | None,
        new: core.Service | core.PersistentVolumeClaim | None,
    ) -> None:
        if old is not None and (new is None or old.spec != new.spec):
            self.replenish(old.metadata.namespace)

    def replenish(self, namespace: str) -> None:
        """Counts the quotas of a namespace anew soon: something that they count went away there."""
        for quota in self._quotas.list(namespace) if namespace else ():
            self.queue.add_after((quota.metadata.namespace, quota.metadata.name), DEBOUNCE)

    def recount_all(self) -> None:
        for quota in self._quotas.list():
            self.enqueue(quota)

    def background(self) -> Iterable[Awaitable[None]]:
        return (self._resync(), self._keep_watches())

    async def _resync(self) -> None:
        while True:
            await self.context.clock.sleep(self.context.options.resource_quota_sync_period)
            self._unknown.clear()
            self.recount_all()

    async def _keep_watches(self) -> None:
        """Watches just the resources that quotas count by name."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._look.wait()
                self._look.clear()
                for name, resource in self._resources.items():
                    if name not in self._watched and {"list", "watch"} <= resource.verbs:
                        source = MetadataListWatch(self._metadata, resource)
                        reflector = Reflector(source, _Deletions(self), self.context.clock)
                        self._watched[name] = group.create_task(reflector.run())

    # --- counting

    async def sync(self, key: Key) -> None:
        """Counts, and writes the status if it differs."""
        quota = self._quotas.get(key[1], key[0])
        if quota is None:
            return
        counted = await self._count(quota)
        status = status_of(quota, counted)
        if status is None:
            return
        desired = clone(quota)
        desired.status = status
        try:
            await self.client.update(desired, "status")
        except StatusError as error:
            if error.code != 404:
                raise

    async def _count(self, quota: core.ResourceQuota) -> Usage:
        namespace, names, scopes = quota.metadata.namespace, set(quota.spec.hard), scopes_of(quota)
        now = self.now()
        pod_names = {name for name in names if is_pod_name(name)}
        usage: Usage = {}
        if pod_names:
            pods = (pod for pod in self._pods.list(namespace) if in_scopes(pod, scopes, pod_in_scope))
            usage |= total(pod_names, (pod_usage(pod, now) for pod in pods))
        claim_names = {name for name in names if is_claim_name(name)}
        if claim_names:
            claims = (claim for claim in self._claims.list(namespace) if in_scopes(claim, scopes, claim_in_scope))
            usage |= total(claim_names, map(claim_usage, claims))
        service_names = names & SERVICE_NAMES
        if service_names:
            services = self._services.list(namespace) if not scopes else ()
            usage |= total(service_names, map(service_usage, services))
        for name in names - pod_names - claim_names - service_names:
            counted = await self._count_objects(name, namespace) if not scopes else 0
            if counted is not None:
                usage[name] = Quantity.from_int(counted)
        return usage

    async def _count_objects(self, name: str, namespace: str) -> int | None:
        """None for what is no resource that could be counted."""
        counted = counted_resource(name)
        if not counted:
            return None
        resource = await self._resource(counted)
        return await self._metadata.count(resource, namespace) if resource is not None else None

    async def _resource(self, name: str) -> Resource | None:
        if name not in self._resources and name not in self._unknown:
            for resource in (await discover(self.client)).preferred():
                if resource.group_resource == name and resource.namespaced and "list" in resource.verbs:
                    self._resources[name] = resource
                    self._look.set()
                    break
            else:
                # Perhaps one that is still to come: asked about again with the next full count.
                self._unknown.add(name)
                _log.info("quota of %s: there is no such resource", name)
        return self._resources.get(name)
