"""Follows a request through the stages of its audit event (upstream: apiserver/pkg/endpoints/filters/audit.go, WithAudit)."""

from __future__ import annotations

import asyncio
import html
from typing import TYPE_CHECKING, Any

import msgspec

from pybernetes.aio import apart
from pybernetes.aio.clock import Clock
from pybernetes.api import field
from pybernetes.api.errors import StatusError
from pybernetes.store.types import Closed
from pybernetes.wire.http import Response, UpgradeResponse

from .. import audit
from ..audit import AuditEvent, Level, Stage
from ..endpoints.metrics import CONNECT
from ..endpoints.routes import Answer
from . import failures
from .exchange import Exchange, Handler
from .following import followed

if TYPE_CHECKING:
    from ..auditing.auditor import Auditor

SWITCHING_PROTOCOLS = 101
CLOSED_EARLY = {
    "status": "Success",
    "message": "Connection closed early",
}  # what a client that left is taken to have got
TEXT = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))


class Audit:
    """Says to the exchange's event what became of the request; the event is the task's while the rest of the chain runs.

    Without an `auditor` nothing is written down of it.
    """

    def __init__(self, clock: Clock, auditor: Auditor | None = None) -> None:
        self._monotonic, self._auditor = clock.monotonic, auditor
        if auditor is not None:
            from ..auditing import objects  # with a policy alone

            self._of_request, self._of_response = objects.of_request, objects.of_response
            self._status_of = objects.status_of

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        event, auditor = exchange.event, self._auditor
        if auditor is not None and auditor.decide(event) and not await auditor.emit(event):
            auditor.metrics.rejected.inc()
            return _not_stored(event)
        token = audit.current.set(event)
        try:
            answered = await next(exchange)
        except Exception as error:
            await self._failed(exchange, error)
            raise
        except asyncio.CancelledError:
            event.respond(200, CLOSED_EARLY)
            self._ended(exchange)
            raise
        finally:
            audit.current.reset(token)
        if isinstance(answered, Response):
            event.response = {"code": answered.status}
            if event.decision.level:
                await self._objects(event, answered)
            await self._reached(exchange, Stage.RESPONSE_COMPLETE)
            return answered
        event.respond(SWITCHING_PROTOCOLS if isinstance(answered, UpgradeResponse) else answered.status)
        if exchange.description.long_running or isinstance(answered, UpgradeResponse):  # not for lists, however large
            await self._reached(exchange, Stage.RESPONSE_STARTED)
        elif event.decision.level == Level.REQUEST_RESPONSE and event.info.is_resource:
            event.annotate(audit.TRUNCATED_OBJECT, "true")  # it is never there as a whole
        return followed(answered, lambda: self._ended(exchange))

    async def _reached(self, exchange: Exchange, stage: Stage) -> None:
        event = exchange.event
        event.reach(stage, self._monotonic() - exchange.started)
        if event.decision.level and self._auditor is not None:
            await self._auditor.emit(event)

    def _ended(self, exchange: Exchange) -> None:
        """Where nobody can wait."""
        event = exchange.event
        event.reach(Stage.RESPONSE_COMPLETE, self._monotonic() - exchange.started)
        if event.decision.level and self._auditor is not None:
            self._auditor.emit_late(event)

    async def _failed(self, exchange: Exchange, error: Exception) -> None:
        event = exchange.event
        foreseen = isinstance(error, StatusError | Closed)
        status = failures.status_error(error).status
        if not foreseen:
            status = {
                "status": "Failure",
                "reason": "InternalError",
                "code": 500,
                "message": f"APIServer panic'd: {error}",
            }
        event.respond(status["code"], status)
        if event.decision.level:
            await self._objects(event, status if foreseen else None)
        await self._reached(exchange, Stage.RESPONSE_COMPLETE if foreseen else Stage.PANIC)

    async def _objects(self, event: AuditEvent, answered: Response | dict[str, Any] | None) -> None:
        """What went in and came out, as far as it is wanted."""
        level, omit, posted = event.decision.level, event.decision.omit_managed_fields, event.posted
        if posted is not None:
            event.request_object = await apart.run(len(posted.body), self._of_request, posted, omit)
        if isinstance(answered, Response) and event.info.is_resource and event.info.subresource not in CONNECT:
            status = self._status_of(answered)
            if status is not None:
                event.respond(answered.status, status)
            if level == Level.REQUEST_RESPONSE:
                event.response_object = await apart.run(len(answered.body), self._of_response, answered, omit)
        elif isinstance(answered, dict) and level == Level.REQUEST_RESPONSE and event.info.is_resource:
            event.response_object = msgspec.json.encode(answered)


def _not_stored(event: AuditEvent) -> Response:
    """In upstream's words (responsewriters.InternalError): plain text, in which nothing is taken for HTML."""
    uri = html.escape(field.quote(event.request_uri), quote=False)
    return Response(500, TEXT, f"Internal Server Error: {uri}: failed to store audit event\n".encode())
