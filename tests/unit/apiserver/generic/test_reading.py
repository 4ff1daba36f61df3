"""Reads: pages of an older revision cost what they give, and objects of another stored version are converted once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

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
