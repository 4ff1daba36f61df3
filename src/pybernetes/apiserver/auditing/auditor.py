"""What the chain asks about audit events: what is wanted of a request, and where it goes (upstream: apiserver/pkg/audit/context.go)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from pybernetes.aio.clock import Clock

from ..audit import AuditEvent
from .metrics import AuditMetrics
from .policy import Policy
from .record import Record
from .sinks import Sink

CLOSE_SECONDS = 10.0  # that a stop waits for them
MAX_LATE = 10_000  # records of answers that have ended, for whose sinks nobody waits


class Auditor:
    """Between `start` and `close`. `lines`: one of the sinks wants the text of an event."""

    def __init__(
        self, policy: Policy, sinks: Sequence[Sink], metrics: AuditMetrics, clock: Clock, *, lines: bool = False
    ) -> None:
        self._policy, self._sinks, self.metrics, self._lines = policy, tuple(sinks), metrics, lines
        self._clock = clock
        self._late: set[asyncio.Task[bool]] = set()

    async def start(self) -> None:
        """Before the first request."""
        for sink in self._sinks:
            await sink.start()

    async def close(self) -> None:
        """After the last one."""
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(CLOSE_SECONDS):
                await asyncio.gather(*self._late, return_exceptions=True)
        for sink in self._sinks:
            await sink.close()

    def decide(self, event: AuditEvent) -> bool:
        """What is written of the request, as far as is known who asks; False for nothing."""
        event.decision = decision = self._policy.decide(event.user, event.info)
        self.metrics.levels.inc(decision.level.word)
        return decision.level > 0

    async def emit(self, event: AuditEvent) -> bool:
        """The event at its present stage; False where the request must not go on, as its record is lost."""
        if event.stage.value in event.decision.omitted:
            return True
        records = self._records(event)
        if len(self._sinks) == 1:
            return await self._sinks[0].process(records)
        return all([await sink.process(records) for sink in self._sinks])

    def _records(self, event: AuditEvent) -> tuple[Record, ...]:
        """The record; none of what cannot be written down, which harms no request."""
        self.metrics.events.inc()
        try:
            record = Record(event, line=self._lines)
            _ = record.json
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            self.metrics.failed("log", f"{event.id}: {error}", 1)
            return ()
        return (record,)

    def emit_late(self, event: AuditEvent) -> None:
        """As `emit`, where nobody can wait for it: the answer has ended already."""
        if event.stage.value in event.decision.omitted:
            return
        if len(self._late) >= MAX_LATE:
            self.metrics.failed("buffered", "audit buffer queue blocked", 1)
            return
        records = self._records(event)
        for sink in self._sinks:
            task = asyncio.get_running_loop().create_task(sink.process(records))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
