"""Follows the definitions: which names each gets, which records are served, whose instances end (upstream: apiextensions-apiserver
pkg/apiserver/customresource_handler.go, pkg/controller/{status,establish}).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pybernetes.aio import apart
from pybernetes.aio.ending import end
from pybernetes.api.errors import StatusError
from pybernetes.api.jsoncopy import json_copy

from ..generic.cache import Lagging, Watcher
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..resource import Object, Resource
from . import conditions, names, resources
from .apiservices import Registrations
from .finalizer import Finalizer

_log = logging.getLogger(__name__)

NAP_SECONDS = 3600.0
RETRY_SECONDS = 1.0


class Server(Protocol):
    """Who answers requests for custom resources."""

    def serve(self, definition: str, records: Sequence[Resource]) -> Sequence[Resource]:
        """From now on these are the definition's, in place of those before; none: nothing of it is served any more.

        Gives those that are served indeed: names of built-in resources are not given away.
        Watches of what was served before end, and nothing that was worked out from its objects is used again.
        """
        ...

    def store(self, record: Resource) -> GenericStore:
        """The verbs on a record that is served."""
        ...


class Asker(Protocol):
    """Asks conversion webhooks."""

    async def call(self, config: Mapping[str, Any], body: bytes, seconds: int, /) -> Object:
        """See `conversion.Call`."""
        ...

    async def close(self) -> None:
        """Ends the connections to them."""
        ...


@dataclass(frozen=True)
class _Served:
    """Of one definition."""

    source: Any  # what of the definition the records were made from
    records: Sequence[Resource]  # that are served


class DefinitionController:
    """All definitions of one server."""

    def __init__(self, definitions: GenericStore, apiservices: GenericStore, server: Server, webhooks: Asker) -> None:
        """`definitions` and `apiservices` are where CustomResourceDefinitions and APIServices are kept."""
        self._store, self._server, self._webhooks = definitions, server, webhooks
        self._cache = definitions.cache
        self._definitions = self._cache.resource(definitions.prefix)
        self._registrations = Registrations(apiservices)
        self._finalizer = Finalizer(self._cache, self._stores, self._change_status)
        self._served: dict[str, _Served] = {}
        self._watcher: Watcher | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serves what is established; then follows."""
        self._watcher = self._definitions.watch(self._cache.revision)
        self._registrations.start()
        await self._sync_some({_name(key) for key in self._definitions.items})
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Ends its tasks; what is served stays."""
        await end(self._task)
        await self._finalizer.stop()
        await self._registrations.stop()
        if self._watcher is not None:
            self._watcher.end()
        await self._webhooks.close()

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
            self._watcher = self._definitions.watch(self._cache.revision)
            return {_name(key) for key in self._definitions.items} | self._served.keys()
        if self._watcher.ended and not changes:
            return None
        return {_name(one.key) for change in changes if (one := change.current or change.previous) is not None}

    def _all(self) -> list[Object]:
        return [stored.obj for stored in self._definitions.values]

    def _get(self, name: str) -> Object | None:
        stored = self._definitions.items.get(self._store.key("", name))
        return stored.obj if stored else None

    async def _sync_some(self, changed: set[str]) -> set[str]:
        """Brings what is served to what these definitions say; the names of those with which it did not go well."""
        for name in changed & self._served.keys():
            if self._get(name) is None:
                self._end(name)
        # A name that is free now may be what another waits for.
        changed = changed | {crd["metadata"]["name"] for crd in self._all() if _refused(crd)}
        failed: set[str] = set()
        definitions = [crd for name in changed if (crd := self._get(name)) is not None]
        for crd in sorted(definitions, key=_age):  # of two that want a name the first gets it
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
        decided = names.decided(crd, self._all(), self._store.now_text())
        await self._serve(name, decided)
        if decided["status"] != crd.get("status"):
            await self._change_status(name, lambda obj: obj.__setitem__("status", decided["status"]), crd)
        metadata = crd["metadata"]
        if metadata.get("deletionTimestamp") and conditions.FINALIZER in (metadata.get("finalizers") or ()):
            self._finalizer.finalize(name)

    async def _change_status(self, name: str, change: Callable[[Object], Any], seen: Object | None = None) -> None:
        """Through the subresource; StatusError 409 where another wrote after `seen`, again without one."""

        async def changed(old: Object) -> Object:
            change(old)
            if seen is not None:
                old["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"]
            return old

        options = WriteOptions(admission=False)
        await self._store.change("", name, _copied(changed), options, "status", patching=seen is None)

    # What is served.

    async def _serve(self, name: str, crd: Object) -> None:
        if not conditions.is_true(crd, "Established"):
            if name in self._served:
                self._end(name)
            return
        source = (crd["spec"], crd["status"]["acceptedNames"], conditions.is_true(crd, "Terminating"))
        before = self._served.get(name)
        if before is None or before.source != source:
            stored = self._definitions.items.get(self._store.key("", name))
            size = len(stored.tail) if stored else 0
            records = await apart.run(size, resources.records, crd, self._webhooks.call)
            self._served[name] = _Served(source, self._server.serve(name, records))
            self._register()

    def _end(self, name: str) -> None:
        del self._served[name]
        self._server.serve(name, ())
        self._register()

    def _register(self) -> None:
        self._registrations.serve({(r.group, r.version) for served in self._served.values() for r in served.records})

    def _stores(self, name: str) -> list[GenericStore]:
        """Where instances of a definition are kept; none where nothing of it is served."""
        served = self._served.get(name)
        return (
            [self._server.store(served.records[0])] if served and served.records else []
        )  # all versions are kept together


def _copied(change: Callable[[Object], Awaitable[Object]]) -> Callable[[Object], Awaitable[Object]]:
    """What is changed must not be what it is compared with."""
    return lambda old: change(json_copy(old))


def _age(crd: Object) -> tuple[bool, int]:
    """Established ones first, then the oldest."""
    return not conditions.is_true(crd, "Established"), int(crd["metadata"]["resourceVersion"])


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _refused(crd: Object) -> bool:
    accepted = conditions.find(crd, "NamesAccepted")
    return accepted is not None and accepted.get("status") == "False"
