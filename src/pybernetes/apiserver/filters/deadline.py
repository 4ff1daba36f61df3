"""How long a request may take (upstream: WithRequestDeadline, WithTimeoutForNonLongRunningRequests)."""

from __future__ import annotations

from collections.abc import Awaitable

from pybernetes.aio.clock import Clock
from pybernetes.api import errors
from pybernetes.api.durations import parse_duration

from ..endpoints.routes import Answer
from .exchange import Exchange, Handler


class Deadline:
    """`seconds` of --request-timeout, 0: for ever; a request may ask for less. Long-running requests pass."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds, self._clock = seconds or None, clock

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        if exchange.description.long_running:
            return next(exchange)
        seconds, given = self._seconds, exchange.query.get("timeout")
        if given is not None:
            requested = parse_timeout(given)
            seconds = min(seconds or requested, requested) if requested else seconds
        if seconds is not None:
            exchange.deadline = exchange.started + seconds
        if given is None and not exchange.description.mutating:
            return next(exchange)  # what only reads memory needs no alarm
        return self._bounded(exchange, next, seconds)

    async def _bounded(self, exchange: Exchange, next: Handler, seconds: float | None) -> Answer:
        try:
            async with self._clock.timeout(seconds):
                return await next(exchange)
        except TimeoutError:
            info, text = exchange.info, "request did not complete within the allotted timeout"
            raise errors.timeout(info.group, info.resource, info.verb, text) from None


def parse_timeout(text: str) -> float:
    """Seconds of ?timeout=, a Go duration; StatusError 400."""
    try:
        return parse_duration(text)
    except ValueError:
        raise errors.bad_request("invalid timeout specified in the request URL") from None
