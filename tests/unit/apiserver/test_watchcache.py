"""How the watch cache follows the store: other prefixes, compaction, failures, the end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.generic.cache import Lagging, TooOld, WatchCache
from pybernetes.apiserver.generic.keys import Keys
from pybernetes.apiserver.generic.reader import CacheReader
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Closed, Compacted, Event, KeyValue, Page, Progress, Restored, StoreError

PODS = "/registry/core/pods/"


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(limited())


def pod(name: str, revision: int) -> KeyValue:
    value = b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%b","namespace":"a"}}' % name.encode()
    return KeyValue(f"{PODS}a/{name}", value, revision, revision)


class ScriptedStore:
    """Lists what it is told to, and each watch tells what the next script says; an exception ends it."""

    def __init__(self, *pages: Page | Exception) -> None:
        self.pages = list(pages)
        self.scripts: list[asyncio.Queue[Event | Progress | BaseException | None]] = []
        self.watched: list[tuple[str, int]] = []

    async def list(self, prefix: str, **_: object) -> Page:
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        if isinstance(page, Exception):
            raise page
        return page

    async def revision(self) -> int:
        return (await self.list("")).revision

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Event | Progress]:
        self.watched.append((prefix, after))
        self.scripts.append(asyncio.Queue())
        while (told := await self.scripts[-1].get()) is not None:
            if isinstance(told, BaseException):
                raise told
            yield told

    async def say(self, *told: Event | Progress | BaseException | None) -> None:
        """In the present watch."""
        for one in told:
            self.scripts[-1].put_nowait(one)
        await settle()

    async def put(self, key: str, value: bytes, expected: int | None = None) -> KeyValue:
        raise NotImplementedError

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        raise NotImplementedError

    async def compact(self, revision: int) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def page(revision: int, *items: KeyValue) -> Page:
    return Page(list(items), revision, more=False)


async def started(store: ScriptedStore) -> tuple[WatchCache, VirtualClock]:
    clock = VirtualClock()
    cache = WatchCache(store, clock=clock)
    await cache.start()
    await settle()
    return cache, clock


def known(cache: WatchCache) -> dict[str, int]:
    pods = cache.of("", "pods")
    assert list(pods.values) == [pods.items[key] for key in sorted(pods.items)]
    return {key.removeprefix(PODS): stored.revision for key, stored in pods.items.items()}


def test_a_revision_of_another_prefix_wakes_who_waits_for_it() -> None:
    async def test() -> None:
        store = await SQLiteStore.open(":memory:")
        cache = WatchCache(store)
        await cache.start()
        written = await store.put("/flannel/subnets/10.244.0.0-24", b"{}")
        await cache.wait(written.mod_revision)
        await store.put("/flannel/subnets/10.244.1.0-24", b"{}")
        assert await CacheReader(cache).fresh("", "pods", "a", "none") is None
        assert cache.counts() == {("", "pods"): 0}
        await cache.stop()
        await store.close()

    run(test)


def test_keys_below_the_prefix_that_are_no_objects_are_passed_over() -> None:
    async def test() -> None:
        note = KeyValue("/registry/note", b"{}", 4, 4)
        store = ScriptedStore(page(5, note, pod("p", 5)))
        cache, _ = await started(store)
        await store.say(Event(6, "/registry/note", note), Event(7, f"{PODS}a/q", pod("q", 7)))
        assert (known(cache), cache.revision) == ({"a/p": 5, "a/q": 7}, 7)
        await cache.stop()

    run(test)


def test_another_prefix_is_another_cluster() -> None:
    async def test() -> None:
        store = ScriptedStore(page(5))
        cache = WatchCache(store, Keys("other/"))
        await cache.start()
        await settle()
        assert store.watched == [("/other/", 5)]
        assert cache.of("apps", "deployments").prefix == "/other/apps/deployments/"
        await cache.stop()

    run(test)


def test_after_a_compaction_everything_is_listed_anew_and_watchers_start_again() -> None:
    async def test() -> None:
        store = ScriptedStore(page(5, pod("gone", 2), pod("kept", 3), pod("changed", 4)))
        cache, clock = await started(store)
        pods, items = cache.of("", "pods"), cache.of("", "pods").items
        kept, watcher = items[f"{PODS}a/kept"], pods.watch(5)
        waiting = asyncio.ensure_future(cache.wait(20))
        store.pages = [page(20, pod("changed", 18), pod("kept", 3), pod("new", 19))]
        await store.say(Compacted(5, 17))
        assert not cache.following
        await clock.advance(1)
        assert cache.following
        await waiting
        assert known(cache) == {"a/changed": 18, "a/kept": 3, "a/new": 19}
        assert pods.items is items and items[f"{PODS}a/kept"] is kept
        with pytest.raises(Lagging):
            await watcher.batch(1)
        with pytest.raises(TooOld):
            pods.watch(5)
        follower = pods.watch(20)
        assert store.watched == [("/registry/", 5), ("/registry/", 20)]
        await store.say(Event(21, f"{PODS}a/new", None))
        assert [change.revision for change in await follower.batch(1)] == [21]
        await cache.stop()

    run(test)


def test_resources_that_are_gone_after_a_compaction_are_empty() -> None:
    async def test() -> None:
        store = ScriptedStore(page(5, pod("p", 5)))
        cache, clock = await started(store)
        store.pages = [page(9)]
        await store.say(Compacted(5, 8))
        await clock.advance(1)
        assert known(cache) == {}
        await cache.stop()

    run(test)


@pytest.mark.parametrize(
    "trouble",
    [StoreError("cut off"), Compacted(5, 1), Restored(5, 3)],
    ids=["its revision is lower", "as it is listed", "it says so"],
)
def test_a_store_of_another_time_is_listed_anew(caplog: pytest.LogCaptureFixture, trouble: StoreError) -> None:
    """Restored from a backup: nothing that was known is kept, even if it looks the same; who waits or watches is told."""

    async def test() -> None:
        store = ScriptedStore(page(5, pod("p", 3), pod("later", 5)))
        cache, clock = await started(store)
        pods = cache.of("", "pods")
        before, watcher = pods.items[f"{PODS}a/p"], pods.watch(5)
        waiting = asyncio.create_task(cache.wait(6))
        store.pages = [page(3, pod("p", 3))]
        await store.say(trouble)
        await clock.advance(1)
        assert (known(cache), cache.revision, cache.following) == ({"a/p": 3}, 3, True)
        assert pods.items[f"{PODS}a/p"] is not before
        assert store.watched[-1] == ("/registry/", 3)
        with pytest.raises(Lagging):
            await watcher.batch(1)
        with pytest.raises(Restored):
            await waiting
        await cache.stop()

    run(test)
    assert "the store was at revision 5 and has the state of another time now, at 3" in caplog.text


def test_a_store_that_has_another_history_is_listed_anew_however_far_it_is() -> None:
    async def test() -> None:
        store = ScriptedStore(page(5, pod("p", 5)))
        cache, clock = await started(store)
        before = cache.of("", "pods").items[f"{PODS}a/p"]
        store.pages = [page(9, pod("p", 5))]
        await store.say(Restored(5, 9))
        await clock.advance(1)
        assert cache.of("", "pods").items[f"{PODS}a/p"] is not before
        await cache.stop()

    run(test)


def test_a_watcher_from_another_server_is_told_nothing_that_it_knows() -> None:
    """That server was ahead of this one: what comes here next was told there already."""

    async def test() -> None:
        store = ScriptedStore(page(5))
        cache, _ = await started(store)
        watchers = cache.of("", "pods").watch(7), cache.of("", "pods").watch(7, "f", "", lambda _: "")
        await store.say(*(Event(n, f"{PODS}a/p", pod("p", n)) for n in (6, 7, 8)))
        for watcher in watchers:
            assert [change.revision for change in await watcher.batch(1)] == [8]
        await cache.stop()

    run(test)


def test_a_watch_that_is_cut_off_goes_on_where_it_was(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        store = ScriptedStore(page(5))
        cache, clock = await started(store)
        store.pages = [StoreError("no answer"), page(7)]
        await store.say(Event(6, f"{PODS}a/p", pod("p", 6)), StoreError("connection lost"))
        assert not cache.following
        await clock.advance(0.1)
        assert not cache.following  # it did not answer
        await clock.advance(0.2)
        assert cache.following
        assert store.watched[-1] == ("/registry/", 6)
        await store.say(Progress(8))
        await cache.wait(8)
        await cache.stop()

    run(test)
    assert "connection lost" in caplog.text and "no answer" in caplog.text


@pytest.mark.parametrize("last", [None, Closed("closed")], ids=["ends", "closed"])
def test_nobody_waits_for_news_that_will_not_come(last: Exception | None) -> None:
    async def test() -> None:
        store = ScriptedStore(page(5))
        cache, _ = await started(store)
        waiting = asyncio.ensure_future(cache.wait(6))
        await settle()
        await store.say(last)
        assert not cache.following
        for attempt in (waiting, asyncio.ensure_future(cache.wait(7))):
            with pytest.raises(Closed):
                await attempt
        await cache.wait(5)  # known
        await cache.stop()

    run(test)


def test_a_stop_refuses_who_waits() -> None:
    async def test() -> None:
        cache, _ = await started(ScriptedStore(page(5)))
        waiting = asyncio.ensure_future(cache.wait(6))
        await settle()
        await cache.stop()
        with pytest.raises(Closed):
            await waiting

    run(test)


class Unexpected(BaseException):
    """Not for any handler of errors."""


def test_the_death_of_the_follower_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        store = ScriptedStore(page(5))
        cache, _ = await started(store)
        await store.say(Unexpected("what no handler expects"))
        assert not cache.following
        with pytest.raises(Closed):
            await cache.wait(6)

    run(test)
    assert [record.levelno for record in caplog.records][-1] == logging.CRITICAL


@pytest.mark.parametrize(
    ("prefix", "root"),
    [("/registry", "/registry/"), ("registry/", "/registry/"), ("/a/b", "/a/b/"), ("/", "/"), ("", "/")],
)
def test_any_way_of_writing_a_prefix(prefix: str, root: str) -> None:
    keys = Keys(prefix)
    assert keys.resource("", "pods") == f"{root}core/pods/"
    assert keys.resource_of(f"{root}core/pods/a/p") == f"{root}core/pods/"
    assert keys.resource_of(f"{root}apps/deployments/a/p") == f"{root}apps/deployments/"
    assert [keys.resource_of(root + rest) for rest in ("note", "note/", "a/b")] == ["", "", ""]
    assert keys.named(f"{root}core/pods/") == ("", "pods")
    assert keys.named(f"{root}apps/deployments/") == ("apps", "deployments")


def test_a_key_of_another_prefix_is_no_objects() -> None:
    assert Keys().resource_of("/flannel/core/pods/a/p") == ""
