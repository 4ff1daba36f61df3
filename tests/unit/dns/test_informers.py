"""Lists in pages, and little kept of each object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pybernetes.api.types import core_v1
from pybernetes.client.types import Bookmark, WatchEvent
from pybernetes.dns.informers import Identity, Kept, SlimListWatch


class Client:
    """Three services on two pages."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def raw(self, method: str, path: str) -> bytes:
        self.asked.append(path)
        query = parse_qs(urlsplit(path).query)
        names, rest = (["c"], "") if "continue" in query else (["a", "b"], "more&more")
        items = [{"metadata": {"name": n, "namespace": "x", "uid": f"u{n}", "resourceVersion": "7"}} for n in names]
        return json.dumps({"metadata": {"resourceVersion": "9", "continue": rest}, "items": items}).encode()

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
    assert client.asked == [
        "/api/v1/services?limit=500&labelSelector=a%3Db",
        "/api/v1/services?limit=500&labelSelector=a%3Db&continue=more%26more",
    ]


def test_events() -> None:
    client: Any = Client()

    async def events() -> list[Any]:
        slim = SlimListWatch(client, core_v1.Service, name_of)
        return [event async for event in slim.watch("9", 300)]

    added, bookmark = asyncio.run(events())
    assert (added.type, added.object.value) == ("ADDED", "")
    assert bookmark == Bookmark("8")
