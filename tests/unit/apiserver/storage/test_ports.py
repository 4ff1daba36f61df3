"""Node ports in upstream's bitmap: the same numbers to everybody who reads or writes it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.api import protobuf
from pybernetes.apiserver.storage import ports
from pybernetes.apiserver.storage.form import UpstreamForm
from pybernetes.store.types import Conflict, Event, Progress, StoreError

from .values import VALUES, TTLMemory, form

PLACE, PREFIX = "/registry/ranges/servicenodeports", "/registry/ranges/servicenodeports/"


def play(scenario: Callable[[TTLMemory, UpstreamForm, UpstreamForm], Awaitable[None]]) -> None:
    """With two servers on one store."""

    async def run() -> None:
        store = TTLMemory()
        async with asyncio.timeout(60):
            await scenario(store, form(store), form(store))
        await store.close()

    asyncio.run(run())


def bitmap(*numbers: int) -> bytes:
    return ports.written(frozenset(numbers), 30000, 32767)


@pytest.mark.parametrize("numbers", [(), (30000,), (32767,), (30000, 30007, 30008, 31234)])
def test_both_ways(numbers: tuple[int, ...]) -> None:
    assert ports.read(bitmap(*numbers)) == ("30000-32767", frozenset(numbers))


def test_an_empty_one_is_upstreams() -> None:
    """But for metadata's clusterName, which is gone."""
    theirs = protobuf.decode(VALUES[PLACE])
    assert protobuf.decode(bitmap()) == theirs
    assert bitmap()[:24] == VALUES[PLACE][:24]


def test_bits_count_from_the_lowest_of_a_big_endian_number() -> None:
    """Go's big.Int: offset 9 of the range is bit 1 of the last byte but one."""
    assert protobuf.decode(bitmap(30009))["data"] == "AgA="
    assert protobuf.decode(bitmap(30000, 30001))["data"] == "Aw=="


def test_ports_outside_of_the_range_are_nobodys() -> None:
    data = ports.written(frozenset({30000, 40000, 1}), 30000, 30009)
    assert ports.read(data) == ("30000-30009", frozenset({30000}))


@pytest.mark.parametrize("data", [b"", b"x", b"k8s\0", b"k8s\0\xff"])
def test_what_cannot_be_read(data: bytes) -> None:
    with pytest.raises(StoreError, match="the node ports in the store cannot be read"):
        ports.read(data)


async def told(over: UpstreamForm, after: int, until: int) -> list[Event | Progress]:
    found: list[Event | Progress] = []
    async for one in over.watch("/registry/", after):
        found.append(one)
        if one.revision >= until:
            break
    return found


def test_a_port_is_taken_once_and_freed_by_who_saw_it() -> None:
    async def scenario(store: TTLMemory, one: UpstreamForm, other: UpstreamForm) -> None:
        await store.put(PLACE, bitmap(30005))
        listed = (await one.list("/registry/")).items
        assert [item.key for item in listed] == [f"{PREFIX}30005"]
        value = json.loads(listed[0].value)
        assert value["metadata"] == {"name": "30005", "creationTimestamp": "2026-01-01T00:00:00Z"}
        await other.list("/registry/")
        for over in (one, other):
            with pytest.raises(Conflict):
                await over.put(f"{PREFIX}30005", b"{}", 0)
        taken = await one.put(f"{PREFIX}30006", b"{}", 0)
        with pytest.raises(Conflict):  # though it has not heard of it
            await other.put(f"{PREFIX}30006", b"{}", 0)
        [event] = await told(other, 1, taken.mod_revision)
        assert (event.revision, isinstance(event, Event) and event.key) == (taken.mod_revision, taken.key)
        with pytest.raises(Conflict):
            await other.delete(taken.key, 1)
        gone = await other.delete(taken.key, taken.mod_revision)
        assert gone is not None and ports.read((await store.list(PLACE)).items[0].value)[1] == {30005}
        assert await one.delete(f"{PREFIX}30099") is None

    play(scenario)


def test_many_at_once_lose_none() -> None:
    async def scenario(store: TTLMemory, one: UpstreamForm, other: UpstreamForm) -> None:
        both = (one, other)
        await asyncio.gather(*(both[n % 2].put(f"{PREFIX}{30000 + n}", b"{}", 0) for n in range(40)))
        assert ports.read((await store.list(PLACE)).items[0].value)[1] == set(range(30000, 30040))

    play(scenario)


def test_a_write_of_upstreams_is_an_event_for_each_port() -> None:
    async def scenario(store: TTLMemory, one: UpstreamForm, other: UpstreamForm) -> None:
        await store.put(PLACE, bitmap(30000, 30001))
        await one.list("/registry/")
        await store.put(PLACE, bitmap(30001, 30002))
        await store.put("/elsewhere", b"")
        found = await told(one, 1, 3)
        events = [event for event in found if isinstance(event, Event)]
        assert [(event.key[len(PREFIX) :], event.current is None) for event in events] == [
            ("30000", True),
            ("30002", False),
        ]
        await store.delete(PLACE)
        deleted = await told(one, 3, 4)
        assert [event.key[len(PREFIX) :] for event in deleted if isinstance(event, Event)][:1] == ["30001"]

    play(scenario)
