"""An APIService for each group-version of custom resources (upstream: pkg/controlplane/controller/crdregistration).

They have no part in answering.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set

from pybernetes.aio.ending import end
from pybernetes.api.errors import StatusError

from ..generic.options import DeleteOptions, WriteOptions
from ..generic.store import GenericStore
from ..kinds.apiregistration import apiservice, priorities

_log = logging.getLogger(__name__)

AUTOMANAGED = "true"
RETRY_SECONDS = 1.0  # after a write that failed

GroupVersion = tuple[str, str]


class Registrations:
    """Keeps the APIServices to the group-versions that are served, one write after the other."""

    def __init__(self, store: GenericStore) -> None:
        self._store = store
        self._served: Set[GroupVersion] = frozenset()
        self._registered: set[GroupVersion] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follows what `serve` says."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """What is registered stays."""
        await end(self._task)

    def serve(self, served: Set[GroupVersion]) -> None:
        """All group-versions of custom resources, from now on."""
        self._served = served
        self._changed.set()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for group, version in sorted(self._served ^ self._registered):
                try:
                    await self._register(group, version)
                except Exception:  # the others need not wait for it
                    _log.exception("the APIService %s.%s is not written; it is tried again", version, group)
                    self._store.cache.clock.call_later(RETRY_SECONDS, self._changed.set)

    async def _register(self, group: str, version: str) -> None:
        served = (group, version) in self._served
        await register(self._store, group, version, served)
        if served:
            self._registered.add((group, version))
        else:
            self._registered.discard((group, version))


async def register(store: GenericStore, group: str, version: str, served: bool) -> None:
    """Makes it, or takes away what this server made."""
    name = f"{version}.{group}"
    stored = store.cache.resource(store.prefix).items.get(store.key("", name))
    if served and stored is None:
        await _make(store, group, version)
    elif not served and stored is not None:
        labels = stored.peek()["metadata"].get("labels") or {}
        if labels.get(apiservice.AUTOMANAGED) == AUTOMANAGED:
            await store.delete("", name, DeleteOptions(admission=False))


async def _make(store: GenericStore, group: str, version: str) -> None:
    local = apiservice.local(group, version, priorities.CUSTOM_GROUP, priorities.CUSTOM_VERSION, store.now_text())
    local["metadata"]["labels"] = {apiservice.AUTOMANAGED: AUTOMANAGED}
    plain, _ = store.schema.normalize(local)
    try:
        created = await store.create(plain, "", WriteOptions(admission=False))
        status = WriteOptions(admission=False)
        await store.update("", created["metadata"]["name"], {**created, "status": local["status"]}, status, "status")
    except StatusError as error:
        if error.code not in (404, 409):  # another server was faster
            raise
