"""So many requests at a time (upstream: WithMaxInFlightLimit; those that wait queue as with WithPriorityAndFairness)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass

from pybernetes.api.wellknown import SYSTEM_PRIVILEGED_GROUP
from pybernetes.wire.http import Response

from ..endpoints.metrics import APIServerMetrics
from ..endpoints.routes import Answer
from .exchange import Exchange, Handler

WAITING = 5_000  # requests of a kind that wait for their turn; upstream's queues hold as many
TOO_MANY = b"Too many requests, please try again later.\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """0: none."""

    read_only: int = 400  # --max-requests-inflight
    mutating: int = 200  # --max-mutating-requests-inflight

    @property
    def total(self) -> int:
        """Seats of the server with priority and fairness."""
        return self.read_only + self.mutating


class Gate:
    """So many at a time; the others wait in the order they came, as with upstream's priority and fairness."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.running = 0  # that have a place
        self.exempt = 0  # that run and need none
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def full(self) -> bool:
        """Whether one may not even wait."""
        return len(self._waiting) >= WAITING

    @property
    def busy(self) -> bool:
        """Whether one has to wait."""
        return 0 < self._limit <= self.running

    async def turn(self) -> None:
        """Returns when there is room."""
        while self.busy:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                if waiting.done() and not waiting.cancelled():
                    self.next()  # the turn was given to one who left
                raise

    def next(self) -> None:
        """Lets one in."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return


class MaxInFlight:
    """429 where not even the queue has room. Long-running requests pass: they would hold their places for hours.

    So do those of system:masters, the server's own and the administrator's, who must get an answer just when nobody else does
    (upstream: the exempt priority level). They are counted, and take nobody's place.
    """

    def __init__(self, limits: Limits, metrics: APIServerMetrics) -> None:
        self._mutating, self._read_only = Gate(limits.mutating), Gate(limits.read_only)
        self._dropped = metrics.dropped
        metrics.inflight.function = lambda: {
            ("mutating",): float(self._mutating.running + self._mutating.exempt),
            ("readOnly",): float(self._read_only.running + self._read_only.exempt),
        }

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        return next(exchange) if exchange.description.long_running else self._gated(exchange, next)

    async def _gated(self, exchange: Exchange, next: Handler) -> Answer:
        gate = self._mutating if exchange.description.mutating else self._read_only
        if SYSTEM_PRIVILEGED_GROUP in exchange.user.groups:
            gate.exempt += 1
            try:
                return await next(exchange)
            finally:
                gate.exempt -= 1
        if gate.full:
            self._dropped.inc(*exchange.description.labels, "429")
            return Response(429, [("Content-Type", "text/plain"), ("Retry-After", "1")], TOO_MANY)
        if gate.busy:
            await gate.turn()
        gate.running += 1
        try:
            return await next(exchange)
        finally:
            gate.running -= 1
            gate.next()
