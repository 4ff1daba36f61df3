"""Reflectors and shared informers (client-go/tools/cache)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.aio.ending import end
from pybernetes.api.errors import StatusError

from .types import Bookmark, Client, Handler, Identified, Object, ObjectList, WatchEvent

_log = logging.getLogger(__name__)

START_BACKOFF = 0.05  # before the first list: parts and their API server start together
FIRST_BACKOFF = 0.8  # seconds; client-go's reflector: doubling to 30 s with jitter
MAX_BACKOFF = 30.0
WATCH_SECONDS = (300, 600)  # a watch is asked to end somewhere between, so that load balancers stay balanced

Key = tuple[str, str]  # (namespace, name)
Item = TypeVar("Item", bound=Identified)
Item_co = TypeVar("Item_co", bound=Identified, covariant=True)
Item_contra = TypeVar("Item_contra", bound=Identified, contravariant=True)
Obj = TypeVar("Obj", bound=Object)


class ListWatch(Protocol[Item_co]):
    """Where a reflector's objects come from: one resource, in one namespace or all, under selectors."""

    @property
    def title(self) -> str:
        """What the log calls it."""
        ...

    async def list(self, resource_version: str) -> ObjectList[Item_co]:
        """All objects; of any version for "0", of the newest for ""."""
        ...

    def watch(self, resource_version: str, timeout_seconds: int) -> AsyncIterator[WatchEvent[Item_co] | Bookmark]:
        """What happened after the resource version; StatusError 410 where the server has forgotten."""
        ...


def title_of(kind: type[Object]) -> str:
    """Group-version and kind: `policy/v1 PodDisruptionBudget`."""
    blank = kind()
    return f"{blank.api_version} {blank.kind}"


class KindListWatch(Generic[Obj]):
    """The objects of a built-in kind."""

    def __init__(
        self, client: Client, kind: type[Obj], namespace: str = "", field_selector: str = "", label_selector: str = ""
    ) -> None:
        self._client, self._kind, self._namespace = client, kind, namespace
        self._field_selector, self._label_selector = field_selector, label_selector
        self.title = title_of(kind)

    async def list(self, resource_version: str) -> ObjectList[Obj]:
        return await self._client.list(
            self._kind,
            self._namespace,
            resource_version=resource_version,
            field_selector=self._field_selector,
            label_selector=self._label_selector,
        )

    def watch(self, resource_version: str, timeout_seconds: int) -> AsyncIterator[WatchEvent[Obj] | Bookmark]:
        return self._client.watch(
            self._kind,
            self._namespace,
            resource_version=resource_version,
            field_selector=self._field_selector,
            label_selector=self._label_selector,
            timeout_seconds=timeout_seconds,
        )


class Store(Protocol[Item_contra]):
    """What a reflector fills."""

    def replace(self, objects: Sequence[Item_contra], /) -> None:
        """What a list says is all there is."""
        ...

    def apply(self, event: WatchEvent[Item_contra], /) -> None:
        """One change after that."""
        ...


