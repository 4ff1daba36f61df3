"""Lets through what the user may (upstream: apiserver/pkg/endpoints/filters/authorization.go)."""

from __future__ import annotations

from dataclasses import replace

from pybernetes.component.metrics import Registry
from pybernetes.wire.http import Request

from ..audit import DECISION, REASON
from ..authorization.modes import Authorizers, refusal
from ..endpoints.routes import Answer
from ..types import Decision, RequestInfo
from .exchange import Exchange, Handler

STREAMS = ("exec", "attach", "portforward")


class Authorization:
    """StatusError 403 for the rest."""

    def __init__(self, authorizers: Authorizers, registry: Registry) -> None:
        self._authorizers = authorizers
        self._attempts = registry.counter(
            "authorization_attempts_total",
            "Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', "
            "'no-opinion' or 'error'.",
            ("result",),
        )

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        user, info = exchange.user, exchange.info
        decision = await self._authorizers.authorize(user, info)
        self._attempts.inc(_result(decision))
        annotations = exchange.event.annotations
        annotations[DECISION] = "allow" if decision.allowed else "forbid"
        annotations[REASON] = decision.reason
        if not decision.allowed:
            raise refusal(user, info, decision.reason)
        if info.subresource in STREAMS and _opens_websocket(exchange.request, info):
            await self._authorizers.require(user, replace(info, verb="create"))
        return await next(exchange)


def _result(decision: Decision) -> str:
    return "allowed" if decision.allowed else "denied" if decision.denied else "no-opinion"


def _opens_websocket(request: Request, info: RequestInfo) -> bool:
    """A WebSocket begins with a GET: what runs commands in a pod needs the right that a POST would (KEP 4006)."""
    if info.verb != "get" or info.resource != "pods":
        return False
    return (request.header("upgrade") or "").lower() == "websocket"
