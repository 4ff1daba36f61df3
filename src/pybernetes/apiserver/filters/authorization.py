"""Lets through what the user may (upstream: apiserver/pkg/endpoints/filters/authorization.go)."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace

from pybernetes.api.field import quote
from pybernetes.component.metrics import Registry
from pybernetes.wire.http import Request, Response

from ..audit import DECISION, REASON
from ..authorization.modes import Authorizers, refusal
from ..endpoints.metrics import DECISION_SECONDS
from ..endpoints.routes import Answer
from ..types import Decision, RequestInfo
from .exchange import Exchange, Handler

ERROR = "internal error"  # the reason in an audit event
TEXT = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
STREAMS = ("exec", "attach", "portforward")


class Authorization:
    """StatusError 403 for the rest."""

    def __init__(self, authorizers: Authorizers, registry: Registry, monotonic: Callable[[], float]) -> None:
        self._authorizers, self._monotonic = authorizers, monotonic
        self._seconds = registry.histogram(
            "authorization_duration_seconds",
            "Authorization duration in seconds broken out by result.",
            ("result",),
            DECISION_SECONDS,
        )
        self._attempts = registry.counter(
            "authorization_attempts_total",
            "Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', "
            "'no-opinion' or 'error'.",
            ("result",),
        )

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        user, info = exchange.user, exchange.info
        begun = self._monotonic()
        decision = await self._authorizers.authorize(user, info)
        result = _result(decision)
        self._attempts.inc(result)
        self._seconds.observe(self._monotonic() - begun, result)
        annotations = exchange.event.annotations
        if not decision.allowed and decision.error:
            annotations[REASON] = ERROR
            return _undecided(exchange.event.request_uri, decision.error)
        annotations[DECISION] = "allow" if decision.allowed else "forbid"
        annotations[REASON] = decision.reason
        if not decision.allowed:
            raise refusal(user, info, decision.reason)
        if info.subresource in STREAMS and _opens_websocket(exchange.request, info):
            await self._authorizers.require(user, replace(info, verb="create"))
        return await next(exchange)


def _result(decision: Decision) -> str:
    if decision.allowed:
        return "allowed"
    return "error" if decision.error else "denied" if decision.denied else "no-opinion"


def _undecided(uri: str, why: str) -> Response:
    """Nobody said yes, and somebody could not be asked (upstream: handlers/responsewriters/errors.go InternalError)."""
    text = html.escape(f"Internal Server Error: {quote(uri)}: {why}", quote=False)
    return Response(500, TEXT, f"{text}\n".encode())


def _opens_websocket(request: Request, info: RequestInfo) -> bool:
    """A WebSocket begins with a GET: what runs commands in a pod needs the right that a POST would (KEP 4006)."""
    if info.verb != "get" or info.resource != "pods":
        return False
    return (request.header("upgrade") or "").lower() == "websocket"
