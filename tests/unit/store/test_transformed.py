"""The place of encryption at rest: a transformer that binds values to their keys, on every backend that needs nothing, and below upstream's form."""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.generic.cache import Damaged, WatchCache
from pybernetes.apiserver.generic.keys import Keys
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.storage.form import UpstreamForm
from pybernetes.store.backends import Location, open_store
from pybernetes.store.memory import MemoryStore
from pybernetes.store.transformed import Plain, Transformed, Transformer, Unreadable
from pybernetes.store.types import Conflict, Event

from ..apiserver.storage.values import NOW, TTLMemory


class Signed:
    """Reversed, with a tag over key and value: enough to see what goes where, and no cipher."""

    async def to_storage(self, key: str, value: bytes) -> bytes:
        return b"signed:" + self._tag(key, value) + value[::-1]

    async def from_storage(self, key: str, stored: bytes) -> Plain:
        if not stored.startswith(b"signed:"):
            return Plain(stored, stale=True)  # written before there was a transformer
        tag, value = stored[7:39], stored[39:][::-1]
        if not hmac.compare_digest(tag, self._tag(key, value)):
            raise Unreadable("the value belongs to another key")
        return Plain(value)

    def _tag(self, key: str, value: bytes) -> bytes:
        return hmac.digest(b"k", key.encode() + b"\0" + value, "sha256")


def choose(key: str) -> Transformer | None:
    return Signed() if "/secrets/" in key else None


@pytest.mark.parametrize("url", ["memory:", "sqlite:{}/state.db"])
def test_values_are_changed_on_their_way_and_bound_to_their_key(url: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await open_store(Location((url.format(tmp_path),)))
        over = Transformed(store, choose)
        old = await store.put("/r/secrets/a/old", b"plain")
        secret = await over.put("/r/secrets/a/s", b"value", 0)
        other = await over.put("/r/configmaps/a/c", b"open", 0)
        raw = {item.key: item.value for item in (await store.list("/r/")).items}
        assert raw["/r/secrets/a/s"].startswith(b"signed:") and b"value" not in raw["/r/secrets/a/s"]
        assert raw["/r/configmaps/a/c"] == b"open"
        assert (await over.list("/r/")).items == [other, old, secret]
        with pytest.raises(Conflict) as conflict:
            await over.put("/r/secrets/a/s", b"x", 0)
        assert conflict.value.current == secret
        with pytest.raises(Conflict) as conflict:
            await over.delete("/r/secrets/a/s", old.mod_revision)
        assert conflict.value.current == secret
        told = []
        async for one in over.watch("/r/", 0):
            told.append(one.current.value if isinstance(one, Event) and one.current else one)
            if one.revision == other.mod_revision:
                break
        assert told == [b"plain", b"value", b"open"]
        await store.put("/r/secrets/a/stolen", raw["/r/secrets/a/s"])
        *others, stolen = (await over.list("/r/")).items
        assert others == [other, old, secret]  # one that is lost harms no other one
        assert stolen.problem == 'unable to transform key "/r/secrets/a/stolen": the value belongs to another key'
        assert await over.stale("/r/secrets/a/old") and not await over.stale("/r/secrets/a/s")
        await over.close()

    asyncio.run(scenario())


def test_on_etcd_it_lies_below_upstreams_form() -> None:
    """So the bytes, and the key that they are bound to, are those of upstream's."""

    async def scenario() -> None:
        store = TTLMemory()
        over = UpstreamForm(Transformed(store, choose), Keys(), RESOURCES, {}, (30000, 30001), lambda: NOW)
        value = b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"a"},"type":"Opaque"}'
        await over.put("/registry/core/secrets/a/s", value)
        [item] = (await store.list("/")).items
        assert item.key == "/registry/secrets/a/s"
        assert (await Signed().from_storage(item.key, item.value)).value.startswith(b"k8s\0")
        assert [one.value for one in (await over.list("/registry/")).items] == [value]

    asyncio.run(scenario())


def test_what_could_not_be_read_is_read_again() -> None:
    """As a key comes back: the cache has the value then, though nobody has written it."""
    lost = True

    class Away(Signed):
        async def from_storage(self, key: str, stored: bytes) -> Plain:
            if lost:
                raise Unreadable("the key is away")
            return await super().from_storage(key, stored)

    async def scenario() -> None:
        nonlocal lost
        store = Transformed(MemoryStore(), lambda key: Away() if "/secrets/" in key else None)
        cache = WatchCache(store)
        value = b'{"kind":"Secret","metadata":{"name":"s"}}'
        await store.put("/registry/core/secrets/a/s", value)
        await cache.start()
        written = await store.put("/registry/core/secrets/a/t", value)
        await cache.wait(written.mod_revision)
        items = cache.of("", "secrets").items
        for item in items.values():
            with pytest.raises(
                StatusError, match=r"Internal error occurred: unable to transform key .* the key is away"
            ):
                _ = item.obj
        await cache.read_again()
        assert all(type(item) is Damaged for item in items.values())
        lost = False
        await cache.read_again()
        assert [item.obj["metadata"]["name"] for item in items.values()] == ["s", "s"]
        assert list(cache.of("", "secrets").values) == list(items.values())
        await cache.stop()
        await store.close()

    asyncio.run(scenario())
