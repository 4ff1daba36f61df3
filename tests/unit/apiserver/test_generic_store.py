"""The verbs on a resource, over a store in memory."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
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


def test_how_much_is_left_of_an_older_revision() -> None:
    """Kind: what a page says of the rest: at its own revision, not as it is now; what was only changed since counts once."""

    async def main() -> None:
        async with config_maps("a", "b", "c", "d") as store:
            then = await store.cache.store.revision()
            for name, data in (
                ("b", None),
                ("a", None),
                ("c", "x"),
                ("e", "y"),
                ("f", "z"),
                ("d", None),
                ("d", "again"),
            ):
                key = store.key("default", name)
                if data is None:
                    await store.cache.store.delete(key)
                else:
                    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
                    await store.cache.store.put(key, msgspec.json.encode({**body, "data": {"x": data}}))
            await store.cache.wait(await store.cache.store.revision())
            exact = {"resource_version": str(then), "resource_version_match": "Exact"}
            for namespace in ("", "default"):
                page = await store.list(namespace, ListOptions(limit=1, **exact))
                assert (names(page), page.remaining) == (["a"], 3)
                page = await store.list(namespace, ListOptions(limit=2, continue_=page.continue_))
                assert (names(page), page.remaining) == (["b", "c"], 1)
                page = await store.list(namespace, ListOptions(limit=2, continue_=page.continue_))
                assert (names(page), page.remaining, page.continue_) == (["d"], None, "")
            selected = await store.list("default", ListOptions(limit=1, field_selector="metadata.name!=a", **exact))
            assert (names(selected), selected.remaining) == (["b"], None)
            store.cache.resource(store.prefix).ring_start = then + 1  # as after ten thousand changes more
            page = await store.list("default", ListOptions(limit=1, **exact))
            assert (names(page), page.remaining) == (["a"], None)

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


class Repeating(random.Random):
    """Chooses the same letter again and again, `stuck` times five, and then another."""

    def __init__(self, stuck: int) -> None:
        super().__init__(0)
        self._left = stuck * 5

    def choice(self, seq: Any) -> Any:
        self._left -= 1
        return seq[0] if self._left >= 0 else seq[1]


@pytest.mark.parametrize(("stuck", "made"), [(1, True), (2, True), (7, True), (8, False), (9, False)])
def test_generated_names_are_tried_eight_times(stuck: int, made: bool) -> None:
    """The fault: they were tried once, so that many objects of one prefix refused each other now and then."""

    async def main() -> None:
        async with config_maps("g-bbbbb") as kept:
            store = GenericStore(RESOURCE, kept.cache, chooser=Repeating(stuck))
            body = {"metadata": {"generateName": "g-"}, "data": {"a": "b"}}
            if made:
                got = await store.create(body, "default", WriteOptions(manager="test"))
                assert (got["metadata"]["name"], got["data"]) == ("g-ccccc", {"a": "b"})
                return
            with pytest.raises(StatusError) as error:
                await store.create(body, "default", WriteOptions(manager="test"))
            assert error.value.code == 409 and "not able to generate a unique name" in error.value.status["message"]

    asyncio.run(main())


def test_the_answer_to_a_write_is_what_a_read_gives() -> None:
    async def main() -> None:
        async with config_maps() as store:
            options = WriteOptions(manager="test")
            made = await store.create({"metadata": {"name": "a"}, "data": {"a": "<b>"}}, "default", options)
            assert store.written(made, options) == store.get("default", "a").data
            later = await store.patch("default", "a", "merge", {"data": {"a": "c"}}, options)
            assert store.written(made, options) is made  # another write came between
            assert store.written(later, options) == store.get("default", "a").data
            dry = WriteOptions(manager="test", dry_run=True)
            unwritten = await store.patch("default", "a", "merge", {"data": {"a": "d"}}, dry)
            assert store.written(unwritten, dry) is unwritten

    asyncio.run(main())
