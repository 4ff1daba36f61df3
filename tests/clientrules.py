"""What `client.types.Client` promises: rules that every implementation keeps, each a coroutine that is given a client.

They use config maps, secrets and service accounts of the namespace default, under names of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import msgspec
import pytest

from pybernetes.api import types
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.informer import InformerFactory
from pybernetes.client.metadata import MetadataClient, Resource
from pybernetes.client.types import Bookmark, Client, Page

NS = "default"


def config_map(name: str, **data: str) -> core.ConfigMap:
    return core.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace=NS, labels={"rule": name}), data=data)


async def refused(work: Awaitable[object]) -> tuple[int, str]:
    with pytest.raises(StatusError) as caught:
        await work
    return caught.value.code, caught.value.reason


async def what_is_created_can_be_read(client: Client) -> None:
    made = await client.create(config_map("created", a="1"))
    assert made.metadata.uid and made.metadata.resource_version and made.metadata.creation_timestamp
    assert await client.get(core.ConfigMap, "created", NS) == made
    assert await refused(client.create(config_map("created"))) == (409, "AlreadyExists")
    assert await refused(client.get(core.ConfigMap, "absent", NS)) == (404, "NotFound")


async def names_are_generated(client: Client) -> None:
    blank = core.ConfigMap(metadata=meta.ObjectMeta(generate_name="generated-", namespace=NS))
    names = {(await client.create(blank)).metadata.name for _ in range(2)}
    assert len(names) == 2 and all(name.startswith("generated-") for name in names)


async def an_old_object_conflicts(client: Client) -> None:
    first = await client.create(config_map("updated", a="1"))
    first.data = {"a": "2"}
    second = await client.update(first)
    assert second.metadata.resource_version != first.metadata.resource_version
    assert await refused(client.update(first)) == (409, "Conflict")
    assert (await client.get(core.ConfigMap, "updated", NS)).data == {"a": "2"}
    assert await refused(client.update(config_map("absent"))) == (404, "NotFound")


async def a_write_of_nothing_new_is_none(client: Client) -> None:
    made = await client.create(config_map("same", a="1"))
    assert (await client.update(made)).metadata.resource_version == made.metadata.resource_version


async def patches_change_some_fields(client: Client) -> None:
    made = await client.create(config_map("patched", a="1", b="2"))
    merged = await client.patch(core.ConfigMap, "patched", NS, {"data": {"a": None, "c": "3"}})
    assert merged.data == {"b": "2", "c": "3"}
    added = [{"op": "add", "path": "/data/d", "value": "4"}]
    assert (await client.patch(core.ConfigMap, "patched", NS, added, type="json")).data["d"] == "4"
    for name in ("test/a", "test/b"):  # finalizers are merged, not replaced
        await client.patch(core.ConfigMap, "patched", NS, {"metadata": {"finalizers": [name]}}, type="strategic")
    assert sorted((await client.get(core.ConfigMap, "patched", NS)).metadata.finalizers) == ["test/a", "test/b"]
    old = {"metadata": {"resourceVersion": made.metadata.resource_version}, "data": {"a": "5"}}
    assert await refused(client.patch(core.ConfigMap, "patched", NS, old)) == (409, "Conflict")
    await client.patch(core.ConfigMap, "patched", NS, {"metadata": {"finalizers": None}})


async def the_status_is_apart(client: Client) -> None:
    made = await client.create(core.Namespace(metadata=meta.ObjectMeta(name="status-apart")))
    made.metadata.labels["a"] = "1"
    made.status.conditions = [core.NamespaceCondition(type="Told", status="True")]
    assert (await client.update(made)).status.conditions == []
    change = {"status": {"conditions": [{"type": "Told", "status": "True"}]}}
    written = await client.patch(core.Namespace, "status-apart", "", change, subresource="status")
    assert [condition.type for condition in written.status.conditions] == ["Told"]
    assert written.metadata.labels["a"] == "1"


async def selectors_choose(client: Client) -> None:
    for name in ("chosen-a", "chosen-b"):
        await client.create(config_map(name))
    by_label = await client.list(core.ConfigMap, NS, label_selector="rule in (chosen-a, chosen-b)")
    assert [item.metadata.name for item in by_label.items] == ["chosen-a", "chosen-b"]
    by_field = await client.list(core.ConfigMap, field_selector="metadata.name=chosen-b")
    assert [item.metadata.name for item in by_field.items] == ["chosen-b"]
    assert not (await client.list(core.ConfigMap, "absent")).items


async def pages_make_up_the_list(client: Client) -> None:
    for number in range(3):
        await client.create(
            core.Secret(metadata=meta.ObjectMeta(name=f"page-{number}", namespace=NS, labels={"p": ""}))
        )
    first = await client.list_page(core.Secret, NS, Page("", 2), label_selector="p")
    assert len(first.items) == 2 and first.continue_
    rest = await client.list_page(core.Secret, NS, Page("", 2, first.continue_), label_selector="p")
    assert [item.metadata.name for item in (*first.items, *rest.items)] == ["page-0", "page-1", "page-2"]
    assert not rest.continue_


async def deletion_keeps_to_preconditions(client: Client) -> None:
    made = await client.create(config_map("deleted"))
    assert await refused(client.delete(core.ConfigMap, "deleted", NS, uid="another")) == (409, "Conflict")
    await client.delete(core.ConfigMap, "deleted", NS, uid=made.metadata.uid)
    assert await refused(client.delete(core.ConfigMap, "deleted", NS)) == (404, "NotFound")


async def finalizers_hold(client: Client) -> None:
    held = config_map("held")
    held.metadata.finalizers = ["test/hold"]
    await client.create(held)
    await client.delete(core.ConfigMap, "held", NS)
    going = await client.get(core.ConfigMap, "held", NS)
    assert going.metadata.deletion_timestamp is not None
    going.metadata.finalizers = []
    await client.update(going)
    assert await refused(client.get(core.ConfigMap, "held", NS)) == (404, "NotFound")


async def watches_tell_what_matches(client: Client) -> None:
    start = (await client.list(core.ConfigMap, NS)).resource_version
    await client.create(config_map("watched", a="1"))
    await client.create(config_map("unwatched"))
    await client.patch(core.ConfigMap, "watched", NS, {"data": {"a": "2"}})
    await client.patch(core.ConfigMap, "watched", NS, {"metadata": {"labels": {"rule": "other"}}})
    await client.patch(core.ConfigMap, "watched", NS, {"metadata": {"labels": {"rule": "watched"}}})
    await client.delete(core.ConfigMap, "watched", NS)
    told: list[tuple[str, str]] = []
    async with asyncio.timeout(60):
        async for event in client.watch(core.ConfigMap, NS, resource_version=start, label_selector="rule=watched"):
            if not isinstance(event, Bookmark):
                told.append((event.type, event.object.data.get("a", "")))
            if len(told) == 5:
                break
    assert told == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2"), ("ADDED", "2"), ("DELETED", "2")]


async def informers_follow(client: Client) -> None:
    informers = InformerFactory(client)
    informer = informers.informer(core.ServiceAccount, NS, label_selector="rule=informer")
    seen: asyncio.Queue[str] = asyncio.Queue()
    informer.add_handler(lambda old, new: seen.put_nowait("-" if new is None else new.metadata.name))
    running = asyncio.ensure_future(informers.run())
    async with asyncio.timeout(60):
        await informers.wait_synced()
        account = core.ServiceAccount(
            metadata=meta.ObjectMeta(name="followed", namespace=NS, labels={"rule": "informer"})
        )
        await client.create(account)
        assert await seen.get() == "followed"
        await client.delete(core.ServiceAccount, "followed", NS)
        assert await seen.get() == "-"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def objects_are_at_their_paths(client: Client) -> None:
    path = f"/api/v1/namespaces/{NS}/configmaps"
    for name in ("path-a", "path-b"):
        await client.create(config_map(name))
    found = types.decode(await client.raw("GET", f"{path}/path-a"), core.ConfigMap)
    assert found == await client.get(core.ConfigMap, "path-a", NS)
    query = urlencode({"labelSelector": "rule in (path-a, path-b)", "limit": 1})
    listed = msgspec.json.decode(await client.raw("GET", f"{path}?{query}"))
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["path-a"] and listed["metadata"]["continue"]
    assert await refused(client.raw("GET", f"{path}/absent")) == (404, "NotFound")
    assert await refused(client.raw("GET", "/apis/absent.example.com/v1/things")) == (404, "NotFound")


async def any_resource_is_handled_by_its_metadata(client: Client) -> None:
    metadata, own = MetadataClient(client), Resource("", "v1", "configmaps", "ConfigMap", True)
    start = (await metadata.list(own, NS)).resource_version
    made = await client.create(config_map("partial"))
    seen = (await metadata.get(own, "partial", NS)).metadata
    assert (seen.name, seen.namespace, seen.uid) == ("partial", NS, made.metadata.uid)
    assert "partial" in [one.metadata.name for one in (await metadata.list(own, NS)).items]
    assert await metadata.count(own, NS) == len((await client.list(core.ConfigMap, NS)).items)
    for finalizers in (["test/hold"], []):
        held = await metadata.patch(own, "partial", NS, {"metadata": {"finalizers": finalizers}})
        assert (held.metadata.finalizers or []) == finalizers
    assert await refused(metadata.delete(own, "partial", NS, uid="another")) == (409, "Conflict")
    await metadata.delete(own, "partial", NS, uid=seen.uid)
    assert await refused(metadata.get(own, "partial", NS)) == (404, "NotFound")
    told: list[str] = []
    async with asyncio.timeout(60):
        async for event in metadata.watch(own, NS, resource_version=start):
            if not isinstance(event, Bookmark):
                assert event.object.metadata.name == "partial"
                told.append(event.type)
            if told[-1:] == ["DELETED"]:
                break
    assert told == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


async def a_collection_goes_at_once(client: Client) -> None:
    for name in ("collected-a", "collected-b"):
        await client.create(core.Secret(metadata=meta.ObjectMeta(name=name, namespace=NS)))
    await MetadataClient(client).delete_collection(Resource("", "v1", "secrets", "Secret", True), NS)
    assert not (await client.list(core.Secret, NS)).items


RULES: tuple[Callable[[Client], Awaitable[None]], ...] = (
    what_is_created_can_be_read,
    names_are_generated,
    an_old_object_conflicts,
    a_write_of_nothing_new_is_none,
    patches_change_some_fields,
    the_status_is_apart,
    selectors_choose,
    pages_make_up_the_list,
    deletion_keeps_to_preconditions,
    finalizers_hold,
    watches_tell_what_matches,
    informers_follow,
    objects_are_at_their_paths,
    any_resource_is_handled_by_its_metadata,
    a_collection_goes_at_once,
)
