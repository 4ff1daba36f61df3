"""Sends clients elsewhere while the server ends, and knows what is under way (upstream: server/filters/with_retry_after.go, waitgroup.go)."""

from __future__ import annotations

import asyncio

from pybernetes.aio.clock import Clock
from pybernetes.wire.http import Response

from ..endpoints.routes import Answer
from .exchange import Exchange, Handler

EXEMPT_PATHS = ("/readyz", "/livez", "/healthz", "/metrics")
EXEMPT_AGENT = "kube-apiserver/"  # the server's own requests
MESSAGE = b"The apiserver is shutting down, please try again later.\n"
HEADERS = (
    ("Connection", "close"),
    ("Retry-After", "5"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
)


class Shutdown:
    """429 once the server `refuses`, but to who asks for its health."""

    def __init__(self) -> None:
        self._running = 0  # requests that are bounded in time
        self._refusing = False
        self._idle = asyncio.Event()
        self._idle.set()

    def refuse(self) -> None:
        """From now on nothing new is begun."""
        self._refusing = True

    async def drained(self, seconds: float, clock: Clock) -> bool:
        """Waits until what is under way has ended, for so many seconds at most (0: without end); whether it has."""
        try:
            async with clock.timeout(seconds or None):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        if _exempt(exchange):
            return await next(exchange)
        if self._refusing:
            return Response(429, HEADERS, MESSAGE)
        if exchange.description.long_running:
            return await next(exchange)
        self._running += 1
        self._idle.clear()
        try:
            return await next(exchange)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()


def _exempt(exchange: Exchange) -> bool:
    if (exchange.request.header("user-agent") or "").startswith(EXEMPT_AGENT):
        return True
    return not exchange.info.is_resource and exchange.info.path.startswith(EXEMPT_PATHS)
