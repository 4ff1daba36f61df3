"""Follows a request through the stages of its audit event (upstream: apiserver/pkg/endpoints/filters/audit.go, WithAudit)."""

from __future__ import annotations

import asyncio

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.store.types import Closed
from pybernetes.wire.http import Response, UpgradeResponse

from .. import audit
from ..audit import Stage
from ..endpoints.routes import Answer
from . import failures
from .exchange import Exchange, Handler
from .following import followed

SWITCHING_PROTOCOLS = 101
CLOSED_EARLY = {
    "status": "Success",
    "message": "Connection closed early",
}  # what a client that left is taken to have got


class Audit:
    """Says to the exchange's event what became of the request; the event is the task's while the rest of the chain runs."""

    def __init__(self, clock: Clock) -> None:
        self._monotonic = clock.monotonic

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        event = exchange.event
        token = audit.current.set(event)
        try:
            answered = await next(exchange)
        except Exception as error:
            self._failed(exchange, error)
            raise
        except asyncio.CancelledError:
            event.respond(200, CLOSED_EARLY)
            self._reached(exchange, Stage.RESPONSE_COMPLETE)
            raise
        finally:
            audit.current.reset(token)
        if isinstance(answered, Response):
            event.response = {"code": answered.status}
            self._reached(exchange, Stage.RESPONSE_COMPLETE)
            return answered
        event.respond(SWITCHING_PROTOCOLS if isinstance(answered, UpgradeResponse) else answered.status)
        if exchange.description.long_running or isinstance(answered, UpgradeResponse):  # not for lists, however large
            self._reached(exchange, Stage.RESPONSE_STARTED)
        return followed(answered, lambda: self._reached(exchange, Stage.RESPONSE_COMPLETE))

    def _reached(self, exchange: Exchange, stage: Stage) -> None:
        exchange.event.reach(stage, self._monotonic() - exchange.started)

    def _failed(self, exchange: Exchange, error: Exception) -> None:
        foreseen = isinstance(error, StatusError | Closed)
        status = failures.status_error(error).status
        if not foreseen:
            status = {
                "status": "Failure",
                "reason": "InternalError",
                "code": 500,
                "message": f"APIServer panic'd: {error}",
            }
        exchange.event.respond(status["code"], status)
        self._reached(exchange, Stage.RESPONSE_COMPLETE if foreseen else Stage.PANIC)
