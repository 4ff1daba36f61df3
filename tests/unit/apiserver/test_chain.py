"""The order of the links, and that a request goes through them in it."""

import asyncio
import json
import re
from collections.abc import Awaitable

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.authentication.chain import Authenticators
from pybernetes.apiserver.authorization.modes import AlwaysAllow, AlwaysDeny, Authorizers
from pybernetes.apiserver.chain import Chain, audit_id, links
from pybernetes.apiserver.endpoints.metrics import APIServerMetrics
from pybernetes.apiserver.endpoints.routes import Answer
from pybernetes.apiserver.filters.exchange import Exchange, Handler, Link
from pybernetes.apiserver.filters.maxinflight import Limits, MaxInFlight
from pybernetes.apiserver.types import Authorizer
from pybernetes.wire.http import Request, Response

CLOCK = VirtualClock(start=3.0)

# Upstream's DefaultBuildHandlerChain (apiserver/pkg/server/config.go, 1.34), as a request passes it: its filters, and our links
# for those that there are here. Compression is the response writer's there, metrics the installed routes'.
UPSTREAM = {
    "WithAuditInit": "Recovery",
    "WithPanicRecovery": "Recovery",
    "WithRequestDeadline": "Deadline",
    "WithTimeoutForNonLongRunningRequests": "Deadline",
    "WithAuthentication": "Authentication",
    "WithAudit": "Audit",
    "WithImpersonation": "Impersonation",
    "WithPriorityAndFairness": "MaxInFlight",  # either of the two
    "WithMaxInFlightLimit": "MaxInFlight",
    "WithAuthorization": "Authorization",
}


def made(authorizer: Authorizer, anonymous: bool = True) -> tuple[Link, ...]:
    metrics = APIServerMetrics(dict, dict)
    return links(
        authenticators=Authenticators(anonymous=anonymous),
        authorizers=Authorizers([authorizer]),
        limiter=MaxInFlight(Limits(), metrics),
        request_timeout=60.0,
        metrics=metrics,
        served={("", "v1", "pods")},
        delegates={},
        clock=CLOCK,
    )


def test_the_order_is_upstream_s() -> None:
    names = [type(link).__name__ for link in made(AlwaysAllow())]
    assert names == [
        "Recovery",
        "Compression",
        "Metrics",
        "Deadline",
        "Authentication",
        "Audit",
        "Impersonation",
        "MaxInFlight",
        "Authorization",
        "Body",
        "Aggregation",
    ]
    assert [name for name in names if name in UPSTREAM.values()] == list(dict.fromkeys(UPSTREAM.values()))


async def end(exchange: Exchange) -> Answer:
    return Response(200, body=f"{exchange.user.name} {exchange.info.verb} {exchange.query} {exchange.started}".encode())


def answered(chain: Chain, request: Request) -> Response:
    async def main() -> Answer:
        return await chain.handle(request)

    answer = asyncio.run(main())
    assert isinstance(answer, Response)
    return answer


def test_what_comes_to_the_end() -> None:
    chain = Chain(made(AlwaysAllow()), end, CLOCK)
    answer = answered(chain, Request("GET", b"/api/v1/pods", b"limit=1", (("audit-id", "given"),)))
    assert answer.body == b"system:anonymous list {'limit': '1'} 3.0"
    assert answer.headers == (("Audit-Id", "given"),)


def test_who_is_not_known_is_not_asked_about_rights() -> None:
    request = Request("GET", b"/api/v1/pods", b"", ())
    for anonymous, code in ((False, 401), (True, 403)):
        answer = answered(Chain(made(AlwaysDeny(), anonymous), end, CLOCK), request)
        assert (answer.status, json.loads(answer.body)["code"]) == (code, code)


def test_one_after_the_other() -> None:
    passed: list[str] = []

    class Step:
        def __init__(self, name: str) -> None:
            self._name = name

        def __call__(self, exchange: Exchange, next: Handler) -> Awaitable[Answer]:
            passed.append(self._name)
            return next(exchange)

    answered(Chain([Step("a"), Step("b")], end, CLOCK), Request("GET", b"/", b"", ()))
    assert passed == ["a", "b"]


def test_ids_are_those_of_random_uuids() -> None:
    ids = {audit_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}", one) for one in ids)
