"""Clients that come while the server ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.filters.shutdown import Shutdown
from pybernetes.wire.http import Request, Response

from .links import OK, PODS, Next, exchange, never, request, run


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request("GET", PODS), 429),
        (request("GET", PODS, "watch=true"), 429),
        (request("GET", "/version"), 429),
        (request("GET", "/readyz"), 200),
        (request("GET", "/livez/etcd"), 200),
        (request("GET", "/metrics"), 200),
        (request("GET", PODS, user_agent="kube-apiserver/v1.37"), 200),
    ],
)
def test_who_is_sent_elsewhere(asked: Request, code: int) -> None:
    link, rest = Shutdown(), Next()
    assert run(link, exchange(asked), rest) is OK
    link.refuse()
    answer = run(link, exchange(asked), rest)
    assert isinstance(answer, Response) and answer.status == code
    if code == 429:
        assert answer.body == b"The apiserver is shutting down, please try again later.\n"
        assert dict(answer.headers)["Retry-After"] == "5" and dict(answer.headers)["Connection"] == "close"


def test_what_is_under_way_is_waited_for() -> None:
    async def work() -> None:
        link, clock = Shutdown(), VirtualClock()
        gate = asyncio.Event()

        async def slow(_: Any) -> Response:
            await gate.wait()
            return OK

        running = asyncio.ensure_future(_awaited(link(exchange(request("GET", PODS)), slow)))
        watching = asyncio.ensure_future(_awaited(link(exchange(request("GET", PODS, "watch=true")), never)))
        await asyncio.sleep(0)
        link.refuse()
        drained = asyncio.ensure_future(link.drained(60, clock))
        await asyncio.sleep(0)
        assert not drained.done()
        gate.set()
        assert await drained is True  # the watch is not waited for
        assert await running is OK
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(work())


def test_but_not_for_ever() -> None:
    async def work() -> None:
        link, clock = Shutdown(), VirtualClock()
        running = asyncio.ensure_future(_awaited(link(exchange(request("GET", PODS)), never)))
        await asyncio.sleep(0)
        drained = asyncio.ensure_future(link.drained(60, clock))
        await asyncio.sleep(0)
        await clock.advance(60)
        assert await drained is False
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(work())


async def _awaited(answer: Coroutine[Any, Any, Any]) -> Any:
    return await answer
