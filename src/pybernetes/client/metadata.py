"""Resources of any kind by their metadata: what there is (discovery), lists, watches, deletions and patches.

For those who must handle every resource and know the types of none: garbage collector, namespace deletion, quotas
(client-go's discovery and metadata packages). Only the fields that these need are decoded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from pybernetes.api import mediatypes
from pybernetes.api.errors import StatusError

from .pager import in_pages
from .types import Bookmark, Client, ObjectList, Page, WatchEvent

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
PARTIAL_LIST = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"  # the finalizers of the two ways of deletion that take time

Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Resource:
    """What discovery says of a resource."""

    group: str
    version: str
    name: str  # plural
    kind: str
    namespaced: bool
    verbs: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """`deployments.apps`, `pods`."""
        return f"{self.name}.{self.group}" if self.group else self.name

    def path(self, namespace: str = "", name: str = "") -> str:
        """Of the collection (of all namespaces without one), or of one object."""
        prefix = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            prefix += f"/namespaces/{namespace}"
        return f"{prefix}/{self.name}/{quote(name, safe='')}" if name else f"{prefix}/{self.name}"


class Owner(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """An owner reference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class Metadata(msgspec.Struct, rename="camel"):
    """The part of metadata that is looked at; times stay text."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    finalizers: list[str] | None = None
    owner_references: list[Owner] | None = None


class Partial(msgspec.Struct):
    """An object as far as it is known here."""

    metadata: Metadata

    @property
    def deleting(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    def finalized_by(self, finalizer: str) -> bool:
        return finalizer in (self.metadata.finalizers or ())


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int = 0


class _Partials(msgspec.Struct):
    metadata: _ListMeta
    items: list[Partial] | None = None


_partial = msgspec.json.Decoder(Partial)
_partials = msgspec.json.Decoder(_Partials)


# --- discovery ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Discovered:
    """All resources, those of a group's preferred version first; and the group-versions that did not answer, with why."""

    resources: tuple[Resource, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    def preferred(self) -> list[Resource]:
        """Each resource in one version: the preferred one, or the first that has it."""
        resources: dict[tuple[str, str], Resource] = {}
        for resource in self.resources:
            resources.setdefault((resource.group, resource.name), resource)
        return list(resources.values())

    def by_kind(self) -> dict[tuple[str, str], Resource]:
        """By (apiVersion, kind)."""
        resources: dict[tuple[str, str], Resource] = {}
        for resource in self.resources:
            resources.setdefault((resource.api_version, resource.kind), resource)
        return resources


def from_aggregated(answer: Mapping[str, Any]) -> Discovered:
    """An APIGroupDiscoveryList."""
    resources: list[Resource] = []
    failed: dict[str, str] = {}
    for group in answer.get("items") or ():
        name = (group.get("metadata") or {}).get("name", "")
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                failed[f"{name}/{version['version']}"] = (
                    "stale GroupVersion discovery: " + f"{name}/{version['version']}"
                )
            for entry in version.get("resources") or ():
                kind = (entry.get("responseKind") or {}).get("kind", "")
                verbs = frozenset(entry.get("verbs") or ())
                scoped = entry.get("scope") == "Namespaced"
                resources.append(Resource(name, version["version"], entry["resource"], kind, scoped, verbs))
    return Discovered(tuple(resources), failed)


def from_list(group: str, version: str, answer: Mapping[str, Any]) -> list[Resource]:
    """An APIResourceList, without its subresources."""
    return [
        Resource(group, version, e["name"], e["kind"], bool(e.get("namespaced")), frozenset(e.get("verbs") or ()))
        for e in answer.get("resources") or ()
        if "/" not in e["name"]
    ]


async def discover(client: Client) -> Discovered:
    """Two requests to servers with aggregated discovery, one for each group-version to those before 1.27."""
    resources: list[Resource] = []
    failed: dict[str, str] = {}
    for root in ("/api", "/apis"):
        answer = msgspec.json.decode(await client.raw("GET", root, None, {"Accept": AGGREGATED}))
        if answer.get("kind") == "APIGroupDiscoveryList":
            discovered = from_aggregated(answer)
            resources.extend(discovered.resources)
            failed.update(discovered.failed)
            continue
        for group, version in _group_versions(answer):
            path = f"/apis/{group}/{version}" if group else f"/api/{version}"
            try:
                listed = msgspec.json.decode(await client.raw("GET", path))
            except StatusError as error:
                failed[f"{group}/{version}" if group else version] = str(error)
                continue
            resources.extend(from_list(group, version, listed))
    return Discovered(tuple(resources), failed)


def _group_versions(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of an APIVersions or APIGroupList; a group's preferred version first."""
    if answer.get("kind") == "APIVersions":
        return [("", version) for version in answer.get("versions") or ()]
    group_versions: list[tuple[str, str]] = []
    for group in answer.get("groups") or ():
        preferred = (group.get("preferredVersion") or {}).get("version")
        versions = [v["version"] for v in group.get("versions") or ()]
        group_versions.extend((group["name"], v) for v in sorted(versions, key=lambda v: v != preferred))
    return group_versions


# --- requests ----------------------------------------------------------------------------------


class MetadataClient:
    """Objects of any resource. StatusError and ConnectionError as `client.types.Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def discover(self) -> Discovered:
        """What resources there are."""
        return await discover(self._client)

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Partial:
        return _partial.decode(await self._client.raw("GET", resource.path(namespace, name), None, PARTIAL))

    async def list(self, resource: Resource, namespace: str = "", *, resource_version: str = "") -> ObjectList[Partial]:
        """All; in pages where they are many."""

        async def fetch(page: Page) -> ObjectList[Partial]:
            options = {"resourceVersion": page.resource_version, "limit": page.limit, "continue": page.continue_}
            query = urlencode({key: value for key, value in options.items() if value})
            path = resource.path(namespace) + (f"?{query}" if query else "")
            listed = _partials.decode(await self._client.raw("GET", path, None, PARTIAL_LIST))
            return ObjectList(listed.items or (), listed.metadata.resource_version, listed.metadata.continue_)

        return await in_pages(fetch, resource_version)

    async def count(self, resource: Resource, namespace: str = "") -> int:
        """How many there are, without having them all sent."""
        body = await self._client.raw("GET", resource.path(namespace) + "?limit=1", None, PARTIAL_LIST)
        listed = _partials.decode(body)
        return len(listed.items or ()) + listed.metadata.remaining_item_count

    async def watch(
        self, resource: Resource, namespace: str = "", *, resource_version: str, timeout_seconds: int = 0
    ) -> AsyncIterator[WatchEvent[Partial] | Bookmark]:
        """Events after the resource version; their objects are `Partial`."""
        query: dict[str, str] = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        if timeout_seconds:
            query["timeoutSeconds"] = str(timeout_seconds)
        path = f"{resource.path(namespace)}?{urlencode(query)}"
        async for kind, body in self._client.watch_raw(path, PARTIAL, timeout_seconds):
            partial = _partial.decode(body)
            if kind == "BOOKMARK":
                yield Bookmark(partial.metadata.resource_version)
            else:
                yield WatchEvent(kind, partial)  # type: ignore[arg-type]  # the server's word

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        """Under preconditions where given."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        body: dict[str, Any] = {**options, "preconditions": {k: v for k, v in conditions.items() if v}}
        await self._client.raw("DELETE", resource.path(namespace, name), msgspec.json.encode(body))

    async def delete_collection(self, resource: Resource, namespace: str) -> None:
        """Everything of the resource in a namespace, in the background."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        await self._client.raw("DELETE", resource.path(namespace), msgspec.json.encode(body))

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: Literal["merge", "strategic"] = "merge",
    ) -> Partial:
        headers = {**PARTIAL, "Content-Type": mediatypes.PATCHES[type]}
        body = await self._client.raw("PATCH", resource.path(namespace, name), msgspec.json.encode(patch), headers)
        return _partial.decode(body)


class MetadataListWatch:
    """The metadata of one resource's objects, for a reflector."""

    def __init__(self, client: MetadataClient, resource: Resource) -> None:
        self._client, self._resource = client, resource
        self.title = resource.group_resource

    async def list(self, resource_version: str) -> ObjectList[Partial]:
        return await self._client.list(self._resource, resource_version=resource_version)

    def watch(self, resource_version: str, timeout_seconds: int) -> AsyncIterator[WatchEvent[Partial] | Bookmark]:
        return self._client.watch(self._resource, resource_version=resource_version, timeout_seconds=timeout_seconds)


def having(resources: Iterable[Resource], *verbs: str) -> list[Resource]:
    """Those that support all the verbs (discovery.SupportsAllVerbs)."""
    required = frozenset(verbs)
    return [resource for resource in resources if required <= resource.verbs]
