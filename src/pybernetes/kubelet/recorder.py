"""Records events through the API, repeated ones counted up (upstream: client-go tools/record)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Client

from .machine.events import Event

logger = logging.getLogger(__name__)

QUEUED = 1000  # events that wait for the server; further ones are dropped, as upstream's broadcaster does
REMEMBERED = 4096  # as upstream's correlator cache


@dataclass(slots=True)
class _Seen:
    name: str
    count: int


class Recorder:
    """`record` never waits; `run` sends until cancelled."""

    def __init__(self, client: Client, host: str, now: Callable[[], datetime]) -> None:
        self._client, self._host, self._now = client, host, now
        self._queue: asyncio.Queue[tuple[core.ObjectReference, Event, datetime]] = asyncio.Queue(QUEUED)
        self._seen: dict[tuple[str, str, Event], _Seen] = {}

    def record(self, about: Any, event: Event) -> None:
        """Queues an event about a pod or node."""
        meta = about.metadata
        reference = core.ObjectReference(
            api_version="v1",
            kind="Node" if isinstance(about, core.Node) else "Pod",
            name=meta.name,
            namespace=meta.namespace,
            # A node's events carry its name as uid: what upstream's kubelet writes and kubectl describe looks for.
            uid=meta.name if isinstance(about, core.Node) else meta.uid,
            resource_version="" if isinstance(about, core.Node) else meta.resource_version,
            field_path=event.field,
        )
        try:
            self._queue.put_nowait((reference, event, self._now()))
        except asyncio.QueueFull:
            logger.warning("event dropped, the queue is full: %s %s", event.reason, event.message)

    async def run(self) -> None:
        """Sends the queued events; one that the server refuses is logged and dropped."""
        while True:
            reference, event, when = await self._queue.get()
            try:
                await self._send(reference, event, when)
            except (StatusError, ConnectionError) as error:
                logger.warning("event %s about %s: %s", event.reason, reference.name, error)

    async def _send(self, about: core.ObjectReference, event: Event, when: datetime) -> None:
        namespace = about.namespace or "default"
        key = (about.kind, about.uid, event)
        seen = self._seen.get(key)
        if seen is not None:
            patch = {"count": seen.count + 1, "lastTimestamp": format_time(when)}
            try:
                await self._client.patch(core.Event, seen.name, namespace, patch)
                seen.count += 1
                return
            except StatusError as error:
                if error.code != 404:
                    raise
        name = f"{about.name}.{int(when.timestamp() * 1e9):x}{len(self._seen):04x}"
        made = core.Event(
            involved_object=about,
            reason=event.reason,
            message=event.message,
            type=event.type,
            count=1,
            first_timestamp=when,
            last_timestamp=when,
            source=core.EventSource(component="kubelet", host=self._host),
            reporting_component="kubelet",
            reporting_instance=self._host,
        )
        made.metadata.name, made.metadata.namespace = name, namespace
        await self._client.create(made)
        if len(self._seen) >= REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key] = _Seen(name, 1)
