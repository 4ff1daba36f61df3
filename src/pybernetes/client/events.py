"""Records events through the API, repeated ones counted, floods held back (client-go tools/record and its EventCorrelator)."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from .types import Client

_log = logging.getLogger(__name__)

QUEUED = 1000  # events that wait for the server; further ones are dropped, as upstream's broadcaster does
REMEMBERED = 4096  # keys in each of the correlator's caches
SIMILAR = 10  # events that differ only in their message before they are combined ...
SIMILAR_SECONDS = 600.0  # ... when they come within this time of each other
BURST = 25  # events about one object before it is held back ...
REFILL_SECONDS = 300.0  # ... to one in this time
TRIES = 12  # where the server does not answer; upstream gives up an event after so many ...
RETRY_SECONDS = 10.0  # ... with pauses of this length
COMBINED = "(combined from similar events): "

V = TypeVar("V")


class _LRU(Generic[V]):
    def __init__(self) -> None:
        self._entries: OrderedDict[Any, V] = OrderedDict()

    def get(self, key: Any) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Any, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > REMEMBERED:
            self._entries.popitem(last=False)


@dataclass(slots=True)
class _Similar:
    messages: set[str] = field(default_factory=set)
    last: datetime | None = None


@dataclass(slots=True)
class _Observed:
    count: int
    first: datetime | None
    name: str


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Correlated:
    """What to send: `patch` counts up the event of that name, None creates it."""

    event: core.Event
    key: Any
    patch: dict[str, Any] | None


class Correlator:
    """Decides what becomes of an event; time is a parameter."""

    def __init__(self) -> None:
        self._similar: _LRU[_Similar] = _LRU()
        self._observed: _LRU[_Observed] = _LRU()
        self._buckets: _LRU[_Bucket] = _LRU()

    def correlate(self, event: core.Event, now: datetime) -> Correlated | None:
        """None where the object has had too many events."""
        about = event.involved_object
        whose = (event.source.component, event.source.host, about.kind, about.namespace, about.name, about.uid)
        event, key = self._aggregate(event, whose, now)
        seen = self._observed.get(key)
        patch = None
        if seen is not None:
            event.metadata.name, event.first_timestamp, event.count = seen.name, seen.first, seen.count + 1
            last = event.last_timestamp or now
            patch = {"count": event.count, "lastTimestamp": format_time(last), "message": event.message}
        self._observed.put(key, _Observed(event.count, event.first_timestamp, event.metadata.name))
        return Correlated(event, key, patch) if self._accept(whose, now) else None

    def sent(self, key: Any, event: core.Event) -> None:
        """Remembers what the server made of an event."""
        self._observed.put(key, _Observed(event.count, event.first_timestamp, event.metadata.name))

    def _aggregate(self, event: core.Event, whose: tuple[str, ...], now: datetime) -> tuple[core.Event, Any]:
        group = (*whose, event.type, event.reason)
        own = (*whose, event.involved_object.field_path, event.type, event.reason, event.message)
        record = self._similar.get(group)
        if record is None or record.last is None or (now - record.last).total_seconds() > SIMILAR_SECONDS:
            record = _Similar()
        record.messages.add(event.message)
        record.last = now
        self._similar.put(group, record)
        if len(record.messages) < SIMILAR:
            return event, own
        record.messages.pop()  # the set needs to be no larger than its limit
        event.message = COMBINED + event.message
        return event, group

    def _accept(self, whose: tuple[str, ...], now: datetime) -> bool:
        bucket = self._buckets.get(whose) or _Bucket(BURST, now)
        bucket.tokens = min(BURST, bucket.tokens + max(0.0, (now - bucket.at).total_seconds()) / REFILL_SECONDS)
        bucket.at = now
        self._buckets.put(whose, bucket)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


class EventBroadcaster:
    """The queue to the server; `recorder` gives each component its own source, `run` sends until cancelled."""

    def __init__(
        self,
        client: Client,
        now: Callable[[], datetime],
        host: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client, self.now, self._host, self._sleep = client, now, host, sleep
        self._queue: asyncio.Queue[core.Event] = asyncio.Queue(QUEUED)
        self._correlator = Correlator()
        self._last_stamp = 0
        self._dropped = 0  # since the queue was last half empty

    def recorder(self, component: str) -> EventRecorder:
        """A recorder whose events say that they come from the component."""
        return EventRecorder(self, component, self._host)

    def enqueue(self, event: core.Event) -> None:
        """Never waits; drops the event where the queue is full, and tells how many when it has room again."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            if not self._dropped:
                _log.warning("events are dropped, the queue is full: %s %s", event.reason, event.message)
            self._dropped += 1
            return
        if self._dropped and self._queue.qsize() < QUEUED // 2:
            _log.warning("%d events were dropped", self._dropped)
            self._dropped = 0

    def stamp(self, now: datetime) -> int:
        """Nanoseconds for an event's name, never the same twice."""
        self._last_stamp = max(self._last_stamp + 1, int(now.timestamp() * 1_000_000) * 1000)
        return self._last_stamp

    async def run(self) -> None:
        """Sends the queued events; one that the server refuses is logged and dropped, without an answer it is tried again."""
        while True:
            event = await self._queue.get()
            try:
                await self._deliver(event)
            finally:
                self._queue.task_done()

    async def flush(self) -> None:
        """Returns when everything queued so far was sent."""
        await self._queue.join()

    async def _deliver(self, event: core.Event) -> None:
        found = self._correlator.correlate(event, self.now())
        if found is None:
            return
        for attempt in range(1, TRIES + 1):
            try:
                await self._send(found)
                return
            except StatusError as error:
                # Gone or going objects have no use for events.
                level = logging.DEBUG if error.code in (403, 404) else logging.WARNING
                _log.log(level, "event %s of %s: %s", event.reason, event.involved_object.name, error)
                return
            except (ConnectionError, TimeoutError) as error:
                _log.warning("event %s of %s: %s", event.reason, event.involved_object.name, error)
            if attempt < TRIES:
                await self._sleep(RETRY_SECONDS)

    async def _send(self, found: Correlated) -> None:
        event = found.event
        if found.patch is not None:
            namespace, name = event.metadata.namespace, event.metadata.name
            try:
                await self._client.patch(core.Event, name, namespace, found.patch, type="strategic")
                return
            except StatusError as error:
                if error.code != 404:
                    raise
            event.metadata.name = f"{event.involved_object.name}.{self.stamp(self.now()):x}"
        made = await self._client.create(event)
        self._correlator.sent(found.key, made)


