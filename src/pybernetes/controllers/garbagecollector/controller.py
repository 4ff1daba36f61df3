"""Deletes what has lost its owners, and carries out orphaning and foreground deletion (upstream: pkg/controller/garbagecollector).

The graph says what to look at; whether something is deleted is decided on what the server says at that moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.client.metadata import (
    FOREGROUND,
    ORPHAN,
    MetadataClient,
    Owner,
    Partial,
    Propagation,
    Resource,
)
from pybernetes.client.retry import retry_on_conflict
from pybernetes.client.types import WatchEvent

from ..framework import Again, Context, Controller
from ..options import Options
from .graph import Action, Attempt, Graph, Identity, Node, Orphan, invalid_message
from .monitors import Monitors, Unknown

_log = logging.getLogger(__name__)


class NotSeen(Again):
    """An owner that exists, but that no watch has told of yet."""


# --- deciding ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class References:
    """What an object's owners are: there, gone, or deleted in the foreground and waiting."""

    solid: list[Owner] = field(default_factory=list)
    dangling: list[Owner] = field(default_factory=list)
    waiting: list[Owner] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Release:
    """Remove the references to these uids."""

    uids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete; `unblock` first if it would wait for one that waits for it."""

    propagation: Propagation
    unblock: bool = False


def plan(node: Node, latest: Partial, refs: References) -> Release | Delete | None:
    """What becomes of an object with owners."""
    if refs.solid:
        lost = [owner.uid for owner in (*refs.dangling, *refs.waiting)]
        return Release(lost) if lost else None
    if refs.waiting and node.dependents:
        circle = any(dependent.deleting_dependents for dependent in node.dependents)
        return Delete("Foreground", unblock=circle)
    if latest.finalized_by(ORPHAN):
        return Delete("Orphan")
    return Delete("Foreground" if latest.finalized_by(FOREGROUND) else "Background")


def release_patch(uid: str, owners: Iterable[str]) -> dict[str, Any]:
    """Strategic: the references gone, if it is still the same object."""
    return {"metadata": {"ownerReferences": [{"$patch": "delete", "uid": owner} for owner in owners], "uid": uid}}


def reference(owner: Owner) -> dict[str, Any]:
    """As JSON, without blockOwnerDeletion and controller."""
    return {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}


# --- doing -------------------------------------------------------------------------------------


class GarbageCollector(Controller):
    """One queue of nodes to attempt and to orphan."""

    name = "garbage-collector-controller"
    account = "generic-garbage-collector"

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_gc_syncs)
        self._metadata = MetadataClient(self.client)
        self.graph = Graph()
        self._monitors = Monitors(self._metadata, self, context.clock)

    @classmethod
    def lacks(cls, options: Options) -> str:
        """Which flag has switched it off; "" if none has."""
        return "" if options.enable_garbage_collector else "--enable-garbage-collector is false"

    def background(self) -> Iterable[Awaitable[None]]:
        return (self._monitors.run(),)

    # --- what happens

    def listed(self, resource: Resource, objects: Sequence[Partial]) -> None:
        """All objects of a resource, by its monitor's first list or a later one: what the graph has beside them is gone."""
        there = {obj.metadata.uid for obj in objects}
        for node in self.graph.of_kind(resource.api_version, resource.kind):
            if node.uid not in there:
                self._do(self.graph.remove(node.uid))
        for obj in objects:
            self._do(self.graph.observe(resource, obj))

    def seen(self, resource: Resource, event: WatchEvent[Partial]) -> None:
        """One event of a resource's monitor; the graph says whose turn it is for it."""
        if event.type == "DELETED":
            self._do(self.graph.remove(event.object.metadata.uid))
        else:
            self._do(self.graph.observe(resource, event.object))

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Attempt):
                self.queue.add(("delete", action.node))
            elif isinstance(action, Orphan):
                self.queue.add(("orphan", action.node))
            else:
                self._tell_invalid(action.node, action.owner_uid)

    def _tell_invalid(self, node: Node, owner_uid: str) -> None:
        about = core.ObjectReference(
            api_version=node.api_version, kind=node.kind, namespace=node.namespace, name=node.name, uid=node.uid
        )
        self.recorder.warning(about, "OwnerRefInvalidNamespace", invalid_message(node, owner_uid))

    # --- what is done

    async def sync(self, key: tuple[Literal["delete", "orphan"], Node]) -> None:
        """Looks at one node of the graph: deletes it, releases it, or leaves it alone."""
        await self._monitors.settled.wait()
        action, node = key
        if action == "orphan":
            await self._orphan(node)
        elif not node.virtual or self.graph.get(node.uid) is node:
            await self._attempt(node)

    def _failed(self, key: Any, error: Exception) -> None:
        if isinstance(error, Unknown | NotSeen):
            _log.debug("garbage collector: %s", error)
            self.queue.add_rate_limited(key)
        else:
            super()._failed(key, error)

    async def _attempt(self, node: Node) -> None:
        if node.deleting and not node.deleting_dependents:
            return  # on its way; its dependents come when it is gone
        resource, identity = self._monitors.resource(node.api_version, node.kind), node.identity
        if resource.namespaced and not node.namespace:
            return  # a cluster-scoped object named a namespaced owner: nothing that a retry would change
        latest = await self._live(resource, node.name, node.namespace)
        if latest is None or latest.metadata.uid != node.uid:
            self._do(self.graph.vanished(identity))
            return
        if node.deleting_dependents:
            await self._delete_dependents(resource, node)
        elif latest.metadata.owner_references:
            refs = await self._classify(node, latest.metadata.owner_references)
            if refs is not None:
                await self._carry_out(resource, node, latest, plan(node, latest, refs))
        if node.virtual:
            raise NotSeen(f"{node} was not seen by a watch yet")

    async def _live(self, resource: Resource, name: str, namespace: str) -> Partial | None:
        try:
            return await self._metadata.get(resource, name, namespace if resource.namespaced else "")
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    async def _classify(self, node: Node, owners: Sequence[Owner]) -> References | None:
        """None where a reference can never be right."""
        refs = References()
        for owner in owners:
            named = Identity(owner.api_version, owner.kind, "", owner.name, owner.uid)
            if named in self.graph.absent or named._replace(namespace=node.namespace) in self.graph.absent:
                refs.dangling.append(owner)
                continue
            resource = self._monitors.resource(owner.api_version, owner.kind)
            if resource.namespaced and not node.namespace:
                return None
            live = await self._live(resource, owner.name, node.namespace)
            if live is None or live.metadata.uid != owner.uid:
                self.graph.absent.add(named._replace(namespace=node.namespace if resource.namespaced else ""))
                refs.dangling.append(owner)
            elif live.deleting and live.finalized_by(FOREGROUND):
                refs.waiting.append(owner)
            else:
                refs.solid.append(owner)
        return refs

    async def _carry_out(
        self, resource: Resource, node: Node, latest: Partial, action: Release | Delete | None
    ) -> None:
        if isinstance(action, Release):
            await self._release(resource, node, action.uids)
        elif isinstance(action, Delete):
            if action.unblock:
                await self._unblock(resource, node)
            meta = latest.metadata
            try:
                await self._metadata.delete(
                    resource,
                    meta.name,
                    meta.namespace,
                    uid=meta.uid,
                    resource_version="" if action.unblock else meta.resource_version,
                    propagation=action.propagation,
                )
            except StatusError as error:
                if error.code != 404:
                    raise

    async def _delete_dependents(self, resource: Resource, node: Node) -> None:
        blocking = node.blocking()
        if not blocking:
            await self._remove_finalizer(resource, node, FOREGROUND)
        for dependent in blocking:
            if not dependent.deleting_dependents:
                self.queue.add(("delete", dependent))

    async def _orphan(self, owner: Node) -> None:
        async def release(dependent: Node) -> None:
            try:
                resource = self._monitors.resource(dependent.api_version, dependent.kind)
                await self._release(resource, dependent, [owner.uid])
            except StatusError as error:
                if error.code not in (404, 422):  # gone, or another of its name
                    raise

        results = await asyncio.gather(*map(release, list(owner.dependents or ())), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            raise errors[0]
        await self._remove_finalizer(self._monitors.resource(owner.api_version, owner.kind), owner, ORPHAN)

    async def _release(self, resource: Resource, node: Node, owners: Sequence[str]) -> None:
        if await self._patched(resource, node, release_patch(node.uid, owners)):
            return
        latest = await self._live(resource, node.name, node.namespace)
        if latest is not None and latest.metadata.uid == node.uid:
            remaining = [self._full(o) for o in latest.metadata.owner_references or () if o.uid not in owners]
            await self._merge(resource, latest, {"ownerReferences": remaining})

    async def _unblock(self, resource: Resource, node: Node) -> None:
        """A circle: nobody may wait for this one any longer."""
        blocking = [owner for owner in node.owners if owner.block_owner_deletion]
        change = [{**reference(owner), "blockOwnerDeletion": False} for owner in blocking]
        if await self._patched(resource, node, {"metadata": {"ownerReferences": change, "uid": node.uid}}):
            return
        latest = await self._live(resource, node.name, node.namespace)
        if latest is not None and latest.metadata.uid == node.uid:
            unblocked = [{**self._full(o), "blockOwnerDeletion": False} for o in latest.metadata.owner_references or ()]
            await self._merge(resource, latest, {"ownerReferences": unblocked})

    @staticmethod
    def _full(owner: Owner) -> dict[str, Any]:
        """As JSON with everything that was in it."""
        full = reference(owner)
        if owner.block_owner_deletion is not None:
            full["blockOwnerDeletion"] = owner.block_owner_deletion
        if owner.controller is not None:
            full["controller"] = owner.controller
        return full

    async def _patched(self, resource: Resource, node: Node, patch: Any) -> bool:
        """False where the resource, a custom one, takes no strategic merge patches."""
        namespace = node.namespace if resource.namespaced else ""
        try:
            await self._metadata.patch(resource, node.name, namespace, patch, type="strategic")
        except StatusError as error:
            if error.code == 415:
                return False
            raise
        return True

    async def _merge(self, resource: Resource, latest: Partial, change: dict[str, Any]) -> None:
        meta = latest.metadata
        patch = {"metadata": {**change, "resourceVersion": meta.resource_version}}
        await self._metadata.patch(resource, meta.name, meta.namespace, patch)

    async def _remove_finalizer(self, resource: Resource, node: Node, finalizer: str) -> None:
        async def write(latest: Partial | None) -> None:
            if latest is None or latest.metadata.uid != node.uid or not latest.finalized_by(finalizer):
                return
            remaining = [name for name in latest.metadata.finalizers or () if name != finalizer]
            await self._merge(resource, latest, {"finalizers": remaining})

        async def read() -> Partial | None:
            return await self._live(resource, node.name, node.namespace)

        try:
            await retry_on_conflict(write, await read(), read, self.context.clock)
        except StatusError as error:
            if error.code != 404:
                raise
