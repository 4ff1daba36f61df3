"""Large answers are compressed where the client wants that (upstream: endpoints/handlers/responsewriters, deferredResponseWriter)."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable

from pybernetes.wire.http import Request, Response

from ..endpoints.routes import Answer
from .exchange import Exchange, Handler

GZIP_BYTES = 128 << 10  # smaller answers are not worth it (upstream's defaultGzipThresholdBytes)
GZIP_LEVEL = 1


class Compression:
    """With gzip, in a thread: zlib lets go of the interpreter meanwhile."""

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        return next(exchange) if exchange.description.long_running else self._compressed(exchange, next)

    @staticmethod
    async def _compressed(exchange: Exchange, next: Handler) -> Answer:
        answered = await next(exchange)
        if not isinstance(answered, Response) or len(answered.body) < GZIP_BYTES:
            return answered
        headers = tuple(answered.headers)
        if not _accepted(exchange.request) or any(name.lower() == "content-encoding" for name, _ in headers):
            return answered
        body = await asyncio.to_thread(gzip.compress, answered.body, GZIP_LEVEL)
        return Response(answered.status, (*headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")), body)


def _accepted(request: Request) -> bool:
    return any("gzip" in value for value in request.header_values("accept-encoding"))
