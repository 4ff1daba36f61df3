"""The store in upstream's form, over one in memory."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.api.protobuf import MAGIC
from pybernetes.apiserver.storage import form as form_module
from pybernetes.apiserver.storage.form import UpstreamForm
from pybernetes.store.types import Conflict, Event, Progress, StoreError

from .values import LEASED, VALUES, TTLMemory, form

SPEC = (  # with all defaults, which a reader would fill in
    b'"spec":{"containers":null,"dnsPolicy":"ClusterFirst","enableServiceLinks":true,"restartPol'
    b'icy":"Always","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}'
)
POD = b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a"},%b,"status":{}}' % SPEC
KEY = "/registry/core/pods/a/p"


def play(scenario: Callable[[TTLMemory, UpstreamForm], Awaitable[None]]) -> None:
    async def run() -> None:
        store = TTLMemory()
        async with asyncio.timeout(60):
            await scenario(store, form(store))
        await store.close()

    asyncio.run(run())


def test_an_object_comes_back_as_it_was_put() -> None:
    async def scenario(store: TTLMemory, over: UpstreamForm) -> None:
        written = await over.put(KEY, POD, 0)
        assert (written.key, written.mod_revision) == (KEY, 1)
        [stored] = (await store.list("/")).items
        assert stored.key == "/registry/pods/a/p" and stored.value.startswith(MAGIC)
        for prefix in ("/registry/", "/registry/core/pods/", "/registry/core/pods/a/"):
            assert [(item.key, item.value) for item in (await over.list(prefix)).items] == [(KEY, POD)]
        with pytest.raises(Conflict) as conflict:
            await over.put(KEY, POD, 0)
        assert conflict.value.current is not None and conflict.value.current.value == POD
        with pytest.raises(Conflict) as conflict:
            await over.delete(KEY, 7)
        assert conflict.value.current is not None and conflict.value.current.key == KEY
        assert await over.delete(KEY, 1) == Event(2, KEY, None)
        assert await over.delete(KEY) is None

    play(scenario)


def test_a_watch_tells_ours_and_progress_of_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(store: TTLMemory, over: UpstreamForm) -> None:
        await over.put(KEY, POD)
        await store.put("/registry/podsecuritypolicy/p", b"not served")
        await store.put("compact_rev_key", b"1")
        await store.put("/registry/pods/a/p", b"damaged")
        await over.put("/registry/example.com/things/a/t", b'{"apiVersion":"example.com/v1","kind":"T","metadata":{}}')
        await over.delete(KEY)
        told: list[Event | Progress] = []
        async for one in over.watch("/registry/", 0):
            told.append(one)
            if one.revision == 6:
                break
        assert [(type(one), one.revision) for one in told if isinstance(one, Event)] == [
            (Event, 1),
            (Event, 5),
            (Event, 6),
        ]
        events = [one for one in told if isinstance(one, Event)]
        assert [event.key for event in events] == [KEY, "/registry/example.com/things/a/t", KEY]
        assert {one.revision for one in told} >= {2, 4}

    with caplog.at_level(logging.ERROR):
        play(scenario)
    [record] = caplog.records
    assert "the value of /registry/pods/a/p in the store cannot be read" in record.getMessage()


def test_a_value_that_cannot_be_read_is_named_at_the_start() -> None:
    """Left out, it would be taken for deleted, and with it goes what it owns."""

    async def scenario(store: TTLMemory, over: UpstreamForm) -> None:
        await store.put("/registry/pods/a/p", b"damaged")
        with pytest.raises(StoreError, match="the value of /registry/pods/a/p in the store cannot be read"):
            await over.list("/registry/")

    play(scenario)


def test_everything_of_upstreams_is_read() -> None:
    async def scenario(store: TTLMemory, over: UpstreamForm) -> None:
        for key, value in VALUES.items():
            await store.put(key, value)
        items = (await over.list("/registry/")).items
        assert len(items) == len(VALUES) - 1  # the bitmap of node ports has none
        assert all(json.loads(item.value)["metadata"]["name"] for item in items)

    play(scenario)


def test_pages_of_a_resource() -> None:
    async def scenario(store: TTLMemory, over: UpstreamForm) -> None:
        for name in "abcde":
            await over.put(f"/registry/core/nodes/{name}", POD.replace(b"Pod", b"Node"))
        page = await over.list("/registry/core/nodes/", after="/registry/core/nodes/b", limit=2)
        assert [item.key[-1] for item in page.items] == ["c", "d"] and page.more

    play(scenario)


def test_what_ends_by_itself_is_what_ends_in_upstreams() -> None:
    async def scenario(store: TTLMemory, over: UpstreamForm) -> None:
        await over.put(KEY, POD)
        await over.put("/registry/core/events/a/e", b'{"apiVersion":"v1","kind":"Event","metadata":{"name":"e"}}')
        await over.put("/registry/masterleases/endpoints/10.0.0.1", b"{}")
        assert store.ttls == {
            "/registry/pods/a/p": 0,
            "/registry/events/a/e": 3600,
            "/registry/masterleases/10.0.0.1": 15,
        }
        [lease] = (await over.list("/registry/masterleases/endpoints/")).items
        assert json.loads(lease.value)["metadata"]["name"] == "10.0.0.1"
        [stored] = (await store.list("/registry/masterleases/")).items
        theirs = VALUES["/registry/masterleases/127.0.0.1"]
        assert stored.value[:16] == theirs[:16] and b"10.0.0.1" in stored.value

    play(scenario)
    assert {key.split("/")[2] for key in LEASED} == {"events", "masterleases"}


def test_own_writes_are_read_by_nobody_and_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another server has written the same key before the watch tells of the own write; and what is remembered is bounded."""
    read: list[bytes] = []

    def reading(data: bytes, resource: object) -> bytes:
        read.append(data)
        return real(data, resource)  # type: ignore[arg-type]

    real = form_module.codec.read
    monkeypatch.setattr(form_module.codec, "read", reading)

    async def scenario(store: TTLMemory, over: UpstreamForm) -> None:
        other = form(store)
        await over.put(KEY, POD)
        changed = POD.replace(b'"status":{}', b'"status":{"phase":"Failed"}')
        await other.put(KEY, changed)
        await over.put(KEY + "2", POD)
        values = []
        async for told in over.watch("/registry/", 0):
            assert isinstance(told, Event) and told.current is not None
            values.append(told.current.value)
            if told.revision == 3:
                break
        assert values == [POD, changed, POD]
        assert len(read) == 1 and b"Failed" in read[0]
        for number in range(2 * form_module.KNOWN_WRITES):
            await over.put(f"{KEY}-{number}", POD)
        assert len(over._writing) <= form_module.KNOWN_WRITES

    play(scenario)


@pytest.mark.parametrize("key", sorted(VALUES))
def test_what_is_put_is_what_another_server_reads(key: str) -> None:
    """The watch tells own writes as they were put."""

    async def scenario(store: TTLMemory, over: UpstreamForm) -> None:
        await store.put(key, VALUES[key])
        for item in (await over.list("/registry/")).items:
            if not item.key.startswith(("/registry/ranges/", "/registry/masterleases/")):
                await over.put(item.key, item.value)
                assert [json.loads(one.value) for one in (await form(store).list(item.key)).items] == [
                    json.loads(item.value)
                ]

    play(scenario)
