"""Reads: pages of an older revision cost what they give, and objects of another stored version are converted once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.generic import reading
from pybernetes.apiserver.generic.cache import WatchCache
from pybernetes.apiserver.generic.options import ListOptions, ListResult, WriteOptions
from pybernetes.apiserver.generic.reading import ReadStore
from pybernetes.apiserver.generic.store import GenericStore
from pybernetes.apiserver.kinds.autoscaling import conversion, v1
from pybernetes.apiserver.kinds.autoscaling.conversion import V1, V2
from pybernetes.apiserver.kinds.core import configmap
from pybernetes.apiserver.resource import Object, Resource
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Page


class Counting(SQLiteStore):
    """Notes how many objects each list has read."""

    read: list[int]

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        page = await super().list(prefix, after=after, limit=limit, revision=revision)
        self.__dict__.setdefault("read", []).append(len(page.items))
        return page


@asynccontextmanager
async def opened(resource: Resource) -> AsyncIterator[tuple[GenericStore, Counting]]:
    backend = await Counting.open(":memory:")
    assert isinstance(backend, Counting)
    cache = WatchCache(backend)
    await cache.start()
    try:
        yield GenericStore(resource, cache), backend
    finally:
        await cache.stop()
        await backend.close()


def names(found: ListResult) -> list[str]:
    return [stored.obj["metadata"]["name"] for stored in found.items]


@pytest.mark.parametrize(
    ("selector", "limit", "pages"),
    [
        ("", 2, [["m0", "m1"], ["m2", "m3"], ["m4", "m5"]]),
        ("", 4, [["m0", "m1", "m2", "m3"], ["m4", "m5"]]),
        ("", 6, [["m0", "m1", "m2", "m3", "m4", "m5"]]),
        ("odd=1", 1, [["m1"], ["m3"], ["m5"]]),
        ("odd=1", 2, [["m1", "m3"], ["m5"]]),
        ("odd=2", 2, [[]]),
    ],
)
def test_pages_of_an_older_revision(selector: str, limit: int, pages: list[list[str]]) -> None:
    async def main() -> None:
        async with opened(configmap.RESOURCE) as (store, backend):
            for number in range(6):
                labels = {"odd": str(number % 2)}
                body: Object = {"metadata": {"name": f"m{number}", "labels": labels}}
                await store.create(body, "default", WriteOptions(manager="test"))
            then = str(store.cache.revision)
            for number in range(6):
                await store.create({"metadata": {"name": f"m{number}a"}}, "default", WriteOptions(manager="test"))
            asked = ListOptions(
                label_selector=selector, limit=limit, resource_version=then, resource_version_match="Exact"
            )
            backend.read = []
            found = [await store.list("default", asked)]
            while found[-1].continue_:
                asked = ListOptions(label_selector=selector, limit=limit, continue_=found[-1].continue_)
                found.append(await store.list("default", asked))
            assert [names(page) for page in found] == pages
            assert {page.revision for page in found} == {int(then)}
            if not selector:
                assert max(backend.read) <= limit + 1

    asyncio.run(main())


def test_an_object_of_another_version_is_converted_once_for_each_of_its_revisions() -> None:
    """It was at every read, of every list and watch."""
    converted: list[str] = []

    def from_v2(obj: Object) -> Object:
        converted.append(obj["metadata"]["resourceVersion"])
        return conversion.from_v2(obj)

    table = replace(conversion.CONVERSIONS, functions={(V1, V2): conversion.to_v2, (V2, V1): from_v2})

    async def main() -> None:
        async with opened(replace(v1.RESOURCE, conversions=table)) as (store, _):
            target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
            spec: dict[str, Any] = {"maxReplicas": 2, "scaleTargetRef": target}
            body, _ = store.schema.normalize({"metadata": {"name": "a"}, "spec": spec})
            await store.create(body, "default", WriteOptions(manager="test"))
            reader = ReadStore(store.resource, store.cache)
            for _ in range(3):
                assert reader.get("default", "a").obj["spec"]["maxReplicas"] == 2
                assert names(await reader.list("default", ListOptions())) == ["a"]
            assert converted == ["1"]
            await store.patch("default", "a", "merge", {"spec": {"maxReplicas": 3}}, WriteOptions(manager="test"))
            converted.clear()
            for _ in range(3):
                assert reader.get("default", "a").obj["spec"]["maxReplicas"] == 3
            assert converted == ["2"]

    asyncio.run(main())


# --- while another server converts ----------------------------------------------------------------


class Slow:
    """As HPA's conversions, which wait for `go` and then for each review of theirs."""

    waits = True
    hub, versions = conversion.CONVERSIONS.hub, conversion.CONVERSIONS.versions
    schema, default = conversion.CONVERSIONS.schema, conversion.CONVERSIONS.default

    def __init__(self) -> None:
        self.asked: list[int] = []  # how many objects, each time
        self.waiting, self.go = asyncio.Event(), asyncio.Event()

    def converted(self, obj: Object, version: str) -> Object:
        assert obj["apiVersion"] == version, "nobody is asked in the midst of a read"
        return obj

    async def convert(self, objects: Sequence[Object], version: str) -> list[Object]:
        self.asked.append(len(objects))
        self.waiting.set()
        await self.go.wait()
        return [conversion.CONVERSIONS.converted(obj, version) for obj in objects]


