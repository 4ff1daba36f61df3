"""Serves what definitions ask for: names, records, discovery, and the end of instances (upstream: apiextensions-apiserver
pkg/apiserver/customresource_handler.go, pkg/controller/{status,establish,finalizer}).
"""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pybernetes.api import times
from pybernetes.api.errors import StatusError

from ..endpoints.handlers import ResourceHandler
from ..generic.cache import Lagging, WatchCache, Watcher
from ..generic.options import DeleteOptions, WriteOptions
from ..generic.store import AuthorizeCreate, GenericStore
from ..resource import Object, Resource
from ..types import Admission
from . import conditions, names, resources
from .conversion import Call, WebhookForms
from .loader import DEFINITIONS
from .store import CustomStore

_log = logging.getLogger(__name__)

NAP_SECONDS = 3600.0
RETRY_SECONDS = 1.0
CHECK_SECONDS = 0.2  # between looks whether instances are gone
CHECKS_PER_ROUND = 300  # after which the deletion is tried anew

Key = tuple[str, str, str]  # group, version, resource


@dataclass(frozen=True)
class Host:
    """What the controller needs of the server."""

    cache: WatchCache
    definitions: GenericStore
    handlers: MutableMapping[Key, ResourceHandler]
    admission: Admission
    authorize_create: AuthorizeCreate
    now: Callable[[], datetime]
    serve: Callable[[Iterable[Resource]], None]  # tells discovery and OpenAPI what there is beside built-in kinds
    register: Callable[[str, str, bool], Coroutine[None, None, None]]  # (group, version, served): its APIService
    call: Call  # asks a conversion webhook
    close: Callable[[], Awaitable[None]]  # ends the connections to them


@dataclass(frozen=True)
class _Served:
    """Of one definition."""

    asked: Any  # what it was made from
    handlers: dict[Key, ResourceHandler]


