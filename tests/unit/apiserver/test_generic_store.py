"""The verbs on a resource, over a store in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.generic.cache import WatchCache
from pybernetes.apiserver.generic.options import ListOptions, WriteOptions
from pybernetes.apiserver.generic.store import GenericStore
from pybernetes.apiserver.kinds.core.configmap import RESOURCE
from pybernetes.store.sqlite import SQLiteStore


@asynccontextmanager
async def config_maps(*names: str) -> AsyncIterator[GenericStore]:
    backend = await SQLiteStore.open(":memory:")
    cache = WatchCache(backend)
    await cache.start()
    store = GenericStore(RESOURCE, cache)
    try:
        for name in names:
            await store.create(
                {"metadata": {"name": name}, "data": {"a": "b"}}, "default", WriteOptions(manager="test")
            )
        yield store
    finally:
        await cache.stop()
        await backend.close()


def names(found: Any) -> list[str]:
    return [stored.obj["metadata"]["name"] for stored in found.items]


def test_a_list_goes_on_as_it_was_until_that_is_forgotten() -> None:
    async def main() -> None:
        async with config_maps("a", "b", "c") as store:
            first = await store.list("default", ListOptions(limit=1))
            assert (names(first), first.remaining) == (["a"], 2)
            stored = store.get("default", "b")
            await store.cache.store.delete(stored.key)
            await store.cache.wait(await store.cache.store.revision())
            then = await store.list("default", ListOptions(limit=1, continue_=first.continue_))
            assert names(then) == ["b"]  # as of the first page
            await store.cache.store.compact(await store.cache.store.revision())
            with pytest.raises(StatusError) as error:
                await store.list("default", ListOptions(continue_=first.continue_))
            assert (error.value.code, error.value.reason) == (410, "Expired")
            token = error.value.status["metadata"]["continue"]
            rest = await store.list("default", ListOptions(continue_=token))
            assert names(rest) == ["c"]  # as of now, which the message warns of

    asyncio.run(main())


def test_exact_version_that_is_forgotten() -> None:
    async def main() -> None:
        async with config_maps("a", "b") as store:
            await store.cache.store.compact(2)
            with pytest.raises(StatusError) as error:
                await store.list("", ListOptions(resource_version="1", resource_version_match="Exact"))
            assert error.value.code == 410
            assert "continue" not in error.value.status["metadata"]

    asyncio.run(main())


def test_no_write_where_nothing_changes() -> None:
    async def main() -> None:
        async with config_maps("a") as store:
            before = store.get("default", "a").obj
            again, made = await store.update(
                "default", "a", {"metadata": {"name": "a"}, "data": {"a": "b"}}, WriteOptions(manager="test")
            )
            assert not made
            assert again["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
            assert again["metadata"]["managedFields"] == before["metadata"]["managedFields"]

    asyncio.run(main())
