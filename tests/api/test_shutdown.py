"""How a server ends: not ready first, then 429 where that is asked for, watches one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.server import APIServer, Options, ShutdownOptions
from pybernetes.client.http import HTTPClient
from pybernetes.store.memory import MemoryStore

from .golden import Administrator

MAPS = "/api/v1/configmaps"


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await story()

    asyncio.run(main())


async def code(client: HTTPClient, path: str) -> int:
    return (await client.request("GET", path, timeout=30)).status


async def started(**shutdown: Any) -> tuple[APIServer, HTTPClient, VirtualClock]:
    clock = VirtualClock()
    authentication = AuthenticationOptions([Administrator()])
    options = Options(authentication=authentication, shutdown=ShutdownOptions(**shutdown), clock=clock)
    server = APIServer(MemoryStore(), options)
    await server.start()
    return server, HTTPClient(f"http://127.0.0.1:{server.port}"), clock


async def turns() -> None:
    """The rest of the loop's work."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_it_serves_while_load_balancers_take_notice() -> None:
    async def story() -> None:
        server, client, clock = await started(delay=10)
        assert [await code(client, path) for path in ("/readyz", MAPS)] == [200, 200]
        stopping = asyncio.ensure_future(server.stop(0))
        await turns()
        assert [await code(client, path) for path in ("/readyz", "/livez", "/healthz", MAPS)] == [500, 200, 200, 200]
        assert b"[-]shutdown failed: reason withheld" in (await client.request("GET", "/readyz?verbose")).body
        await clock.advance(9)
        assert not stopping.done()
        await clock.advance(1)
        await stopping
        await client.close()

    run(story)


def test_it_sends_clients_elsewhere() -> None:
    async def story() -> None:
        server, client, clock = await started(send_retry_after=True, watches=10)
        async with client.stream("GET", f"{MAPS}?watch=true") as watch:
            stopping = asyncio.ensure_future(server.stop(0))
            await turns()
            answer = await client.request("GET", MAPS)
            assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (429, "5", "close")
            assert await code(client, "/livez") == 200
            assert await watch.read() == b""  # the watch ends as any does
        await clock.advance(10)
        await stopping
        await client.close()

    run(story)


def test_watches_end_one_after_the_other() -> None:
    async def story() -> None:
        server, client, clock = await started(watches=10)
        streams = [client.stream("GET", f"{MAPS}?watch=true") for _ in range(5)]
        watches = [await stream.__aenter__() for stream in streams]
        ended = [asyncio.ensure_future(watch.read()) for watch in watches]
        stopping = asyncio.ensure_future(server.stop(0))
        counts = []
        for _ in range(5):
            await turns()
            counts.append(len(server.cache.client_watchers()))
            await clock.advance(1 / 200)
        assert counts == [4, 3, 2, 1, 0]
        await stopping
        assert await asyncio.gather(*ended) == [b""] * 5
        for stream in streams:
            await stream.__aexit__(None, None, None)
        await client.close()

    run(story)
