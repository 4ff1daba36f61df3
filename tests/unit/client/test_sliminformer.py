"""Lists in pages, and little kept of each object."""

from __future__ import annotations

import asyncio

from pybernetes.api.types import core_v1, meta_v1
from pybernetes.client.memory import MemoryClient
from pybernetes.client.pager import PAGE_SIZE
from pybernetes.client.sliminformer import Identity, Kept, SlimListWatch
from pybernetes.client.types import Bookmark, Page, WatchEvent

LABELS = {"a": "b"}


def service(name: str, labels: dict[str, str]) -> core_v1.Service:
    return core_v1.Service(metadata=meta_v1.ObjectMeta(name=name, namespace="x", uid=f"u{name}", labels=labels))


def name_of(service: core_v1.Service) -> str:
    return service.metadata.name.upper()


def test_pages() -> None:
    client = MemoryClient(*(service(f"s{number:03}", LABELS) for number in range(PAGE_SIZE + 1)), service("other", {}))
    found = asyncio.run(SlimListWatch(client, core_v1.Service, name_of, "a=b").list("0"))
    assert found.resource_version == str(PAGE_SIZE + 2)
    assert [kept.value for kept in found.items] == [f"S{number:03}" for number in range(PAGE_SIZE + 1)]
    assert found.items[0] == Kept(Identity("x", "s000", "us000", "1"), "S000")
    first, second = [request.options for request in client.asked("list")]
    assert (first["page"], first["label_selector"]) == (Page("", PAGE_SIZE), "a=b")
    assert (second["page"].limit, second["label_selector"]) == (PAGE_SIZE, "a=b") and second["page"].continue_


def test_events() -> None:
    async def events() -> None:
        client = MemoryClient(service("a", LABELS), service("other", {}))
        watch = aiter(SlimListWatch(client, core_v1.Service, name_of, "a=b").watch("0", 300))
        assert await anext(watch) == WatchEvent("ADDED", Kept(Identity("x", "a", "ua", "1"), "A"))
        client.bookmark(core_v1.Service)
        assert await anext(watch) == Bookmark("2")

    asyncio.run(events())
