"""The client without a server keeps the rules of all clients, and those of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import StatusError
from pybernetes.api.mediatypes import PATCHES
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.client.types import Bookmark, Client, WatchEvent
from tests.clientrules import RULES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rules(rule: Callable[[Client], Awaitable[None]]) -> None:
    asyncio.run(rule(MemoryClient()))


def pod(name: str, node: str = "") -> core.Pod:
    return core.Pod(metadata=meta.ObjectMeta(name=name, namespace="ns"), spec=core.PodSpec(node_name=node))


def node_of(pod: core.Pod | None) -> str:
    return "-" if pod is None else pod.spec.node_name


def test_pods_end_gracefully_on_their_node() -> None:
    async def main() -> None:
        client = MemoryClient(pod("waiting"), pod("running", "n"))
        await client.delete(core.Pod, "waiting", "ns")
        await client.delete(core.Pod, "running", "ns")
        (going,) = client.all(core.Pod)
        assert going.metadata.deletion_grace_period_seconds == 30 and going.metadata.deletion_timestamp is not None
        await client.delete(core.Pod, "running", "ns", grace_period_seconds=0)
        assert client.all(core.Pod) == []

    asyncio.run(main())


def test_binding_and_eviction() -> None:
    async def main() -> None:
        client = MemoryClient(pod("a"))
        target = core.Binding(target=core.ObjectReference(kind="Node", name="n"))
        await client.create_subresource(core.Pod, "a", "ns", "binding", target, meta.Status)
        assert client.all(core.Pod)[0].spec.node_name == "n"
        with pytest.raises(StatusError, match="already assigned"):
            await client.create_subresource(core.Pod, "a", "ns", "binding", target, meta.Status)

    asyncio.run(main())


def test_failures_are_given_once_and_requests_kept() -> None:
    async def main() -> None:
        client = MemoryClient(pod("a"))
        client.fail(ConnectionError("cut"), "get", core.Pod)
        with pytest.raises(ConnectionError, match="cut"):
            await client.get(core.Pod, "a", "ns")
        await client.get(core.Pod, "a", "ns")
        assert [(r.verb, r.name) for r in client.requests] == [("get", "a"), ("get", "a")]
        assert client.asked("delete") == []

    asyncio.run(main())


def test_objects_come_change_and_go_without_requests() -> None:
    client = MemoryClient()
    informer, told = MemoryInformers(client).informer(core.Pod), list[tuple[str, str]]()
    informer.add_handler(lambda old, new: told.append((node_of(old), node_of(new))))
    client.put(pod("a"))
    (first,) = client.all(core.Pod)
    client.put(pod("a", "n"))
    assert [p.metadata.uid for p in client.all(core.Pod)] == [first.metadata.uid]
    client.drop(pod("a"))
    assert told == [("-", ""), ("", "n"), ("n", "-")]
    assert client.all(core.Pod) == [] and client.requests == []
    with pytest.raises(StatusError, match="not found"):
        client.drop(pod("a"))


def test_a_watch_from_what_is_forgotten_ends() -> None:
    async def main() -> None:
        client = MemoryClient(pod("a"))
        client.forget(core.Pod)
        with pytest.raises(StatusError) as caught:
            await anext(aiter(client.watch(core.Pod, resource_version="0")))
        assert caught.value.code == 410

    asyncio.run(main())


def test_a_bookmark_tells_how_far_a_watch_is() -> None:
    async def main() -> None:
        client = MemoryClient(pod("a"))
        watch = aiter(client.watch(core.Pod, resource_version="0"))
        assert isinstance(await anext(watch), WatchEvent)
        client.put(core.Node(metadata=meta.ObjectMeta(name="n")))
        client.bookmark(core.Pod)
        assert await anext(watch) == Bookmark("2")

    asyncio.run(main())


class Thing(msgspec.Struct, rename="camel"):
    """Of a custom resource."""

    metadata: meta.ObjectMeta = msgspec.field(default_factory=meta.ObjectMeta)
    api_version: str = "example.com/v1"
    kind: str = "Thing"


def test_custom_resources_have_paths_and_take_no_strategic_patches() -> None:
    async def main() -> None:
        client = MemoryClient(Thing(meta.ObjectMeta(name="a", namespace="ns")))
        path, patch = "/apis/example.com/v1/namespaces/ns/things/a", b'{"metadata":{"labels":{"x":"y"}}}'
        strategic, merge = ({"Content-Type": PATCHES[way]} for way in ("strategic", "merge"))
        with pytest.raises(StatusError) as caught:
            await client.raw("PATCH", path, patch, strategic)
        assert caught.value.code == 415 and client.requests == []
        patched = msgspec.json.decode(await client.raw("PATCH", path, patch, merge))
        assert (patched["kind"], patched["metadata"]["labels"]) == ("Thing", {"x": "y"})
        assert [request.headers for request in client.paths] == [strategic, merge]
        client.answers["GET", path] = b"another"
        assert await client.raw("GET", path) == b"another"

    asyncio.run(main())


def test_a_custom_resource_without_objects_can_be_served_and_who_watches_is_known() -> None:
    async def main() -> None:
        client, path = MemoryClient(), "/apis/example.com/v1/things"
        with pytest.raises(StatusError, match="could not find the requested resource"):
            await client.raw("GET", path)
        client.serve(Thing)
        assert msgspec.json.decode(await client.raw("GET", path))["items"] == []

        async def first() -> str:
            return (await anext(aiter(client.watch_raw(path))))[0]

        first_event = asyncio.ensure_future(first())
        await VirtualClock().settle()
        assert client.watched == {Thing}
        client.put(Thing(meta.ObjectMeta(name="a", namespace="ns")))
        assert await first_event == "ADDED"
        first_event = asyncio.ensure_future(first())
        first_event.cancel()
        await asyncio.gather(first_event, return_exceptions=True)
        await VirtualClock().settle()
        assert client.watched == set()

    asyncio.run(main())


def test_nothing_is_shared_with_the_caller() -> None:
    async def main() -> None:
        mine = pod("a")
        client = MemoryClient()
        made = await client.create(mine)
        mine.spec.node_name = made.spec.node_name = "changed here"
        assert (await client.get(core.Pod, "a", "ns")).spec.node_name == ""

    asyncio.run(main())
