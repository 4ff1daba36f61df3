"""What the garbage collector asks of a server, for resources that take no strategic merge patches too."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Literal

import pytest

from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.informer import InformerFactory
from pybernetes.client.memory import MemoryClient, Request
from pybernetes.client.metadata import Discovered, MetadataClient, Resource
from pybernetes.controllers.framework import Context
from pybernetes.controllers.garbagecollector.controller import GarbageCollector, NotSeen
from pybernetes.controllers.garbagecollector.graph import Node
from pybernetes.controllers.garbagecollector.monitors import Unknown
from pybernetes.controllers.options import Options

from .things import Thing

THINGS = Resource("example.com", "v1", "things", "Thing", True)


def thing(name: str, *owners: str, finalizers: tuple[str, ...] = (), deleting: bool = False) -> Thing:
    references = [
        meta.OwnerReference(api_version="example.com/v1", kind="Thing", name=owner, uid=f"u-{owner}", controller=True)
        for owner in owners
    ]
    return Thing(
        meta.ObjectMeta(
            name=name,
            namespace="ns",
            uid=f"u-{name}",
            owner_references=references,
            finalizers=list(finalizers),
            deletion_timestamp=datetime(2026, 1, 1, tzinfo=UTC) if deleting else None,
        )
    )


async def collector(client: MemoryClient) -> GarbageCollector:
    """With all of the client's things seen."""
    made = GarbageCollector(Context(client, InformerFactory(client), EventBroadcaster(client), options=Options()))
    made._monitors._kinds = Discovered((THINGS,)).by_kind()
    made._monitors.settled.set()
    made.listed(THINGS, (await MetadataClient(client).list(THINGS)).items)
    return made


def after(client: MemoryClient, key: tuple[Literal["delete", "orphan"], str]) -> list[Request]:
    """What was asked of the server besides GETs in a sync of (action, name)."""

    async def main() -> None:
        made = await collector(client)
        action, name = key
        node = made.graph.get(f"u-{name}")
        assert node is not None
        await made.sync((action, node))

    asyncio.run(main())
    return client.asked("delete", "patch", "update", "create")


def test_without_owners_it_goes() -> None:
    client = MemoryClient(thing("d", "gone"))
    [request] = after(client, ("delete", "d"))
    assert (request.verb, request.name) == ("delete", "d")
    assert request.options == {"uid": "u-d", "resource_version": "1", "propagation": "Background"}
    assert client.all(Thing) == []


def test_with_an_owner_it_stays() -> None:
    assert after(MemoryClient(thing("boss"), thing("d", "boss")), ("delete", "d")) == []


def test_a_lost_owner_is_taken_from_the_list_by_a_merge_patch() -> None:
    client = MemoryClient(thing("d", "gone", "boss"), thing("boss"))
    [request] = after(client, ("delete", "d"))
    assert (request.verb, request.name, request.options) == ("patch", "d", {"type": "merge"})
    [kept] = request.body["metadata"]["ownerReferences"]
    assert (kept["uid"], kept["controller"], request.body["metadata"]["resourceVersion"]) == ("u-boss", True, "1")
    assert [owner.uid for one in client.all(Thing) for owner in one.metadata.owner_references] == ["u-boss"]


def test_orphaning_takes_the_reference_and_then_the_finalizer() -> None:
    boss = thing("boss", finalizers=("orphan", "keep"), deleting=True)
    first, second = after(MemoryClient(boss, thing("d", "boss")), ("orphan", "boss"))
    assert (first.verb, first.name) == ("patch", "d")
    assert first.body == {"metadata": {"ownerReferences": [], "resourceVersion": "2"}}
    assert (second.verb, second.name) == ("patch", "boss")
    assert second.body == {"metadata": {"finalizers": ["keep"], "resourceVersion": "1"}}


def test_in_the_foreground_the_finalizer_goes_when_nothing_blocks() -> None:
    boss = thing("boss", finalizers=("foregroundDeletion",), deleting=True)
    client = MemoryClient(boss, thing("d", "boss"))
    [request] = after(client, ("delete", "boss"))
    assert (request.verb, request.name) == ("patch", "boss")
    assert request.body == {"metadata": {"finalizers": [], "resourceVersion": "1"}}
    assert [one.metadata.name for one in client.all(Thing)] == ["d"]


def test_what_is_on_its_way_is_left_alone() -> None:
    assert after(MemoryClient(thing("d", "gone", finalizers=("x",), deleting=True)), ("delete", "d")) == []


def test_a_dependent_in_the_foreground_of_its_owner_goes_so_too() -> None:
    boss = thing("boss", finalizers=("foregroundDeletion",), deleting=True)
    [request] = after(MemoryClient(boss, thing("d", "boss"), thing("e", "d")), ("delete", "d"))
    assert (request.verb, request.name, request.options["propagation"]) == ("delete", "d", "Foreground")


def test_a_named_owner_that_exists_is_waited_for() -> None:
    async def main() -> None:
        client = MemoryClient(thing("d", "boss"))
        made = await collector(client)
        client.put(thing("boss"))
        boss = made.graph.get("u-boss")
        assert boss is not None and boss.virtual
        with pytest.raises(NotSeen):
            await made.sync(("delete", boss))
        client.drop(thing("boss"))
        await made.sync(("delete", boss))
        assert made.graph.get("u-boss") is None

    asyncio.run(main())


def test_an_owner_of_an_unknown_kind_is_no_reason_to_delete() -> None:
    async def main() -> None:
        client = MemoryClient(thing("d", "boss"))
        made = await collector(client)
        node = made.graph.get("u-d")
        assert isinstance(node, Node)
        other = thing("d", "boss")
        other.metadata.owner_references[0].kind = "Other"
        client.put(other)
        with pytest.raises(Unknown):
            await made.sync(("delete", node))
        assert client.asked("delete", "patch", "update", "create") == []

    asyncio.run(main())
