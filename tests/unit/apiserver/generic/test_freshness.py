"""Requests wait for what was acknowledged before they came, and share the question."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.generic import freshness as freshness_module
from pybernetes.apiserver.generic.cache import WatchCache
from pybernetes.apiserver.generic.freshness import WAIT_SECONDS, Freshness, must_be_fresh
from pybernetes.apiserver.types import RequestInfo
from pybernetes.store.memory import MemoryStore
from pybernetes.store.types import StoreError


@pytest.mark.parametrize(
    ("verb", "query", "fresh"),
    [
        ("get", {}, True),
        ("get", {"resourceVersion": ""}, True),
        ("get", {"resourceVersion": "0"}, False),
        ("list", {"resourceVersion": "7"}, False),
        ("list", {"continue": "x"}, False),
        ("watch", {}, True),
        ("watch", {"resourceVersion": "7"}, False),
        ("create", {"resourceVersion": "7"}, True),
        ("delete", {}, True),
        ("patch", {}, True),
    ],
)
def test_what_is_about_the_present(verb: str, query: dict[str, str], fresh: bool) -> None:
    assert must_be_fresh(RequestInfo(verb, "/api/v1/pods"), query) is fresh


class Asked(MemoryStore):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[asyncio.Future[None]] = []
        self.newest = 0

    async def revision(self) -> int:
        self.questions.append(asyncio.get_running_loop().create_future())
        await self.questions[-1]
        return self.newest


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_comes_later_waits_for_the_next_question() -> None:
    async def main() -> None:
        store = Asked()
        cache = WatchCache(store)
        freshness = Freshness(cache)
        under_way = [asyncio.ensure_future(freshness.sync())]
        await turns()
        later = [asyncio.ensure_future(freshness.sync()) for _ in range(50)]
        await turns()
        assert len(store.questions) == len(under_way)
        for question in store.questions:
            question.set_result(None)
        await turns()
        assert all(one.done() for one in under_way) and not any(one.done() for one in later)
        assert len(store.questions) == len(under_way) + 1
        store.newest = 5
        store.questions[-1].set_result(None)
        await turns()
        assert not any(one.done() for one in later)  # the cache has not heard of it
        cache.revision = 5
        cache._wake()
        await asyncio.gather(*later)

    asyncio.run(main())


def test_questions_that_are_never_answered_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a leader of etcd that is gone."""
    monkeypatch.setattr(freshness_module, "COUNTED_SECONDS", 0.0)

    async def main() -> None:
        store = Asked()
        freshness = Freshness(WatchCache(store))
        waiting = []
        for _ in range(5):
            waiting.append(asyncio.ensure_future(freshness.sync()))
            await asyncio.sleep(0.001)
            await turns()
        assert len(store.questions) == 5
        store.questions[4].set_result(None)
        await turns()
        assert [one.done() for one in waiting] == [False] * 4 + [True]
        for question in store.questions[:4]:
            question.set_result(None)
        await asyncio.gather(*waiting)

    asyncio.run(main())


def test_a_cache_that_stays_behind_is_a_timeout_and_a_store_that_fails_is_told() -> None:
    async def main() -> None:
        store, clock = Asked(), VirtualClock()
        freshness = Freshness(WatchCache(store, clock=clock))
        waiting = asyncio.ensure_future(freshness.sync())
        await turns()
        store.newest = 5
        store.questions[0].set_result(None)
        await turns()
        await clock.advance(WAIT_SECONDS)
        with pytest.raises(StatusError) as late:
            await waiting
        assert late.value.code == 504
        waiting = asyncio.ensure_future(freshness.sync())
        await turns()
        store.questions[1].set_exception(StoreError("no leader"))
        with pytest.raises(StoreError, match="no leader"):
            await waiting
        given_up = asyncio.ensure_future(freshness.sync())
        await turns()
        given_up.cancel()
        store.questions[2].set_exception(StoreError("nobody hears it"))
        await turns()

    asyncio.run(main())
