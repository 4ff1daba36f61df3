"""The rules of the Store interface, played on every backend (factories.py)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.store.types import Closed, Compacted, Conflict, Event, FutureRevision, KeyValue, Progress, Store

from .factories import FACTORIES, Factory, Open

Told = AsyncIterator[Event | Progress]


class Place:
    """Of one test: `play` with one handle, `play_two` with two of what would be two processes."""

    def __init__(self, factory: Factory, folder: Path) -> None:
        if factory.missing:
            pytest.skip(factory.missing)
        self.factory, self._folder = factory, folder

    def play(self, *scenarios: Callable[[Store], Awaitable[object]]) -> None:
        """One after the other, each with a handle of its own."""

        async def run(opened: Open) -> None:
            for scenario in scenarios:
                store = await opened()
                try:
                    await scenario(store)
                finally:
                    await store.close()

        self._run(run)

    def play_two(self, scenario: Callable[[Store, Store], Awaitable[object]]) -> None:
        """Where a place has one handle only, both are that one: two API servers of one process."""

        async def run(opened: Open) -> None:
            one = await opened()
            other = await opened() if self.factory.shared else one
            try:
                await scenario(one, other)
            finally:
                await one.close()
                await other.close()

        self._run(run)

    def _run(self, action: Callable[[Open], Awaitable[None]]) -> None:
        async def run() -> None:
            async with asyncio.timeout(60), self.factory.data(self._folder) as opened:
                await action(opened)

        asyncio.run(run())


@pytest.fixture(params=FACTORIES, ids=lambda factory: factory.name)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path)


async def get(store: Store, key: str) -> KeyValue | None:
    return next((item for item in (await store.list(key)).items if item.key == key), None)


async def next_event(told: Told) -> Event:
    while not isinstance(one := await anext(told), Event):
        pass
    return one


async def told_until(told: Told, revision: int) -> list[Event | Progress]:
    """What a watch tells until it has told of the revision."""
    found = [await anext(told)]
    while found[-1].revision < revision:
        found.append(await anext(told))
    return found


def test_revisions_count_writes_only(place: Place) -> None:
    async def scenario(store: Store) -> None:
        before = await store.revision()
        first = await store.put("/a", b"1", expected=0)
        second = await store.put("/a", b"2", expected=first.mod_revision)
        assert (second.create_revision, second.mod_revision) == (before + 1, before + 2)
        for expected in (0, first.mod_revision, before + 7):
            with pytest.raises(Conflict) as refused:
                await store.put("/a", b"x", expected=expected)
            assert refused.value.current == second
        assert await get(store, "/a") == second
        assert await store.delete("/none") is None
        with pytest.raises(Conflict) as refused:
            await store.delete("/none", expected=3)
        assert refused.value.current is None
        assert await store.delete("/a", expected=second.mod_revision) == Event(before + 3, "/a", None)
        assert await get(store, "/a") is None
        assert (await store.put("/a", b"3", expected=0)).create_revision == before + 4
        assert await store.revision() == before + 4

    place.play(scenario)


def test_lists_in_pages_at_one_revision(place: Place) -> None:
    async def scenario(store: Store) -> None:
        for name in ("c", "a", "b", "d"):
            await store.put(f"/pods/{name}", name.encode())
        last = await store.put("/podsother", b"")
        page = await store.list("/pods/", limit=2)
        assert [item.key for item in page.items] == ["/pods/a", "/pods/b"]
        assert (page.revision, page.more) == (last.mod_revision, True)
        await store.delete("/pods/c")
        rest = await store.list("/pods/", after="/pods/b", limit=2, revision=page.revision)
        assert ([item.key for item in rest.items], rest.more) == (["/pods/c", "/pods/d"], False)
        assert [item.key for item in (await store.list("/pods/")).items] == ["/pods/a", "/pods/b", "/pods/d"]
        with pytest.raises(FutureRevision):
            await store.list("/pods/", revision=last.mod_revision + 100)

    place.play(scenario)


def test_watch_resumes_and_follows(place: Place) -> None:
    async def scenario(store: Store) -> None:
        old = await store.put("/a/1", b"old")
        await store.put("/b/1", b"other prefix")
        await store.put("/a/1", b"new")
        told = store.watch("/a/", after=old.mod_revision)
        seen = await next_event(told)
        assert seen.current == await get(store, "/a/1")
        following = asyncio.ensure_future(next_event(told))
        await store.put("/b/2", b"")
        gone = await store.delete("/a/1")
        assert await following == gone == Event(old.mod_revision + 4, "/a/1", None)

    place.play(scenario)


def test_a_revision_of_another_prefix_reaches_every_watch(place: Place) -> None:
    async def scenario(store: Store, other: Store) -> None:
        own = await store.put("/a/1", b"")
        elsewhere = await other.put("/b/1", b"")
        told = store.watch("/a/", after=own.mod_revision - 1)
        before = await told_until(told, elsewhere.mod_revision)
        assert before[0] == Event(own.mod_revision, "/a/1", own)
        assert [type(one) for one in before[1:]] == [Progress] * (len(before) - 1)
        following = asyncio.ensure_future(told_until(told, elsewhere.mod_revision + 2))
        await other.put("/b/2", b"")
        last = await other.put("/b/3", b"")
        assert {type(one) for one in await following} == {Progress}
        assert (await store.revision(), (await store.list("/a/")).revision) == (last.mod_revision, last.mod_revision)

    place.play_two(scenario)


def test_a_watch_tells_revisions_in_order_and_none_twice(place: Place) -> None:
    async def scenario(store: Store, other: Store) -> None:
        start = await store.revision()
        told = asyncio.ensure_future(told_until(store.watch("/a/", after=start), start + 60))
        writers = [(one, prefix) for one in (store, other) for prefix in ("/a/", "/b/", "/a/")]
        await asyncio.gather(*(one.put(f"{prefix}{n}", b"") for n in range(10) for one, prefix in writers))
        found = await told
        revisions = [one.revision for one in found]
        assert revisions == sorted(revisions)
        events = [one for one in found if isinstance(one, Event)]
        assert len({one.revision for one in events}) == len(events) == 40

    place.play_two(scenario)


def test_what_one_handle_writes_another_reads_at_once(place: Place) -> None:
    async def scenario(one: Store, other: Store) -> None:
        watch = other.watch("/", after=await other.revision())
        following = asyncio.ensure_future(next_event(watch))
        written = await one.put("/a", b"1", expected=0)
        assert await get(other, "/a") == written
        assert (await following).current == written
        with pytest.raises(Conflict) as refused:
            await other.put("/a", b"2", expected=0)
        assert refused.value.current == written
        await one.compact(written.mod_revision)
        with pytest.raises(Compacted):
            await other.list("/", revision=written.mod_revision - 1 or 1)

    async def seeded(one: Store, other: Store) -> None:
        await one.put("/before", b"")  # so that there is a revision before the first to be compacted
        await scenario(one, other)

    place.play_two(seeded)


def test_many_writers_of_one_key_each_win_once(place: Place) -> None:
    async def add_one(store: Store) -> None:
        while True:
            current = await get(store, "/n")
            value, expected = (int(current.value), current.mod_revision) if current else (0, 0)
            try:
                await store.put("/n", b"%d" % (value + 1), expected)
                return
            except Conflict:
                continue

    async def scenario(one: Store, other: Store) -> None:
        before = await one.revision()
        await asyncio.gather(*(add_one(store) for _ in range(15) for store in (one, other)))
        current = await get(one, "/n")
        assert current is not None and (current.value, current.mod_revision) == (b"30", before + 30)

    place.play_two(scenario)


def test_compaction_keeps_the_present(place: Place) -> None:
    async def scenario(store: Store) -> None:
        first = await store.put("/a", b"1")
        await store.put("/a", b"2")
        last = await store.put("/a", b"3")
        await store.put("/gone", b"")
        gone = await store.delete("/gone")
        assert gone is not None
        await store.compact(gone.revision)
        current = await get(store, "/a")
        assert current == last and current.create_revision == first.mod_revision
        with pytest.raises(Compacted):
            await store.list("/", revision=gone.revision - 1)
        with pytest.raises(Compacted) as refused:
            await anext(store.watch("/", after=gone.revision - 2))
        assert refused.value.oldest <= gone.revision
        assert (await store.put("/b", b"")).mod_revision == gone.revision + 1
        with pytest.raises(FutureRevision):
            await store.compact(gone.revision + 100)

    place.play(scenario)


def test_closing_ends_watches_and_refuses(place: Place) -> None:
    async def scenario(store: Store) -> None:
        waiting = asyncio.ensure_future(anext(store.watch("/", after=await store.revision())))
        await store.revision()
        await store.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
        with pytest.raises(Closed):
            await store.put("/a", b"")

    place.play(scenario)


@pytest.mark.parametrize("factory", [one for one in FACTORIES if one.keeps], ids=lambda factory: factory.name)
def test_what_was_written_is_there_when_it_is_opened_again(factory: Factory, tmp_path: Path) -> None:
    written: list[KeyValue] = []

    async def write(store: Store) -> None:
        written.append(await store.put("/a", b"1"))

    async def read(store: Store) -> None:
        assert (await store.list("/")).items == written
        assert await store.revision() == written[0].mod_revision

    Place(factory, tmp_path).play(write, read)
