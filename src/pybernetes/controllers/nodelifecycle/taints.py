"""Writes taints of nodes, at once or slowly (upstream: controller/util/node, nodelifecycle/scheduler's RateLimitedTimedQueue)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.client.retry import retry_on_conflict
from pybernetes.client.types import Client

from .health import Bucket

_log = logging.getLogger(__name__)


Change = Callable[[core.Node], list[core.Taint] | None]


async def set_taints(client: Client, node: core.Node, change: Change, clock: Clock) -> None:
    """Writes what `change` makes of the taints (None: they are right); of the live node where the known one is old."""
    name = node.metadata.name

    async def write(current: core.Node) -> None:
        taints = change(current)
        if taints is not None:
            version = current.metadata.resource_version
            patch = {"metadata": {"resourceVersion": version}, "spec": {"taints": taints or None}}
            await client.patch(core.Node, name, "", patch)

    try:
        await retry_on_conflict(write, node, lambda: client.get(core.Node, name), clock=clock)
    except StatusError as error:
        if error.code != 404:
            raise


class SlowTainter:
    """Lists of nodes by zone that `work` is called for, each zone at its rate."""

    def __init__(self, clock: Clock, work: Callable[[str], Awaitable[None]]) -> None:
        self._clock, self._work = clock, work
        self._buckets: dict[str, Bucket] = {}
        self._waiting: dict[str, dict[str, None]] = {}  # in the order they came
        self._wake = asyncio.Event()

    def add_zone(self, zone: str, rate: float) -> None:
        """A zone that was known keeps its list and its rate."""
        if zone not in self._buckets:
            self._buckets[zone] = Bucket(rate, self._clock.monotonic())
            self._waiting[zone] = {}

    def set_rate(self, zone: str, rate: float) -> None:
        """Nodes a second from now on."""
        self._buckets[zone].set_rate(rate)
        self._wake.set()

    def add(self, zone: str, name: str) -> None:
        self._waiting[zone].setdefault(name)
        self._wake.set()

    def waits(self, name: str) -> bool:
        return any(name in waiting for waiting in self._waiting.values())

    def remove(self, name: str) -> None:
        for waiting in self._waiting.values():
            waiting.pop(name, None)

    async def run(self) -> None:
        """Writes what is due, zone by zone at its rate, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            waits = [wait for zone in list(self._waiting) if (wait := await self._zone(zone)) is not None]
            if waits:
                await self._clock.sleep(min(waits))
                self._wake.set()

    async def _zone(self, zone: str) -> float | None:
        """Seconds until it is the zone's turn again; None while it has none waiting or no rate."""
        waiting = self._waiting[zone]
        while waiting:
            wait = self._buckets[zone].take(self._clock.monotonic())
            if wait is None or wait > 0:
                return wait
            name = next(iter(waiting))
            try:
                await self._work(name)
            except (StatusError, ConnectionError, TimeoutError) as error:
                _log.warning("taints of %s: %s", name, error)
            waiting.pop(name, None)  # if it failed, the next look puts it back
        return None
