"""The end of the chain: resources go to their routes, other paths to what the server tells of itself (upstream: server/handler.go)."""

from __future__ import annotations

from collections.abc import Awaitable

from ..endpoints.nonresource import NonResource
from ..endpoints.routes import Answer, Routes
from ..generic.freshness import FreshClusters, must_be_fresh
from .exchange import Exchange


class Director:
    """See `exchange.Handler`."""

    def __init__(self, routes: Routes, nonresource: NonResource, freshness: FreshClusters | None = None) -> None:
        """`freshness` of a store that other servers write to as well."""
        self._routes, self._nonresource, self._freshness = routes, nonresource, freshness

    def __call__(self, exchange: Exchange) -> Awaitable[Answer]:
        if exchange.info.is_resource:
            if self._freshness is not None and must_be_fresh(exchange.info, exchange.query):
                return self._fresh(exchange, self._freshness)
            return self._routes.answer(exchange.request, exchange.info, exchange.query, exchange.user)
        return self._page(exchange)

    async def _fresh(self, exchange: Exchange, freshness: FreshClusters) -> Answer:
        await freshness.sync(exchange.info)
        return await self._routes.answer(exchange.request, exchange.info, exchange.query, exchange.user)

    async def _page(self, exchange: Exchange) -> Answer:
        return await self._nonresource.answer(exchange.request, exchange.info, exchange.query)