class EventRecorder:
    """Makes events about objects."""

    def __init__(self, broadcaster: EventBroadcaster, component: str, host: str = "") -> None:
        self._broadcaster, self._component, self._host = broadcaster, component, host

    def event(self, about: Any, type: str, reason: str, message: str) -> None:
        """Queues an event; `about` is a typed object or an ObjectReference."""
        now = self._broadcaster.now().replace(microsecond=0)
        reference = about if isinstance(about, core.ObjectReference) else reference_to(about)
        stamp = self._broadcaster.stamp(self._broadcaster.now())
        namespace = reference.namespace or "default"
        self._broadcaster.enqueue(
            core.Event(
                metadata=meta.ObjectMeta(name=f"{reference.name}.{stamp:x}", namespace=namespace),
                involved_object=reference,
                reason=reason,
                message=message,
                type=type,
                count=1,
                first_timestamp=now,
                last_timestamp=now,
                source=core.EventSource(component=self._component, host=self._host),
                reporting_component=self._component,
                reporting_instance=self._host,
            )
        )

    def normal(self, about: Any, reason: str, message: str) -> None:
        """type Normal."""
        self.event(about, "Normal", reason, message)

    def warning(self, about: Any, reason: str, message: str) -> None:
        """type Warning."""
        self.event(about, "Warning", reason, message)


def reference_to(obj: Any) -> core.ObjectReference:
    """An ObjectReference to a typed object (reference.GetReference)."""
    return core.ObjectReference(
        api_version=obj.api_version,
        kind=obj.kind,
        name=obj.metadata.name,
        namespace=obj.metadata.namespace,
        uid=obj.metadata.uid,
        resource_version=obj.metadata.resource_version,
    )
