"""Keeps priority and fairness as the objects say, and writes their conditions (upstream: flowcontrol/apf_controller.go)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api import times
from pybernetes.api.errors import StatusError

from ..generic.cache import Damaged, Lagging
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..resource import Object
from . import status
from .controller import FlowControl
from .metrics import FlowControlMetrics
from .queueset import Request

_log = logging.getLogger(__name__)

MANAGER = "api-priority-and-fairness-config-consumer-v1"
ADJUSTMENT_SECONDS = 10.0  # upstream's borrowingAdjustmentPeriod
DELAY_SECONDS = (30, 75)  # before a schema is written again that was written much
RETRY_SECONDS = 1.0
NAP_SECONDS = 3600.0


class Consumer:
    """`wake` lets requests run that a change has dispatched."""

    def __init__(
        self,
        control: FlowControl,
        counted: FlowControlMetrics,
        levels: GenericStore,
        schemas: GenericStore,
        wake: Callable[[Iterable[Request]], None],
        clock: Clock,
    ) -> None:
        self._control, self._counted, self._levels, self._schemas = control, counted, levels, schemas
        self._wake, self._clock = wake, clock
        self._pace, self._random = status.Pace(), random.Random()
        self._changed = asyncio.Event()
        self._read: object = None  # of what was read last
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """The objects hold when it returns, and say so; then follows."""
        self._configure()
        await self._write_conditions()
        create = asyncio.get_running_loop().create_task
        self._tasks = [
            create(self._follow(self._levels)),
            create(self._follow(self._schemas)),
            create(self._work()),
            create(self._adjust()),
        ]

    async def stop(self) -> None:
        """What waits is not dispatched by it any more."""
        await end(*self._tasks)

    def _configure(self) -> None:
        levels, schemas = _objects(self._levels), _objects(self._schemas)
        read = [(obj["metadata"]["uid"], obj.get("spec")) for obj in (*levels, *schemas)]
        if read == self._read and not self._control.superfluous:  # conditions alone have changed
            return
        self._read = read
        self._wake(self._control.configure(levels, schemas, self._clock.monotonic()))
        self._counted.configured(self._control)
        self._counted.keep(self._control)

    async def _write_conditions(self) -> bool:
        """Whether all are written; some are left for later where they were written much. StatusError."""
        schemas, now = _objects(self._schemas), self._clock.monotonic()
        names = {obj["metadata"]["name"] for obj in _objects(self._levels)}
        self._pace.keep({obj["metadata"]["name"] for obj in schemas})
        updates = status.plan(schemas, names, times.format_time(self._clock.now()))
        allowed = [update for update in updates if self._pace.may(update.name, now)]
        await asyncio.gather(*map(self._write, allowed))
        return len(allowed) == len(updates)

    async def _write(self, update: status.Update) -> None:
        resource, name = self._schemas.resource, update.name
        config: Object = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "status": {"conditions": [update.condition]},
        }
        options = WriteOptions(admission=False, manager=MANAGER)
        try:
            await self._schemas.apply("", name, config, options, "status", True)
        except StatusError as error:
            if error.code != 404:  # it was deleted: there is nothing to say
                raise

    # Following the objects.

    async def _follow(self, store: GenericStore) -> None:
        objects = store.cache.resource(store.prefix)
        watcher = objects.watch(objects.changed)
        while not watcher.ended:
            try:
                await watcher.batch(NAP_SECONDS)
            except Lagging:
                watcher = objects.watch(objects.changed)
            self._changed.set()

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                self._configure()
                if not await self._write_conditions():
                    self._again(self._random.uniform(*DELAY_SECONDS))
            except Exception as error:  # the store is away: what is configured holds
                _log.warning("the conditions of FlowSchemas cannot be written yet: %s", error)
                self._again(RETRY_SECONDS)

    def _again(self, seconds: float) -> None:
        self._clock.call_later(seconds, self._changed.set)

    async def _adjust(self) -> None:
        while True:
            await self._clock.sleep(ADJUSTMENT_SECONDS)
            self._wake(self._control.adjust(self._clock.monotonic()))
            if self._control.superfluous:
                self._configure()


def _objects(store: GenericStore) -> list[Object]:
    """All that can be read."""
    stored = store.cache.resource(store.prefix).values
    return [store.in_version(one).obj for one in stored if not isinstance(one, Damaged)]
