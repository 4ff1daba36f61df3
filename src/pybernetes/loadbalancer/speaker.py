"""Announces this node's share of the addresses. Every node's speaker keeps a Lease alive, and all see from these who there is.

Where a node falls silent its Lease ends LEASE_SECONDS later by the others' clocks, and they share its addresses.
A node that cannot reach the API server goes on with what it held: with the API server away nothing moves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import meta_v1
from pybernetes.api.wellknown import LABEL_SERVICE_NAME
from pybernetes.client.types import Client, Informers, present

from . import plan
from .plan import Key
from .pools import Pools

_log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
PREFIX = "pybernetes-speaker-"
LABEL = "pybernetes.io/speaker"
LEASE_SECONDS = 2.0  # silence after which a node's addresses are others'
RENEW_SECONDS = 0.6  # so that one request may be lost
TELL_SECONDS = 10.0  # how often what is held is told again, for who has missed it
TRIES_LOST = (StatusError, ConnectionError, TimeoutError)


class Announcer(Protocol):
    """What is needed of `announcer.Announcer`."""

    def set(self, addresses: Collection[str], /) -> None: ...

    def repeat(self) -> None: ...


@dataclass(slots=True)
class Seen:
    """What a node's Lease said last, and when that was by our own clock."""

    renewed: str | None
    at: float


class Speaker:
    """`run` until cancelled. The announcer is told the addresses to hold whenever they change."""

    def __init__(
        self, node: str, pools: Pools, client: Client, informers: Informers, announcer: Announcer, clock: Clock
    ) -> None:
        self._node, self._pools, self._client, self._announcer, self._clock = node, pools, client, announcer, clock
        self._informers = informers
        self._services = informers.informer(core.Service)
        self._slices = informers.informer(discovery.EndpointSlice)
        self._leases = informers.informer(coordination.Lease, NAMESPACE, label_selector=LABEL)
        self._slices.add_index("service", _service_of)
        self._leases.add_handler(self._on_lease)
        self._services.add_handler(self._on_change)
        self._slices.add_handler(self._on_change)
        self._changed = True  # since the last round
        self._alive: frozenset[str] = frozenset()
        self._seen: dict[str, Seen] = {}
        self._reached = clock.monotonic()  # when the API server last took our Lease
        self._blind_until = self._reached
        self._held: frozenset[str] = frozenset()

    def _on_change(self, old: object, new: object) -> None:
        self._changed = True

    def _on_lease(self, old: coordination.Lease | None, new: coordination.Lease | None) -> None:
        node = present(old, new).metadata.name.removeprefix(PREFIX)
        if new is None or not new.spec.holder_identity:
            self._seen.pop(node, None)
            return
        seen = self._seen.get(node)
        if seen is None or seen.renewed != new.spec.renew_time:
            self._seen[node] = Seen(new.spec.renew_time, self._clock.monotonic())

    async def run(self) -> None:
        """Until cancelled; then the Lease is given up, so that others take over at once."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_lease())
            await self._informers.wait_synced()
            group.create_task(self._keep_announcing())

    async def _keep_lease(self) -> None:
        try:
            while True:
                try:
                    async with self._clock.timeout(LEASE_SECONDS):
                        await self._renew(self._node)
                    self._reach()
                except TRIES_LOST as error:
                    _log.warning(
                        "lease %s%s could not be renewed: %s", PREFIX, self._node, error or "no answer in time"
                    )
                await self._clock.sleep(RENEW_SECONDS)
        finally:
            self._announcer.set(())
            try:
                async with self._clock.timeout(LEASE_SECONDS):
                    await self._renew("")
            except TRIES_LOST as error:
                _log.warning("lease %s%s could not be given up: %s", PREFIX, self._node, error)

    def _reach(self) -> None:
        """After a silence of the API server all others' Leases look old: they get the time to be renewed."""
        now = self._clock.monotonic()
        if now - self._reached > LEASE_SECONDS:
            self._blind_until = now + LEASE_SECONDS
        self._reached = now

    async def _renew(self, holder: str) -> None:
        name, now = f"{PREFIX}{self._node}", format_micro_time(self._clock.now())
        patch = {"spec": {"holderIdentity": holder, "leaseDurationSeconds": int(LEASE_SECONDS), "renewTime": now}}
        try:
            await self._client.patch(coordination.Lease, name, NAMESPACE, patch)
        except StatusError as error:
            if error.code != 404:
                raise
            meta = meta_v1.ObjectMeta(name=name, namespace=NAMESPACE, labels={LABEL: ""})
            spec = coordination.LeaseSpec(
                holder_identity=holder, lease_duration_seconds=int(LEASE_SECONDS), renew_time=now
            )
            await self._client.create(coordination.Lease(metadata=meta, spec=spec))

    async def _keep_announcing(self) -> None:
        told = self._clock.monotonic()
        while True:
            self.look()
            if self._clock.monotonic() - told >= TELL_SECONDS:
                told = self._clock.monotonic()
                self._announcer.repeat()
            await self._clock.sleep(RENEW_SECONDS / 2)

    def look(self) -> None:
        """One round: what this node holds now."""
        now = self._clock.monotonic()
        if now - self._reached > LEASE_SECONDS or now < self._blind_until:
            return  # others may have gone, or only our way to know of them
        alive = frozenset(node for node, seen in self._seen.items() if now - seen.at <= LEASE_SECONDS) | {self._node}
        if alive == self._alive and not self._changed:
            return
        self._alive, self._changed = alive, False
        services = [service for service in self._services.list() if service.spec.type == "LoadBalancer"]
        local = {
            (s.metadata.namespace, s.metadata.name): self._nodes_of((s.metadata.namespace, s.metadata.name))
            for s in services
            if s.spec.external_traffic_policy == "Local"
        }
        shares = plan.holders(services, local, alive, self._pools)
        held = frozenset(address for address, node in shares.items() if node == self._node)
        if held != self._held:
            self._held = held
            self._announcer.set(held)

    def _nodes_of(self, key: Key) -> set[str]:
        """Those with an endpoint that is ready."""
        return {
            endpoint.node_name or ""
            for each in self._slices.by_index("service", "/".join(key))
            for endpoint in each.endpoints
            if endpoint.conditions.ready is not False
        }


def _service_of(each: discovery.EndpointSlice) -> list[str]:
    owner = each.metadata.labels.get(LABEL_SERVICE_NAME)
    return [f"{each.metadata.namespace}/{owner}"] if owner else []
