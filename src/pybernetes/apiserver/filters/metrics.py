"""Counts requests and their times (upstream: apiserver/pkg/endpoints/metrics, InstrumentHandlerFunc)."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from pybernetes.aio.clock import Clock
from pybernetes.wire.http import BodyWriter, Response, StreamingResponse, UpgradeResponse

from ..endpoints.metrics import OTHER, APIServerMetrics
from ..endpoints.routes import Answer
from . import failures
from .exchange import Exchange, Handler
from .following import followed


class Metrics:
    """`served` has the (group, version, resource) that there are: made-up ones must not make samples."""

    def __init__(self, metrics: APIServerMetrics, served: Container[tuple[str, str, str]], clock: Clock) -> None:
        self._metrics, self._served, self._monotonic = metrics, served, clock.monotonic

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        try:
            answered = await next(exchange)
        except Exception as error:
            self._observe(exchange, failures.status_error(error).code, 0)
            raise
        if not isinstance(answered, Response):
            return self._followed(exchange, answered)
        self._observe(exchange, answered.status, len(answered.body))
        return answered

    def _observe(self, exchange: Exchange, code: int, size: int) -> None:
        labels = exchange.description.labels
        if code in (404, 405) and not self._is_served(exchange):
            labels = OTHER
        asked = set(exchange.query.every("dryRun"))
        dry_run = ",".join(asked) if asked <= {"All"} else "invalid"
        self._metrics.observe(labels, dry_run, code, self._monotonic() - exchange.started, size)

    def _is_served(self, exchange: Exchange) -> bool:
        info = exchange.info
        if not info.is_resource:
            return True  # whose labels are of a few paths anyway
        return not info.subresource and (info.group, info.version, info.resource) in self._served

    def _followed(self, exchange: Exchange, answered: StreamingResponse | UpgradeResponse) -> Answer:
        """A long answer is counted while it lasts, and observed at its end; a large list at its end, with its size."""
        gauge, labels = self._metrics.long_running, exchange.description.labels
        lasting, written = exchange.description.long_running, 0
        if lasting:
            gauge.inc(*labels)

        def ended() -> None:
            if lasting:
                gauge.inc(*labels, by=-1)
            self._observe(exchange, answered.status, written)

        if lasting or isinstance(answered, UpgradeResponse):
            return followed(answered, ended)
        produce = answered.producer

        async def counted(writer: BodyWriter) -> None:
            nonlocal written
            counter = _Counter(writer)
            await produce(counter)
            written = counter.size

        return followed(replace(answered, producer=counted), ended)


class _Counter:
    """Counts what passes."""

    def __init__(self, writer: BodyWriter) -> None:
        self._writer = writer
        self.size = 0

    async def write(self, data: bytes) -> None:
        self.size += len(data)
        await self._writer.write(data)
