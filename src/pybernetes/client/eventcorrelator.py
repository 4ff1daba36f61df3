"""What becomes of an event: counted up, combined with similar ones, held back (client-go tools/record/events_cache.go)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core

REMEMBERED = 4096  # keys in each of the correlator's caches
SIMILAR = 10  # events that differ only in their message before they are combined ...
SIMILAR_SECONDS = 600.0  # ... when they come within this time of each other
BURST = 25  # events about one object before it is held back ...
REFILL_SECONDS = 300.0  # ... to one in this time
COMBINED = "(combined from similar events): "

V = TypeVar("V")


class _LRU(Generic[V]):
    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Hashable, value: V) -> None:
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
    key: Hashable
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

    def sent(self, key: Hashable, event: core.Event) -> None:
        """Remembers what the server made of an event."""
        self._observed.put(key, _Observed(event.count, event.first_timestamp, event.metadata.name))

    def _aggregate(self, event: core.Event, whose: tuple[str, ...], now: datetime) -> tuple[core.Event, Hashable]:
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
