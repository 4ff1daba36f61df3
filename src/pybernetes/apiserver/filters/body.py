"""Reads a request's body, once it is known that its sender may ask (upstream: endpoints/handlers/rest.go limitedReadBody)."""

from __future__ import annotations

from collections.abc import Awaitable

from pybernetes.aio import apart, collector
from pybernetes.api import errors
from pybernetes.wire.http import BodyError

from ..endpoints.routes import Answer
from .exchange import Exchange, Handler

TOO_LARGE = 413


class Body:
    """StatusError 413 for one that is too large, 400 for one that never comes. Of who may not ask nothing is read at all."""

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        request = exchange.request
        if request.incoming is None and len(request.body) < apart.LARGE:
            return next(exchange)
        return self._read(exchange, next)

    @staticmethod
    async def _read(exchange: Exchange, next: Handler) -> Answer:
        try:
            exchange.request = await exchange.request.whole()
        except BodyError as error:
            if error.status == TOO_LARGE:
                text = f"Request entity too large: limit is {error.limit}"
                raise errors.request_entity_too_large(text) from None
            raise errors.bad_request(f"the body of the request could not be read: {error}") from None
        if len(exchange.request.body) < apart.LARGE:
            return await next(exchange)
        # From end to end: what was read is looked at by the collector as long as it lives.
        with collector.freed_by_pieces(len(exchange.request.body)):
            return await next(exchange)
