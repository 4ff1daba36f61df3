"""Where records go, and how a request waits for that (upstream: apiserver/plugin/pkg/audit: log, truncate; server/options/audit.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from .metrics import AuditMetrics
from .record import Record
from .rotation import RotatingFile, write_all

_log = logging.getLogger(__name__)

STDOUT = 1


class Sink(Protocol):
    """Takes records; what goes wrong it counts and tells by itself. Between `start` and `close`."""

    async def start(self) -> None:
        """Begins what goes on beside requests."""

    async def process(self, records: Sequence[Record]) -> bool:
        """False where a record is lost. A failure is never raised."""

    async def close(self) -> None:
        """Returns when what was taken is written, or cannot be."""


class LogSink:
    """The log file. Written by whoever comes: a line in the page cache is there sooner than a thread; with `threaded` in a thread of its own,
    for which `Batch` waits."""

    def __init__(self, file: RotatingFile | None, legacy: bool, metrics: AuditMetrics, *, threaded: bool) -> None:
        """None: standard output."""
        self._file, self._legacy, self._metrics, self._threaded = file, legacy, metrics, threaded
        self._tidying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `Sink`."""
        self._tidy()

    async def process(self, records: Sequence[Record]) -> bool:
        """See `Sink`."""
        lines = [f"{record.line}\n".encode() if self._legacy else record.alone for record in records]
        try:
            if self._threaded:
                await asyncio.to_thread(self._write, lines)
            else:
                self._write(lines)
        except OSError as error:
            self._metrics.failed("log", str(error), len(records))
            return False
        if self._file is not None and self._file.untidy:
            self._tidy()
        return True

    def _write(self, lines: Sequence[bytes]) -> None:
        if self._file is None:
            write_all(STDOUT, b"".join(lines))
        else:
            self._file.write(lines)

    def _tidy(self) -> None:
        file = self._file
        if file is None or not file.rotates or (self._tidying is not None and not self._tidying.done()):
            return
        file.untidy = False

        async def tidy() -> None:
            try:
                await asyncio.to_thread(file.tidy)
            except OSError as error:
                _log.error("files of the audit log that were set aside cannot be removed or compressed: %s", error)

        self._tidying = asyncio.get_running_loop().create_task(tidy())

    async def close(self) -> None:
        """See `Sink`."""
        if self._tidying is not None:
            await self._tidying
        if self._file is not None:
            self._file.close()


class Blocking:
    """A request waits until its records are written; it goes on where they cannot be, but with `strict`."""

    def __init__(self, sink: Sink, *, strict: bool) -> None:
        self._sink, self._strict = sink, strict
        self.start, self.close = sink.start, sink.close

    async def process(self, records: Sequence[Record]) -> bool:
        """See `Sink`."""
        return await self._sink.process(records) or not self._strict


class Truncating:
    """Bounds events and batches, by bytes of JSON: what is too large goes without request and response, or not at all."""

    def __init__(self, sink: Sink, max_event: int, max_batch: int, metrics: AuditMetrics) -> None:
        self._sink, self._max_event, self._max_batch, self._metrics = sink, max_event, max_batch, metrics
        self.start, self.close = sink.start, sink.close

    async def process(self, records: Sequence[Record]) -> bool:
        """See `Sink`. What is too large even so harms no request, as upstream's."""
        batch: list[Record] = []
        size, succeeded = 0, True
        for record in records:
            one = record if record.size <= self._max_event else record.truncated()
            if one.size > self._max_event:
                self._metrics.failed("truncate", "event is too large even after truncating", 1)
                continue
            if batch and size + one.size > self._max_batch:
                succeeded = await self._sink.process(batch) and succeeded
                batch, size = [], 0
            batch.append(one)
            size += one.size
        return (await self._sink.process(batch) if batch else True) and succeeded
