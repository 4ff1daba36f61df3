"""So many requests at a time, each in its turn."""

import asyncio

import pytest

from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.filters import maxinflight
from pybernetes.apiserver.filters.exchange import Exchange
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


@pytest.mark.parametrize("limits", [Limits(mutating=1), Limits(mutating=1, read_only=1)])
def test_masters_wait_for_nobody_and_nobody_for_them(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: with all places taken the administrator waited behind those who took them. Others of another group that sounds
    alike wait; who is impersonated counts as who he is now."""
    monkeypatch.setattr(maxinflight, "WAITING", 1)

    async def main() -> None:
        counted = metrics()
        link = MaxInFlight(limits, counted)

        def asked(*groups: str) -> Exchange:
            one = exchange(request("POST", PODS))
            one.user = User("u", groups)
            return one

        masters = [asyncio.ensure_future(link(asked("system:masters"), never)) for _ in range(3)]
        await asyncio.sleep(0)
        first = asyncio.ensure_future(link(asked("system:masters:no"), never))
        await asyncio.sleep(0)
        assert 'apiserver_current_inflight_requests{request_kind="mutating"} 4' in counted.registry.text()
        waiting = asyncio.ensure_future(link(asked("system:master"), Next()))
        await asyncio.sleep(0)
        assert (await link(asked(), Next())).status == 429
        assert (await link(asked("a", "system:masters"), Next())).status == 200
        assert not waiting.done()
        for task in (*masters, first):
            task.cancel()
        await asyncio.gather(*masters, first, return_exceptions=True)
        assert (await waiting).status == 200
        assert 'apiserver_current_inflight_requests{request_kind="mutating"} 0' in counted.registry.text()

    asyncio.run(main())
