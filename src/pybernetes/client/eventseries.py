"""Events in the form of events.k8s.io (client-go tools/events): what repeats within a while becomes a series of one event.

They are written as v1 Events, which is the same object. There is no other limit for one object than that: upstream has none here.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from .eventoutbox import Outbox, Request, reference_to
from .types import Client, Object

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


def key_of(event: core.Event) -> Key:
    """What is said is no part of it, as upstream: a series keeps its first message."""
    about, related = event.involved_object, event.related
    of = (event.reporting_component, event.reporting_instance, event.type, event.action, event.reason)
    return (*of, about.uid, about.name, related.uid if related is not None else "")


@dataclass(slots=True)
class _Series:
    """An event that is there; `told` is how many times the server knows of."""

    name: str
    namespace: str
    count: int
    told: int
    last: datetime


class SeriesBroadcaster:
    """The way to the server; `recorder` gives each component its own source, `run` sends until cancelled."""

    def __init__(self, client: Client, clock: Clock | None = None, host: str = "") -> None:
        self._client, self._host = client, host
        self._clock: Clock = clock or RealClock()
        self._outbox = Outbox(self._prepare, self._clock, QUEUED, SENDERS)
        self._series: dict[Key, _Series] = {}

    def recorder(self, component: str) -> SeriesRecorder:
        """A recorder whose events say that they come from the component."""
        return SeriesRecorder(self._outbox, self._clock, component, f"{component}-{self._host}")

    async def run(self) -> None:
        """Sends; what the server refuses is logged and dropped, without an answer it is tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._outbox.run())
            group.create_task(self._finish())

    def _prepare(self, event: core.Event) -> Request | None:
        """The first repetition is told at once, later ones when the series is finished."""
        now, key = self._clock.now(), key_of(event)
        series = self._series.get(key)
        if series is not None and (now - series.last).total_seconds() < SERIES_SECONDS:
            series.count, series.last = series.count + 1, now
            return partial(self._repeat, key, series, event) if series.told <= 1 else None
        return partial(self._create, key, event)

    async def _create(self, key: Key, event: core.Event) -> None:
        if event.type == "Warning":  # Scheduled comes once a pod; remembering it would only fill the memory
            self._series.pop(key, None)
            self._series[key] = _Series(event.metadata.name, event.metadata.namespace, 1, 1, self._clock.now())
            while len(self._series) > REMEMBERED:
                del self._series[next(iter(self._series))]
        await self._client.create(event)

    async def _repeat(self, key: Key, series: _Series, event: core.Event) -> None:
        if not await self._tell(series):
            await self._create(key, event)

    async def _tell(self, series: _Series) -> bool:
        """Writes how often it was; False where the event is gone."""
        patch = {"series": {"count": series.count, "lastObservedTime": format_micro_time(series.last)}}
        try:
            await self._client.patch(core.Event, series.name, series.namespace, patch, type="strategic")
        except StatusError as error:
            if error.code != 404:
                raise
            return False
        series.told = series.count
        return True

    async def _finish(self) -> None:
        """Forgets what has not been repeated for long, and tells how often it was."""
        while True:
            await self._clock.sleep(SERIES_SECONDS)
            await self.finish()

    async def finish(self) -> None:
        """One round of it."""
        now = self._clock.now()
        for key, series in list(self._series.items()):
            if (now - series.last).total_seconds() < SERIES_SECONDS:
                continue
            del self._series[key]
            try:
                if series.told != series.count:
                    await self._tell(series)
            except (StatusError, ConnectionError, TimeoutError) as error:
                _log.warning("series of event %s: %s", series.name, error)


class SeriesRecorder:
    """Makes events about objects; `event` never waits."""

    def __init__(self, outbox: Outbox, clock: Clock, component: str, instance: str) -> None:
        self._outbox, self._clock, self._component, self._instance = outbox, clock, component, instance

    def event(
        self,
        about: Object,
        related: Object | None,
        type: Literal["Normal", "Warning"],
        reason: str,
        action: str,
        message: str,
    ) -> None:
        """`action` is what was done or tried; a message is cut to what the API server takes."""
        moment, regarding = self._clock.now(), reference_to(about)
        self._outbox.put(
            core.Event(
                metadata=meta.ObjectMeta(
                    name=self._outbox.name(regarding, moment), namespace=regarding.namespace or "default"
                ),
                event_time=format_micro_time(moment),
                reporting_component=self._component,
                reporting_instance=self._instance,
                action=action,
                reason=reason,
                involved_object=regarding,
                related=reference_to(related) if related is not None else None,
                message=note(message),
                type=type,
            )
        )
