"""The end of the chain: resources go to their routes, other paths to what the server tells of itself (upstream: server/handler.go)."""

from __future__ import annotations

from collections.abc import Awaitable

from ..endpoints.nonresource import NonResource
from ..endpoints.routes import Answer, Routes
from .exchange import Exchange


class Director:
    """See `exchange.Handler`."""

    def __init__(self, routes: Routes, nonresource: NonResource) -> None:
        self._routes, self._nonresource = routes, nonresource

    def __call__(self, exchange: Exchange) -> Awaitable[Answer]:
        if exchange.info.is_resource:
            return self._routes.answer(exchange.request, exchange.info, exchange.query, exchange.user)
        return self._page(exchange)

    async def _page(self, exchange: Exchange) -> Answer:
        return self._nonresource.answer(exchange.request, exchange.info, exchange.query)