def scaler(name: str) -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    kind = "HorizontalPodAutoscaler"
    spec = {"maxReplicas": 2, "scaleTargetRef": target}
    return {"apiVersion": V2, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@asynccontextmanager
async def slow(count: int) -> AsyncIterator[tuple[ReadStore, Slow]]:
    """So many objects that are stored as v2, read as v1."""
    conversions = Slow()
    async with opened(replace(v1.RESOURCE, conversions=conversions)) as (store, backend):
        for number in range(count):
            key = store.key("default", f"a{number}")
            written = await backend.put(key, msgspec.json.encode(scaler(f"a{number}")), 0)
        await store.cache.wait(written.mod_revision)
        yield store, conversions


@pytest.mark.parametrize("selector", ["", "metadata.name!=x"])
def test_a_list_is_as_of_when_it_was_begun(selector: str) -> None:
    """What was written while it was converted is not in it, and a watch from its revision tells it."""

    async def main() -> None:
        async with slow(2) as (store, conversions):
            then = store.cache.revision
            listing = asyncio.ensure_future(store.list("default", ListOptions(field_selector=selector)))
            await conversions.waiting.wait()
            key = store.key("default", "late")
            written = await store.cache.store.put(key, msgspec.json.encode(scaler("late")), 0)
            await store.cache.wait(written.mod_revision)
            conversions.go.set()
            found = await listing
            assert (names(found), found.revision) == (["a0", "a1"], then)
            assert conversions.asked == [2]

    asyncio.run(main())


def test_a_read_is_of_what_was_converted() -> None:
    """Though it has changed, or is gone, meanwhile."""

    async def main() -> None:
        async with slow(1) as (store, conversions):
            reading = asyncio.ensure_future(store.read("default", "a0"))
            await conversions.waiting.wait()
            event = await store.cache.store.delete(store.key("default", "a0"))
            assert event is not None
            await store.cache.wait(event.revision)
            conversions.go.set()
            assert (await reading).obj["apiVersion"] == V1
            with pytest.raises(StatusError, match="not found"):
                await store.read("default", "a0")

    asyncio.run(main())


def test_many_are_converted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE", 3)

    async def main() -> None:
        async with slow(7) as (store, conversions):
            conversions.go.set()
            assert len((await store.list("", ListOptions(limit=2))).items) == 2
            assert conversions.asked == [2], "of a page no more than it shows"
            assert len((await store.list("", ListOptions())).items) == 7
            assert conversions.asked == [2, 3, 2]
            assert len((await store.list("", ListOptions())).items) == 7
            assert conversions.asked == [2, 3, 2], "once"

    asyncio.run(main())
