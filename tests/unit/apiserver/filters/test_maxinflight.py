"""So many requests at a time, each in its turn."""

import asyncio

import pytest

from pybernetes.apiserver.filters import maxinflight
from pybernetes.apiserver.filters.maxinflight import Limits, MaxInFlight

from .links import PODS, Next, exchange, metrics, never, request


def test_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maxinflight, "WAITING", 2)

    async def main() -> None:
        counted = metrics()
        link = MaxInFlight(Limits(mutating=1), counted)
        first = asyncio.ensure_future(link(exchange(request("POST", PODS)), never))
        await asyncio.sleep(0)
        assert 'apiserver_current_inflight_requests{request_kind="mutating"} 1' in counted.registry.text()
        delete = request("DELETE", f"{PODS}/a")
        left, waiting = (asyncio.ensure_future(link(exchange(delete), Next())) for _ in range(2))
        await asyncio.sleep(0)
        refused = await link(exchange(delete), Next())
        assert refused.status == 429
        assert ("Retry-After", "1") in refused.headers
        assert 'apiserver_request_terminations_total{verb="DELETE"' in counted.registry.text()
        assert (await link(exchange(request("GET", PODS)), Next())).status == 200
        assert not waiting.done()
        left.cancel()
        first.cancel()
        assert (await waiting).status == 200
        await asyncio.gather(first, left, return_exceptions=True)
        assert (await link(exchange(delete), Next())).status == 200

    asyncio.run(main())


def test_long_running_requests_take_no_place() -> None:
    async def main() -> None:
        link = MaxInFlight(Limits(read_only=1), metrics())
        watches = [asyncio.ensure_future(link(exchange(request("GET", PODS, "watch=1")), never)) for _ in range(3)]
        await asyncio.sleep(0)
        assert (await link(exchange(), Next())).status == 200
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    asyncio.run(main())