class Cache(Generic[Item]):
    """Objects by key and by indexes; tells handlers of every change."""

    def __init__(self) -> None:
        self._objects: dict[Key, Item] = {}
        self._namespaces: dict[str, dict[str, Item]] = {}
        self._indexers: dict[str, Callable[[Item], Iterable[str]]] = {}
        self._indexes: dict[str, dict[str, dict[Key, Item]]] = {}
        self._handlers: list[Handler[Item]] = []
        self.synced = False

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, name: str, namespace: str = "") -> Item | None:
        """One object."""
        return self._objects.get((namespace, name))

    def list(self, namespace: str = "") -> Sequence[Item]:
        """All, or those of a namespace."""
        return list(self._namespaces.get(namespace, {}).values()) if namespace else list(self._objects.values())

    def by_index(self, index: str, key: str) -> Sequence[Item]:
        """Objects that the index's function gave the key."""
        return list(self._indexes[index].get(key, {}).values())

    def add_handler(self, handler: Handler[Item]) -> None:
        """Existing objects are told at once as additions."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            self._call(handler, None, obj)

    def add_index(self, index: str, keys: Callable[[Item], Iterable[str]]) -> None:
        """A second index of the same name must be the same function: the first one stays."""
        if index in self._indexers:
            return
        self._indexers[index] = keys
        self._indexes[index] = {}
        for key, obj in self._objects.items():
            self._index(index, key, None, obj)

    def replace(self, objects: Iterable[Item]) -> None:
        """What a list says is all there is: differences are told as if they had been watched."""
        fresh = {(o.metadata.namespace, o.metadata.name): o for o in objects}
        for key in [k for k in self._objects if k not in fresh]:
            self.change(key, None)
        for key, obj in fresh.items():
            old = self._objects.get(key)
            if old is not None and old.metadata.uid != obj.metadata.uid:
                self.change(key, None)  # deleted and made again while nobody watched
            if old is None or old.metadata.resource_version != obj.metadata.resource_version:
                self.change(key, obj)
        self.synced = True

    def change(self, key: Key, new: Item | None) -> None:
        """Stores or removes one object and tells it."""
        old = self._objects.pop(key, None) if new is None else self._objects.get(key)
        if old is None and new is None:
            return
        namespace, name = key
        if new is None:
            members = self._namespaces[namespace]
            del members[name]
            if not members:
                del self._namespaces[namespace]
        else:
            self._objects[key] = new
            self._namespaces.setdefault(namespace, {})[name] = new
        for index in self._indexers:
            self._index(index, key, old, new)
        for handler in self._handlers:
            self._call(handler, old, new)

    def _index(self, index: str, key: Key, old: Item | None, new: Item | None) -> None:
        keys, table = self._indexers[index], self._indexes[index]
        for value in keys(old) if old is not None else ():
            bucket = table.get(value)
            if bucket is not None:
                bucket.pop(key, None)
                if not bucket:
                    del table[value]
        if new is None:
            return
        for value in keys(new):
            table.setdefault(value, {})[key] = new

    def apply(self, event: WatchEvent[Item]) -> None:
        """What a watch says."""
        meta = event.object.metadata
        self.change((meta.namespace, meta.name), None if event.type == "DELETED" else event.object)

    @staticmethod
    def _call(handler: Handler[Item], old: Item | None, new: Item | None) -> None:
        try:
            handler(old, new)
        except Exception:
            # One handler's mistake must not stop the news for all others.
            _log.exception("an event handler failed")


class Reflector(Generic[Item]):
    """Keeps a store as the server's objects are."""

    def __init__(self, source: ListWatch[Item], store: Store[Item], clock: Clock | None = None) -> None:
        self.title = source.title
        self._source, self._store, self._clock = source, store, clock or RealClock()
        self._listed = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether the store has been given a list."""
        return self._listed.is_set()

    async def run(self) -> None:
        """Lists, watches, resumes, lists again where the server has forgotten; until cancelled."""
        backoff = START_BACKOFF
        version: str | None = None
        first = "0"  # any version will do at the start; after a 410 the newest is wanted
        missing = False  # which is told once
        while True:
            try:
                if version is None:
                    listed = await self._source.list(first)
                    self._store.replace(listed.items)
                    self._listed.set()
                    missing = False
                    version = listed.resource_version
                    backoff = FIRST_BACKOFF
                async for event in self._source.watch(version, random.randint(*WATCH_SECONDS)):
                    version, missing = self._receive(event), False
                    backoff = FIRST_BACKOFF
                continue
            except StatusError as error:
                if error.code == 410:
                    version, first = None, ""
                    continue
                if error.code == 404:  # an older server, or one that was told not to
                    if not missing:
                        _log.warning("the server has no %s: who needs them waits until it has", self.title)
                    missing = True
                else:
                    _log.warning("list or watch of %s failed: %s", self.title, error)
            except (ConnectionError, TimeoutError) as error:
                _log.warning("list or watch of %s was cut off: %s", self.title, error)
            await self._clock.sleep(backoff * (1 + random.random()))
            backoff = min(backoff * 2, MAX_BACKOFF)

    def _receive(self, event: WatchEvent[Item] | Bookmark) -> str:
        if isinstance(event, Bookmark):
            return event.resource_version
        self._store.apply(event)
        return event.object.metadata.resource_version

    async def wait_synced(self) -> None:
        """Returns after the first list."""
        await self._listed.wait()


class SharedInformer(Cache[Item]):
    """See `client.types.Informer`; `run` keeps it."""

    def __init__(self, source: ListWatch[Item], clock: Clock | None = None) -> None:
        super().__init__()
        self._reflector = Reflector(source, self, clock)

    async def run(self) -> None:
        """See `Reflector.run`."""
        await self._reflector.run()

    async def wait_synced(self) -> None:
        """Returns after the first list."""
        await self._reflector.wait_synced()


class InformerFactory:
    """See `client.types.Informers`."""

    def __init__(self, client: Client, clock: Clock | None = None) -> None:
        self._client, self._clock = client, clock
        self._informers: dict[tuple[Any, ...], SharedInformer[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False
        self._failed: asyncio.Future[None] | None = None

    def informer(
        self, kind: type[Obj], namespace: str = "", *, field_selector: str = "", label_selector: str = ""
    ) -> SharedInformer[Obj]:
        key = (kind, namespace, field_selector, label_selector)
        shared = self._informers.get(key)
        if shared is None:
            source = KindListWatch(self._client, kind, namespace, field_selector, label_selector)
            shared = self._informers[key] = SharedInformer(source, self._clock)
            if self._running:
                self._start(shared)
        return shared

    async def run(self) -> None:
        self._running = True
        self._failed = asyncio.get_running_loop().create_future()
        try:
            for informer in list(self._informers.values()):
                self._start(informer)
            await self._failed
        finally:
            self._running = False
            await end(*self._tasks)

    def _start(self, informer: SharedInformer[Any]) -> None:
        task = asyncio.get_running_loop().create_task(informer.run())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def wait_synced(self) -> None:
        for informer in list(self._informers.values()):
            await informer.wait_synced()
