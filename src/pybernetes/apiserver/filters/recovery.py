"""Every request is answered, whatever fails, and every answer has its request's id (upstream: WithAuditInit, WithPanicRecovery)."""

from __future__ import annotations

import logging
from dataclasses import replace

from pybernetes.api.errors import StatusError
from pybernetes.store.types import Closed, NoSpace, StoreError
from pybernetes.wire.http import Response

from ..endpoints.routes import Answer
from . import failures
from .exchange import Exchange, Handler

_log = logging.getLogger(__name__)


class Recovery:
    """The outermost link: makes an exception of any other a Status, and logs those that nobody has foreseen."""

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        try:
            answered = await next(exchange)
        except Exception as error:
            request = exchange.request
            if isinstance(error, StoreError):
                if not isinstance(error, Closed | NoSpace):  # which the store has told already, once
                    _log.error("%s %r failed: %s", request.method, request.raw_path, error)
            elif not isinstance(error, StatusError | RecursionError):
                _log.exception("%s %r failed", request.method, request.raw_path)
            answered = failures.response(request, failures.status_error(error))
        headers = (*answered.headers, ("Audit-Id", exchange.event.id), *exchange.headers)
        if type(answered) is Response:  # nearly all: dataclasses.replace takes ten times as long
            return Response(answered.status, headers, answered.body)
        return replace(answered, headers=headers)
