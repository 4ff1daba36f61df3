"""Lets one act as somebody else, where one may (upstream: apiserver/pkg/endpoints/filters/impersonation)."""

from __future__ import annotations

from collections.abc import Awaitable

from ..authentication import impersonation
from ..authentication.user import User
from ..authorization.modes import Authorizers
from ..endpoints.routes import Answer
from .exchange import Exchange, Handler


class Impersonation:
    """StatusError 400 for headers that fit no user, 403 where one may not."""

    def __init__(self, authorizers: Authorizers) -> None:
        self._authorizers = authorizers

    def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
        target = impersonation.requested(exchange.request.headers)
        return next(exchange) if target is None else self._impersonated(exchange, next, target)

    async def _impersonated(self, exchange: Exchange, next: Handler, target: User) -> Answer:
        for info in impersonation.questions(target):
            await self._authorizers.require(exchange.user, info)
        exchange.user = exchange.event.impersonated = impersonation.resolved(target)
        return await next(exchange)
