"""Events in the form of events.k8s.io (client-go tools/events): what repeats within a while becomes a series of one event.

They are written as v1 Events, which is the same object.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.types import Client

_log = logging.getLogger(__name__)

NOTE_LIMIT = 1024  # bytes of a message; the API server refuses longer ones
QUEUED = 20_000  # events that wait for the server; further ones are dropped
SENDERS = 4  # requests at a time, so that a flood of pods does not wait for its events
SERIES_SECONDS = 360.0  # after so long without a repetition a series is finished, and the next is a new event
REMEMBERED = 4096

Key = tuple[str, ...]


def note(text: str) -> str:
    """Cut to what the API server takes, as upstream does."""
    data = text.encode()
    return text if len(data) <= NOTE_LIMIT else data[: NOTE_LIMIT - 4].decode(errors="ignore") + " ..."


def reference(obj: Any) -> core.ObjectReference:
    """An ObjectReference to a typed object."""
    own = obj.metadata
    return core.ObjectReference(
        api_version=obj.api_version,
        kind=obj.kind,
        name=own.name,
        namespace=own.namespace,
        uid=own.uid,
        resource_version=own.resource_version,
    )


@dataclass(slots=True)
class _Known:
    """An event that is there; `told` is how many times the server knows of."""

    name: str
    namespace: str
    count: int
    told: int
    last: datetime


@dataclass(frozen=True, slots=True)
class _Waiting:
    key: Key
    event: core.Event


class Recorder:
    """`event` never waits; `run` sends until cancelled."""

    def __init__(
        self, client: Client, component: str, host: str, now: Callable[[], datetime], clock: Clock | None = None
    ) -> None:
        self._client, self._component, self._now, self._clock = client, component, now, clock or RealClock()
        self._instance = f"{component}-{host}"
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUED)
        self._known: dict[Key, _Known] = {}
        self._stamp = 0

    def event(self, about: Any, related: Any | None, kind: str, reason: str, action: str, message: str) -> None:
        """`kind` is Normal or Warning."""
        moment = self._now()
        self._stamp = max(self._stamp + 1, int(moment.timestamp() * 1_000_000) * 1000)
        regarding = reference(about)
        event = core.Event(
            metadata=meta.ObjectMeta(
                name=f"{regarding.name}.{self._stamp:x}", namespace=regarding.namespace or "default"
            ),
            event_time=format_micro_time(moment),
            reporting_component=self._component,
            reporting_instance=self._instance,
            action=action,
            reason=reason,
            involved_object=regarding,
            related=reference(related) if related is not None else None,
            message=note(message),
            type=kind,
        )
        # What is said is no part of it, as upstream: a series keeps its first message.
        key = (kind, action, reason, regarding.uid, regarding.name, related.metadata.uid if related is not None else "")
        try:
            self._queue.put_nowait(_Waiting(key, event))
        except asyncio.QueueFull:
            _log.warning("event dropped, the queue is full: %s %s", reason, message)

    async def run(self) -> None:
        """Sends; what the server refuses is logged and dropped."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._send_all())
            group.create_task(self._finish())

    async def _send_all(self) -> None:
        while True:
            waiting = await self._queue.get()
            try:
                await self._send(waiting)
            except (StatusError, ConnectionError, TimeoutError) as error:
                # A namespace that goes away takes no events.
                quiet = isinstance(error, StatusError) and error.code in (403, 404)
                level = logging.DEBUG if quiet else logging.WARNING
                _log.log(level, "event %s of %s: %s", waiting.event.reason, waiting.event.involved_object.name, error)

    async def _send(self, waiting: _Waiting) -> None:
        """The first repetition is told at once, later ones when the series is finished."""
        now, event = self._now(), waiting.event
        known = self._known.get(waiting.key)
        if known is not None and (now - known.last).total_seconds() < SERIES_SECONDS:
            known.count, known.last = known.count + 1, now
            if known.told > 1 or await self._tell(known):
                return
        if event.type == "Warning":  # Scheduled comes once a pod; remembering it would only fill the memory
            self._remember(waiting.key, _Known(event.metadata.name, event.metadata.namespace, 1, 1, now))
        await self._client.create(event)

    async def _tell(self, known: _Known) -> bool:
        """Writes how often it was; False where the event is gone."""
        series = {"count": known.count, "lastObservedTime": format_micro_time(known.last)}
        try:
            await self._client.patch(core.Event, known.name, known.namespace, {"series": series}, type="strategic")
        except StatusError as error:
            if error.code != 404:
                raise
            return False
        known.told = known.count
        return True

    async def _finish(self) -> None:
        """Forgets what has not been repeated for long, and tells how often it was."""
        while True:
            await self._clock.sleep(SERIES_SECONDS)
            await self.finish()

    async def finish(self) -> None:
        """One round of it."""
        now = self._now()
        for key, known in list(self._known.items()):
            if (now - known.last).total_seconds() < SERIES_SECONDS:
                continue
            del self._known[key]
            try:
                if known.told != known.count:
                    await self._tell(known)
            except (StatusError, ConnectionError, TimeoutError) as error:
                _log.warning("series of event %s: %s", known.name, error)

    def _remember(self, key: Key, known: _Known) -> None:
        self._known.pop(key, None)
        self._known[key] = known
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
