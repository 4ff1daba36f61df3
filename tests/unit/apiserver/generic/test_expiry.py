"""Old events go, those with news stay."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pybernetes.apiserver.generic.cache import WatchCache
from pybernetes.apiserver.generic.expiry import EventExpiry, last_news
from pybernetes.store.sqlite import SQLiteStore

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MADE = "2026-01-01T12:00:00Z"
EVENTS = "/registry/core/events/"


def event(**fields: Any) -> bytes:
    return json.dumps({"metadata": {"creationTimestamp": MADE}, **fields}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("fields", "minute"),
    [
        ({}, 0),
        ({"lastTimestamp": "2026-01-01T12:05:00Z", "eventTime": None}, 5),
        (
            {"eventTime": "2026-01-01T12:01:00.000000Z", "series": {"lastObservedTime": "2026-01-01T12:09:00.000000Z"}},
            9,
        ),
    ],
)
def test_last_news(fields: Any, minute: int) -> None:
    assert last_news(event(**fields)) == START + timedelta(minutes=minute)


def test_an_event_without_times_tells_of_none() -> None:
    assert last_news(b'{"metadata":{}}') is None


def test_a_sweep() -> None:
    async def main() -> None:
        store = await SQLiteStore.open(":memory:")
        await store.put(f"{EVENTS}a/old", event())
        await store.put(f"{EVENTS}a/new", event(lastTimestamp="2026-01-01T12:59:00Z"))
        cache = WatchCache(store)
        await cache.start()
        now = START + timedelta(hours=1, minutes=1)
        expiry = EventExpiry(cache, 3600, lambda: now)
        assert [key for key, _ in expiry.expired()] == [f"{EVENTS}a/old"]
        # The cache has not seen it when the sweep looks: the deletion misses.
        again, _ = await asyncio.gather(store.put(f"{EVENTS}a/old", event()), expiry.sweep())
        assert [item.key for item in (await store.list(f"{EVENTS}a/old")).items] == [f"{EVENTS}a/old"]
        await cache.wait(again.mod_revision)
        await expiry.sweep()
        assert [item.key for item in (await store.list(EVENTS)).items] == [f"{EVENTS}a/new"]
        await cache.stop()
        await store.close()

    asyncio.run(main())
