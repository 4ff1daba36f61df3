"""The way of a request through the server: an ordered list of links, and at its end the verbs.

The order is that of upstream's DefaultBuildHandlerChain (apiserver/pkg/server/config.go); what a request is about
(WithRequestInfo) and when it came (WithRequestReceivedTimestamp) is known before the first link is asked.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Container, Mapping, Sequence
from typing import TYPE_CHECKING

from pybernetes.aio import apart, collector
from pybernetes.aio.clock import Clock
from pybernetes.wire.http import Request

from .audit import AuditEvent
from .authentication.chain import Authenticators
from .authorization.modes import Authorizers
from .endpoints.metrics import APIServerMetrics
from .endpoints.routes import Answer
from .filters.aggregation import Aggregation, Delegate, GroupVersion
from .filters.audit import Audit
from .filters.authentication import Authentication
from .filters.authorization import Authorization
from .filters.body import Body
from .filters.compression import Compression
from .filters.deadline import Deadline
from .filters.exchange import Description, Exchange, Handler, Link, describe, is_large
from .filters.impersonation import Impersonation
from .filters.maxinflight import MaxInFlight
from .filters.metrics import Metrics
from .filters.priorityandfairness import PriorityAndFairness
from .filters.recovery import Recovery
from .filters.shutdown import Shutdown

if TYPE_CHECKING:
    from .auditing.auditor import Auditor


def links(
    *,
    authenticators: Authenticators,
    authorizers: Authorizers,
    limiter: MaxInFlight | PriorityAndFairness,
    request_timeout: float,
    metrics: APIServerMetrics,
    served: Container[tuple[str, str, str]],
    delegates: Mapping[GroupVersion, Delegate],
    clock: Clock,
    watching: Sequence[Link] = (),
    failing: Sequence[Link] = (),
    auditor: Auditor | None = None,
    ending: Shutdown | None = None,
) -> tuple[Link, ...]:
    """From the outermost to the innermost. `served` has the (group, version, resource) that there are, also those to come, those who answer
    in place of this server are `delegates`.

    Test servers add links: those of `watching` see every request and its answer, those of `failing` what was let in, just before it is done.
    """
    return (
        Recovery(),  # the answer's Audit-Id; a failure of any link becomes a Status
        *((ending,) if ending is not None else ()),  # who comes while the server ends leaves no trace
        Compression(),
        Metrics(metrics, served, clock),
        *watching,
        Deadline(request_timeout, clock),
        Authentication(authenticators, metrics.registry, clock, auditor),
        Audit(clock, auditor),  # knows who asked, and hears what everything below has answered
        Impersonation(authorizers),
        limiter,  # knows for whom: priority and fairness sorts by user
        Authorization(authorizers, metrics.registry, clock.monotonic),
        Body(),  # only now: who may not ask has nothing read
        *failing,
        Aggregation(delegates),  # what another server answers goes no further here
    )


class Chain:
    """`links`, then `end`."""

    def __init__(self, links: Sequence[Link], end: Handler, clock: Clock) -> None:
        self._now, self._monotonic = clock.now, clock.monotonic
        self._first = end
        for link in reversed(links):
            self._first = _before(link, self._first)

    def handle(self, request: Request) -> Awaitable[Answer]:
        """Every answer, also to what fails."""
        if is_large(request):
            return self._handle_large(request)
        return self._handle(request, describe(request))

    async def _handle_large(self, request: Request) -> Answer:
        """To read what is in it takes time."""
        with collector.uncollected():
            size = len(request.raw_path) + len(request.query)
            return await self._handle(request, await apart.run(size, describe, request))

    def _handle(self, request: Request, description: Description) -> Awaitable[Answer]:
        event = AuditEvent(request.header("audit-id") or audit_id(), request, description.info, self._now())
        return self._first(
            Exchange(request, description, description.info, description.query, event, self._monotonic())
        )


def _before(link: Link, next: Handler) -> Handler:
    step = link.__call__  # bound once: calling the object itself would look it up for each request

    def handle(exchange: Exchange) -> Awaitable[Answer]:
        return step(exchange, next)

    return handle


def audit_id() -> str:
    """Random, as uuid.uuid4() but without a system call: it tells requests apart and keeps no secret."""
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
