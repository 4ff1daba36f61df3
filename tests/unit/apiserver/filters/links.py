"""Exchanges, and what stands for the rest of the chain, in tests of links."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime

from pybernetes.apiserver.audit import AuditEvent
from pybernetes.apiserver.endpoints.metrics import APIServerMetrics
from pybernetes.apiserver.endpoints.routes import Answer
from pybernetes.apiserver.filters.exchange import Exchange, Handler, Link, describe
from pybernetes.wire.http import Request, Response

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PODS = "/api/v1/namespaces/default/pods"
OK = Response(200, [], b"ok")


def request(method: str, path: str, query: str = "", **headers: str) -> Request:
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(method, path.encode(), query.encode(), given)


def exchange(asked: Request | None = None, started: float = 0.0) -> Exchange:
    """As the chain begins it."""
    asked = asked or request("GET", PODS)
    description = describe(asked)
    event = AuditEvent("id", asked, description.info, NOW)
    return Exchange(asked, description, description.info, description.query, event, started)


class Next:
    """The rest of the chain: keeps what came to it; answers or fails."""

    def __init__(self, answer: Answer | Exception = OK) -> None:
        self._answer = answer
        self.seen: list[Exchange] = []

    async def __call__(self, exchange: Exchange) -> Answer:
        self.seen.append(exchange)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def never(exchange: Exchange) -> Answer:
    """A rest of the chain that does not answer."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")


def run(link: Link, asked: Exchange, next: Handler) -> Answer:
    """What the link answers."""

    async def awaited(answer: Awaitable[Answer]) -> Answer:
        return await answer

    return asyncio.run(awaited(link(asked, next)))


def metrics() -> APIServerMetrics:
    return APIServerMetrics(lambda: {("", "pods"): 3, ("apps", "deployments"): 1}, lambda: {("", "pods"): 2})
