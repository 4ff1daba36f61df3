"""Gives Services of type LoadBalancer their addresses; one of the cluster's runs, who has the lease.

Upstream: staging/src/k8s.io/cloud-provider/controllers/service/controller.go, whose finalizer, events and texts these are.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from pybernetes.aio.backoff import ItemExponentialFailureRateLimiter
from pybernetes.aio.clock import Clock
from pybernetes.aio.workqueue import WorkQueue
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import LOAD_BALANCER_CLEANUP_FINALIZER
from pybernetes.client.events import EventRecorder
from pybernetes.client.types import Client, Informers, present

from . import plan
from .plan import Book, Key, Refused
from .pools import Pools

_log = logging.getLogger(__name__)

# Upstream's minRetryDelay and maxRetryDelay, seconds.
MIN_RETRY, MAX_RETRY = 5.0, 300.0
COMPONENT = "service-controller"


@dataclass(frozen=True, slots=True)
class Config:
    """Without pools Services get the nodes' addresses, but for `reserved` ports."""

    pools: Pools
    balancer_class: str = ""
    reserved: Collection[int] = ()


class ServiceController:
    """`run` until cancelled, while this is the one that leads."""

    def __init__(
        self, config: Config, client: Client, informers: Informers, recorder: EventRecorder, clock: Clock
    ) -> None:
        self._config, self._client = config, client
        self._recorder = recorder
        self._informers = informers
        self._services = informers.informer(core.Service)
        self._nodes = informers.informer(core.Node) if not config.pools.ranges else None
        self._queue: WorkQueue[Key] = WorkQueue(clock, ItemExponentialFailureRateLimiter(MIN_RETRY, MAX_RETRY))
        self._book = Book()
        self._ours: set[Key] = set()
        self._refused: dict[Key, str] = {}  # told already; tried again when an address, or port, is free

    def _on_service(self, old: core.Service | None, new: core.Service | None) -> None:
        key, balancer_class = self._key(present(old, new)), self._config.balancer_class
        if key in self._ours or (
            new is not None and (plan.wants(new, balancer_class) or plan.needs_cleanup(new, balancer_class))
        ):
            self._queue.add(key)

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        before, after = (plan.node_addresses([node]) if node is not None else [] for node in (old, new))
        if before != after:  # most changes are heartbeats
            for key in self._ours:
                self._queue.add(key)

    @staticmethod
    def _key(service: core.Service) -> Key:
        return service.metadata.namespace, service.metadata.name

    async def run(self) -> None:
        """One Service after the other: so nobody gets what another has just been given."""
        await self._informers.wait_synced()
        for service in self._services.list():
            if plan.wants(service, self._config.balancer_class):
                own = [a for a in plan.addresses_of(service) if a in self._config.pools]
                self._book.give(self._key(service), [a for a in own if a not in self._book.owners])
        self._services.add_handler(self._on_service)
        if self._nodes is not None:
            self._nodes.add_handler(self._on_node)
        while True:
            key = await self._queue.get()
            try:
                await self._sync(key)
                self._queue.forget(key)
            except (StatusError, ConnectionError, TimeoutError) as error:
                if not isinstance(error, StatusError) or error.code != 404:  # it is gone meanwhile
                    _log.warning("service %s/%s: %s", *key, error)
                    self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)

    async def _sync(self, key: Key) -> None:
        service = self._services.get(key[1], key[0])
        if service is None:
            self._gone(key)
            return
        if plan.wants(service, self._config.balancer_class) and not _ends(service):
            await self._ensure(key, service)
        elif plan.needs_cleanup(service, self._config.balancer_class):
            await self._clean_up(key, service)
        else:
            self._gone(key)

    async def _ensure(self, key: Key, service: core.Service) -> None:
        self._ours.add(key)
        try:
            addresses = self._addresses(key, service)
        except Refused as refusal:
            await self._refuse(key, service, str(refusal))
            return
        self._refused.pop(key, None)
        status = plan.status_of(addresses)
        if _is_ensured(service, status):
            return
        # The informer may not have seen yet what this has written itself.
        service = await self._client.get(core.Service, key[1], key[0])
        if _is_ensured(service, status) or _ends(service):
            return
        self._recorder.normal(service, "EnsuringLoadBalancer", "Ensuring load balancer")
        if LOAD_BALANCER_CLEANUP_FINALIZER not in service.metadata.finalizers:
            await self._patch_finalizers(service, [*service.metadata.finalizers, LOAD_BALANCER_CLEANUP_FINALIZER])
        await self._write_status(service, status)
        self._recorder.normal(service, "EnsuredLoadBalancer", "Ensured load balancer")

    def _addresses(self, key: Key, service: core.Service) -> list[str]:
        """Refused."""
        config = self._config
        if self._nodes is not None:
            others = [s for s in self._services.list() if plan.wants(s, config.balancer_class) and not _ends(s)]
            return plan.of_nodes(service, self._nodes.list(), others, config.reserved)
        addresses = plan.from_pools(service, config.pools, self._book.others(key))
        if self._book.give(key, addresses):
            self._again()
        return addresses

    async def _refuse(self, key: Key, service: core.Service, why: str) -> None:
        """What it had it has no more."""
        if self._refused.get(key) != why:
            text = f"Error syncing load balancer: failed to ensure load balancer: {why}"
            self._recorder.warning(service, "SyncLoadBalancerFailed", text)
            self._refused[key] = why
        if self._book.give(key, ()):
            self._again()
        if service.status.load_balancer.ingress:
            await self._write_status(service, core.LoadBalancerStatus())

    async def _clean_up(self, key: Key, service: core.Service) -> None:
        service = await self._client.get(core.Service, key[1], key[0])
        if not plan.needs_cleanup(service, self._config.balancer_class):
            return
        self._recorder.normal(service, "DeletingLoadBalancer", "Deleting load balancer")
        if service.status.load_balancer.ingress:
            service = await self._write_status(service, core.LoadBalancerStatus())
        left = [name for name in service.metadata.finalizers if name != LOAD_BALANCER_CLEANUP_FINALIZER]
        await self._patch_finalizers(service, left)
        self._recorder.normal(service, "DeletedLoadBalancer", "Deleted load balancer")
        self._gone(key)

    def _gone(self, key: Key) -> None:
        self._ours.discard(key)
        self._refused.pop(key, None)
        if self._book.give(key, ()) or self._nodes is not None:
            self._again()

    def _again(self) -> None:
        """Something is free now: who waits for it may get it."""
        for key in sorted(self._refused):
            self._queue.add(key)

    async def _patch_finalizers(self, service: core.Service, finalizers: list[str]) -> core.Service:
        meta = service.metadata
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": meta.resource_version}}
        return await self._patch(service, patch, "")

    async def _write_status(self, service: core.Service, status: core.LoadBalancerStatus) -> core.Service:
        document: Mapping[str, object] = msgspec.to_builtins(status)
        return await self._patch(service, {"status": {"loadBalancer": {"ingress": None, **document}}}, "status")

    async def _patch(self, service: core.Service, patch: object, subresource: str) -> core.Service:
        meta = service.metadata
        return await self._client.patch(core.Service, meta.name, meta.namespace, patch, subresource=subresource)


def _is_ensured(service: core.Service, status: core.LoadBalancerStatus) -> bool:
    return LOAD_BALANCER_CLEANUP_FINALIZER in service.metadata.finalizers and service.status.load_balancer == status


def _ends(service: core.Service) -> bool:
    return service.metadata.deletion_timestamp is not None
