"""Events on their way to the server: never waited for, tried again, dropped where there are too many (client-go tools/record/event.go)."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core

from .types import Object

_log = logging.getLogger(__name__)

QUEUED = 1000  # events that wait for the server; further ones are dropped, as upstream's broadcaster does
TRIES = 12  # where the server does not answer; upstream gives up an event after so many ...
RETRY_SECONDS = 10.0  # ... with pauses of this length

MICROSECOND = 1000  # nanoseconds
_outboxes = itertools.count()

Request = Callable[[], Awaitable[None]]


class Outbox:
    """`prepare` says, once for an event, what is to be sent because of it: a request that may be tried again, or None."""

    def __init__(
        self, prepare: Callable[[core.Event], Request | None], clock: Clock, size: int = QUEUED, senders: int = 1
    ) -> None:
        self._prepare, self._clock, self._senders, self._size = prepare, clock, senders, size
        self._queue: asyncio.Queue[core.Event] = asyncio.Queue(size)
        # Nanoseconds that the clock does not give, another number in each outbox: on a virtual clock several tell of a pod at one moment.
        self._own = next(_outboxes) % MICROSECOND
        self._last_stamp = 0
        self._dropped = 0  # since the queue was last half empty

    def put(self, event: core.Event) -> None:
        """Never waits; drops the event where the queue is full, and tells how many when it has room again."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            if not self._dropped:
                _log.warning("events are dropped, the queue is full: %s %s", event.reason, event.message)
            self._dropped += 1
            return
        if self._dropped and self._queue.qsize() < self._size // 2:
            _log.warning("%d events were dropped", self._dropped)
            self._dropped = 0

    def name(self, about: core.ObjectReference, moment: datetime) -> str:
        """For an event: the object's with nanoseconds, never the same twice in a process."""
        stamp = int(moment.timestamp() * 1_000_000) * MICROSECOND + self._own
        self._last_stamp = max(self._last_stamp + MICROSECOND, stamp)
        return f"{about.name}.{self._last_stamp:x}"

    async def run(self) -> None:
        """Sends until cancelled; an event that the server refuses is logged and dropped, without an answer it is tried again."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._senders):
                group.create_task(self._send_all())

    async def flush(self) -> None:
        """Returns when everything queued so far was sent."""
        await self._queue.join()

    async def _send_all(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                request = self._prepare(event)
                if request is not None:
                    await self._deliver(event, request)
            finally:
                self._queue.task_done()

    async def _deliver(self, event: core.Event, request: Request) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                await request()
                return
            except StatusError as error:
                # Gone or going objects have no use for events.
                level = logging.DEBUG if error.code in (403, 404) else logging.WARNING
                _log.log(level, "event %s of %s: %s", event.reason, event.involved_object.name, error)
                return
            except (ConnectionError, TimeoutError) as error:
                _log.warning("event %s of %s: %s", event.reason, event.involved_object.name, error)
            if attempt < TRIES:
                await self._clock.sleep(RETRY_SECONDS)


def reference_to(obj: Object) -> core.ObjectReference:
    """An ObjectReference to a typed object (reference.GetReference)."""
    return core.ObjectReference(
        api_version=obj.api_version,
        kind=obj.kind,
        name=obj.metadata.name,
        namespace=obj.metadata.namespace,
        uid=obj.metadata.uid,
        resource_version=obj.metadata.resource_version,
    )