class CustomResources:
    """All definitions of one server."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._definitions = host.cache.of(*DEFINITIONS)
        self._served: dict[str, _Served] = {}
        self._watcher: Watcher | None = None
        self._task: asyncio.Task[None] | None = None
        self._finalizing: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Serves what is established; then follows."""
        self._watcher = self._definitions.watch(self._host.cache.revision)
        await self._sync_some({_name(key) for key in self._definitions.items})
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Ends its tasks; what is served stays."""
        tasks = [task for task in (self._task, *self._finalizing.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._watcher is not None:
            self._watcher.end()
        await self._host.close()

    # Following the definitions.

    async def _follow(self) -> None:
        again: set[str] = set()
        while True:
            changed = await self._changes(RETRY_SECONDS if again else NAP_SECONDS)
            if changed is None:
                return
            again = await self._sync_some(changed | again)

    async def _changes(self, seconds: float) -> set[str] | None:
        """Names of what changed; None at the end."""
        assert self._watcher is not None, "started"
        try:
            changes = await self._watcher.batch(seconds)
        except Lagging:
            self._watcher = self._definitions.watch(self._host.cache.revision)
            return {_name(key) for key in self._definitions.items} | self._served.keys()
        if self._watcher.ended and not changes:
            return None
        return {_name(one.key) for change in changes if (one := change.current or change.previous) is not None}

    def _all(self) -> list[Object]:
        return [stored.obj for stored in self._definitions.values]

    def _get(self, name: str) -> Object | None:
        stored = self._definitions.items.get(self._definitions.prefix + name)
        return stored.obj if stored else None

    async def _sync_some(self, changed: set[str]) -> set[str]:
        """Brings what is served to what these definitions say; the names of those with which it did not go well."""
        for name in changed & self._served.keys():
            if self._get(name) is None:
                self._uninstall(name)
        # A name that is free now may be what another waits for.
        changed = changed | {crd["metadata"]["name"] for crd in self._all() if _refused(crd)}
        failed: set[str] = set()
        found = [crd for name in changed if (crd := self._get(name)) is not None]
        for crd in sorted(found, key=_age):  # of two that want a name the first gets it
            name = crd["metadata"]["name"]
            try:
                await self._sync(name)
            except StatusError as error:
                if error.code not in (404, 409):
                    _log.warning("definition %s: %s", name, error)
                failed.add(name)
            except Exception:  # one that cannot be served must not hold up the others
                _log.exception("definition %s", name)
        return failed

    async def _sync(self, name: str) -> None:
        crd = self._get(name)
        if crd is None:
            return
        wanted = names.decided(crd, self._all(), times.format_time(self._host.now()))
        self._install(name, wanted)
        if wanted["status"] != crd.get("status"):
            await self._write_status(name, lambda obj: obj.__setitem__("status", wanted["status"]), crd)
        metadata = crd["metadata"]
        if metadata.get("deletionTimestamp") and conditions.FINALIZER in (metadata.get("finalizers") or ()):
            self._finalize_soon(name)

    async def _write_status(self, name: str, change: Callable[[Object], Any], seen: Object | None = None) -> Object:
        """Through the subresource; StatusError 409 where another wrote after `seen`."""

        async def changed(old: Object) -> Object:
            change(old)
            if seen is not None:
                old["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"]
            return old

        store = self._host.definitions
        return await store.change("", name, _copied(changed), WriteOptions(admission=False), "status")

    # What is served.

    def _install(self, name: str, crd: Object) -> None:
        if not conditions.is_true(crd, "Established"):
            if name in self._served:
                self._uninstall(name)
            return
        terminating = conditions.is_true(crd, "Terminating")
        asked = (crd["spec"], crd["status"]["acceptedNames"], terminating)
        before = self._served.get(name)
        if before is not None and before.asked == asked:
            return
        records = resources.records(crd, self._forms(crd))
        made = {(r.group, r.version, r.name): self._handler(r, forms, terminating) for r, forms in records}
        gone = before.handlers.keys() - made.keys() if before else ()
        for key in gone:
            self._host.handlers.pop(key, None)
        self._host.handlers.update(made)
        self._served[name] = _Served(asked, made)
        self._changed(records[0][0] if records else None, watched=before is not None)
        self._register(made.keys(), gone)

    def _forms(self, crd: Object) -> resources.MakeForms | None:
        if (crd["spec"].get("conversion") or {}).get("strategy") != "Webhook":
            return None
        call = self._host.call
        return lambda spec, version, schemas: WebhookForms(spec, version, schemas, call)

    def _handler(self, resource: Resource, forms: resources.Forms, terminating: bool) -> ResourceHandler:
        host = self._host
        webhook = forms if isinstance(forms, WebhookForms) else None
        since = host.cache.revision
        store = CustomStore(resource, host.cache, host.admission, host.authorize_create, since, webhook)
        store.terminating = terminating
        return ResourceHandler(store, host.now)

    def _uninstall(self, name: str) -> None:
        served = self._served.pop(name)
        for key in served.handlers:
            self._host.handlers.pop(key, None)
        first = next(iter(served.handlers.values()), None)
        self._changed(first.resource if first else None, watched=True)
        self._register((), served.handlers.keys())

    def _changed(self, resource: Resource | None, watched: bool) -> None:
        """Discovery tells it; watches begin anew, and what was worked out from objects is forgotten."""
        listed = [self._served[name] for name in sorted(self._served)]
        self._host.serve([handler.resource for served in listed for handler in served.handlers.values()])
        if resource is None or not watched:
            return
        cache = self._host.cache.of(resource.group, resource.name)
        for stored in cache.values:
            stored.forget()
        cache.frames.forget()
        for watcher in tuple(cache.watchers):
            watcher.end()

    def _register(self, served: Iterable[Key], gone: Iterable[Key]) -> None:
        """APIServices of the group-versions; they have no part in answering."""
        left = {(group, version) for group, version, _ in self._host.handlers}
        loop = asyncio.get_running_loop()
        for group, version in {key[:2] for key in (*served, *gone)}:
            name = f"apiservice/{version}.{group}"
            task = loop.create_task(self._host.register(group, version, (group, version) in left))
            self._finalizing[name] = task
            task.add_done_callback(functools.partial(self._done, name))

    # The end of instances.

    def _finalize_soon(self, name: str) -> None:
        if name not in self._finalizing:
            task = asyncio.get_running_loop().create_task(self._finalize(name))
            self._finalizing[name] = task
            task.add_done_callback(functools.partial(self._done, name))

    def _done(self, name: str, task: asyncio.Task[None]) -> None:
        if self._finalizing.get(name) is task:
            del self._finalizing[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s: %s", name, error, exc_info=error)

    async def _finalize(self, name: str) -> None:
        """Deletes all instances, waits until they are gone, and lets the definition go."""
        message = "CustomResource deletion is in progress"
        try:
            await self._terminating(name, "True", "InstanceDeletionInProgress", message)
            while not await self._instances_gone(name):
                why = "could not confirm zero CustomResources remaining: timed out waiting for the condition"
                await self._terminating(name, "True", "InstanceDeletionCheck", why)
            await self._terminating(name, "False", "InstanceDeletionCompleted", "removed all instances")
            await self._write_status(name, _let_go)
        except StatusError as error:
            if error.code != 404:
                raise

    async def _terminating(self, name: str, status: str, reason: str, message: str) -> None:
        now = times.format_time(self._host.now())
        await self._write_status(name, lambda crd: conditions.put(crd, "Terminating", status, reason, message, now))

    async def _instances_gone(self, name: str) -> bool:
        served = self._served.get(name)
        if served is None or not served.handlers:
            return True
        handlers = {handler.store.prefix: handler for handler in served.handlers.values()}
        for prefix, handler in handlers.items():
            for stored in list(self._host.cache.resource(prefix).values):
                metadata = stored.peek()["metadata"]
                await self._delete(handler.store, metadata)
        for _ in range(CHECKS_PER_ROUND):
            if not any(self._host.cache.resource(prefix).items for prefix in handlers):
                return True
            await self._host.cache.clock.sleep(CHECK_SECONDS)
        return False

    @staticmethod
    async def _delete(store: GenericStore, metadata: Object) -> None:
        try:
            await store.delete(metadata.get("namespace", ""), metadata["name"], DeleteOptions())
        except StatusError as error:
            if error.code != 404:
                _log.warning("instance %s of %s: %s", metadata["name"], store.resource.name, error)


def _copied(change: Callable[[Object], Awaitable[Object]]) -> Callable[[Object], Awaitable[Object]]:
    """What is changed must not be what it is compared with."""
    return lambda old: change(copy.deepcopy(old))


def _let_go(crd: Object) -> None:
    metadata = crd["metadata"]
    metadata["finalizers"] = [one for one in metadata.get("finalizers") or () if one != conditions.FINALIZER]


def _age(crd: Object) -> tuple[bool, int]:
    """Established ones first, then the oldest."""
    return not conditions.is_true(crd, "Established"), int(crd["metadata"]["resourceVersion"])


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _refused(crd: Object) -> bool:
    accepted = conditions.find(crd, "NamesAccepted")
    return accepted is not None and accepted.get("status") == "False"
