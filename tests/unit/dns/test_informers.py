"""Lists in pages, and little kept of each object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pybernetes.api.types import core_v1, meta_v1
from pybernetes.client.types import Bookmark, ObjectList, Page, WatchEvent
from pybernetes.dns.informers import Identity, Kept, SlimListWatch


class Client:
    """Three services on two pages."""

    def __init__(self) -> None:
        self.asked: list[tuple[Page, dict[str, str]]] = []

    async def list_page(self, kind: type, namespace: str, page: Page, **selectors: str) -> ObjectList[core_v1.Service]:
        self.asked.append((page, selectors))
        names, rest = ("c", "") if page.continue_ else ("ab", "more")
        metas = [meta_v1.ObjectMeta(name=n, namespace="x", uid=f"u{n}", resource_version="7") for n in names]
        return ObjectList([core_v1.Service(metadata=meta) for meta in metas], "9", rest)

    async def watch(self, kind: type, namespace: str = "", **options: Any) -> AsyncIterator[Any]:
        yield WatchEvent("ADDED", core_v1.Service())
        yield Bookmark("8")


def name_of(service: core_v1.Service) -> str:
    return service.metadata.name.upper()


def test_pages() -> None:
    client: Any = Client()
    found = asyncio.run(SlimListWatch(client, core_v1.Service, name_of, "a=b").list("0"))
    assert found.resource_version == "9"
    assert [kept.value for kept in found.items] == ["A", "B", "C"]
    assert found.items[0] == Kept(Identity("x", "a", "ua", "7"), "A")
    selectors = {"label_selector": "a=b"}
    assert client.asked == [(Page("", 500), selectors), (Page("", 500, "more"), selectors)]


def test_events() -> None:
    client: Any = Client()

    async def events() -> list[Any]:
        slim = SlimListWatch(client, core_v1.Service, name_of)
        return [event async for event in slim.watch("9", 300)]

    added, bookmark = asyncio.run(events())
    assert (added.type, added.object.value) == ("ADDED", "")
    assert bookmark == Bookmark("8")
