"""What the garbage collector asks of a server, for resources that take no strategic merge patches too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api import errors
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.informer import InformerFactory
from pybernetes.client.metadata import Discovered, Metadata, Owner, Partial, Resource
from pybernetes.controllers.framework import Context
from pybernetes.controllers.garbagecollector.controller import GarbageCollector, NotSeen
from pybernetes.controllers.garbagecollector.graph import Node
from pybernetes.controllers.garbagecollector.monitors import Unknown
from pybernetes.controllers.options import Options

VERBS = frozenset({"delete", "list", "watch"})
THINGS = Resource("example.com", "v1", "things", "Thing", True, VERBS)
PATH = "/apis/example.com/v1/namespaces/ns/things"


def thing(name: str, *owners: str, finalizers: tuple[str, ...] = (), deleting: bool = False) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": "ns", "uid": f"u-{name}", "resourceVersion": "1"}
    meta["ownerReferences"] = [
        {"apiVersion": "example.com/v1", "kind": "Thing", "name": owner, "uid": f"u-{owner}", "controller": True}
        for owner in owners
    ]
    meta["finalizers"] = list(finalizers)
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": meta}


class Server:
    """Things; strategic merge patches are refused, as custom resources do. Notes what was asked for but GETs."""

    def __init__(self, *things: dict[str, Any]) -> None:
        self.things = {one["metadata"]["name"]: one for one in things}
        self.asked: list[tuple[str, str, Any]] = []

    async def raw(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        name = path.removeprefix(f"{PATH}/")
        found = self.things.get(name)
        if found is None:
            raise errors.not_found("example.com", "things", name)
        if method != "GET":
            if "strategic" in (headers or {}).get("Content-Type", ""):
                raise errors.unsupported_media_type("no")
            self.asked.append((method, name, json.loads(body or b"null")))
        return json.dumps(found).encode()


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def collector(server: Server) -> GarbageCollector:
    """With all of the server's things seen."""
    client: Any = server
    made = GarbageCollector(Context(client, InformerFactory(client), EventBroadcaster(client), options=Options()))
    made._monitors._kinds = Discovered((THINGS,)).by_kind()
    made._monitors.settled.set()
    made.listed(THINGS, [partial(one) for one in server.things.values()])
    return made


def partial(one: dict[str, Any]) -> Partial:
    meta = one["metadata"]
    owners = [Owner(o["apiVersion"], o["kind"], o["name"], o["uid"], True) for o in meta["ownerReferences"]]
    return Partial(
        Metadata(
            meta["name"],
            "ns",
            meta["uid"],
            meta["resourceVersion"],
            meta.get("deletionTimestamp"),
            meta["finalizers"],
            owners,
        )
    )


def after(server: Server, *keys: tuple[str, str]) -> list[tuple[str, str, Any]]:
    """What was asked of the server in syncs of (action, name)."""

    async def main() -> None:
        made = collector(server)
        for action, name in keys:
            node = made.graph.get(f"u-{name}")
            assert node is not None
            await made.sync((action, node))  # type: ignore[arg-type]  # one of the two words

    asyncio.run(main())
    return server.asked


def test_without_owners_it_goes() -> None:
    [(method, name, body)] = after(Server(thing("d", "gone")), ("delete", "d"))
    assert (method, name) == ("DELETE", "d")
    assert body["propagationPolicy"] == "Background"
    assert body["preconditions"] == {"uid": "u-d", "resourceVersion": "1"}


def test_with_an_owner_it_stays() -> None:
    assert after(Server(thing("boss"), thing("d", "boss")), ("delete", "d")) == []


def test_a_lost_owner_is_taken_from_the_list_by_a_merge_patch() -> None:
    [(method, name, body)] = after(Server(thing("boss"), thing("d", "gone", "boss")), ("delete", "d"))
    assert (method, name) == ("PATCH", "d")
    [kept] = body["metadata"]["ownerReferences"]
    assert (kept["uid"], kept["controller"], body["metadata"]["resourceVersion"]) == ("u-boss", True, "1")


def test_orphaning_takes_the_reference_and_then_the_finalizer() -> None:
    boss = thing("boss", finalizers=("orphan", "keep"), deleting=True)
    first, second = after(Server(boss, thing("d", "boss")), ("orphan", "boss"))
    assert first == ("PATCH", "d", {"metadata": {"ownerReferences": [], "resourceVersion": "1"}})
    assert second == ("PATCH", "boss", {"metadata": {"finalizers": ["keep"], "resourceVersion": "1"}})


def test_in_the_foreground_the_finalizer_goes_when_nothing_blocks() -> None:
    boss = thing("boss", finalizers=("foregroundDeletion",), deleting=True)
    assert after(Server(boss, thing("d", "boss")), ("delete", "boss")) == [
        ("PATCH", "boss", {"metadata": {"finalizers": [], "resourceVersion": "1"}})
    ]


def test_what_is_on_its_way_is_left_alone() -> None:
    assert after(Server(thing("d", "gone", finalizers=("x",), deleting=True)), ("delete", "d")) == []


def test_a_dependent_in_the_foreground_of_its_owner_goes_so_too() -> None:
    boss = thing("boss", finalizers=("foregroundDeletion",), deleting=True)
    server = Server(boss, thing("d", "boss"), thing("e", "d"))
    [(method, name, body)] = after(server, ("delete", "d"))
    assert (method, name, body["propagationPolicy"]) == ("DELETE", "d", "Foreground")


def test_a_named_owner_that_exists_is_waited_for() -> None:
    async def main() -> None:
        server = Server(thing("d", "boss"))
        made = collector(server)
        server.things["boss"] = thing("boss")
        boss = made.graph.get("u-boss")
        assert boss is not None and boss.virtual
        with pytest.raises(NotSeen):
            await made.sync(("delete", boss))
        del server.things["boss"]
        await made.sync(("delete", boss))
        assert made.graph.get("u-boss") is None

    asyncio.run(main())


def test_an_owner_of_an_unknown_kind_is_no_reason_to_delete() -> None:
    async def main() -> None:
        server = Server(thing("d", "boss"))
        made = collector(server)
        node = made.graph.get("u-d")
        assert isinstance(node, Node)
        server.things["d"]["metadata"]["ownerReferences"][0]["kind"] = "Other"
        with pytest.raises(Unknown):
            await made.sync(("delete", node))
        assert server.asked == []

    asyncio.run(main())
