"""The interfaces that parts use; `rest` and `informer` implement them over HTTP, `testing` in memory.

Objects are the typed ones of `pybernetes.api.types`; a class (core_v1.Pod) names its resource. Errors are
`api.errors.StatusError` (the server refused) and `ConnectionError` (no answer).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event; `object` is typed, but for BOOKMARK where only metadata.resource_version counts."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Any


@dataclass(frozen=True, slots=True)
class ObjectList:
    """The items of a list and the resource version to watch from."""

    items: list[Any]
    resource_version: str


class Client(Protocol):
    """Typed access to every built-in resource. `namespace` is "" for cluster-scoped objects and for all namespaces."""

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        """The object; StatusError 404."""
        ...

    async def list(
        self, kind: type[T], namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        """All objects, in pages where they are many."""
        ...

    def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Events after the resource version, bookmarks included, until the server ends the stream. StatusError 410: list again."""
        ...

    async def create(self, obj: T) -> T:
        """Creates; namespace and name are the object's own. StatusError 409 if it exists."""
        ...

    async def update(self, obj: T, subresource: str = "") -> T:
        """Replaces (subresource "status": the status only). StatusError 409 if it changed since it was read."""
        ...

    async def patch(
        self,
        kind: type[T],
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: Literal["merge", "strategic", "json"] = "merge",
        subresource: str = "",
    ) -> T:
        """Changes some fields; `patch` is JSON-like."""
        ...

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan", ""] = "",
    ) -> None:
        """Deletes, under preconditions where given. StatusError 404, 409."""
        ...

    async def create_subresource(
        self, kind: type[Any], name: str, namespace: str, subresource: str, body: Any, result: type[T]
    ) -> T:
        """POST to pods/binding, serviceaccounts/token, pods/eviction; `body` and the answer are typed."""
        ...

    async def raw(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Any request, for what has no type here; StatusError on codes of 400 and more."""
        ...

    def watch_raw(self, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[tuple[str, bytes]]:
        """(type, object's JSON) of each event of a watch path, for what has no type here."""
        ...

    async def close(self) -> None:
        """Closes the connections."""
        ...


class Handler(Protocol):
    """Told of every change, on the event loop, in order; must not block. `old` is None for an addition, `new` None for a deletion."""

    def __call__(self, old: Any | None, new: Any | None) -> None: ...


class Lister(Protocol):
    """What an informer knows now. Objects are shared: never change them, copy first (msgspec.structs.replace, copy.deepcopy)."""

    def get(self, name: str, namespace: str = "") -> Any | None: ...

    def list(self, namespace: str = "") -> Iterable[Any]: ...

    def by_index(self, index: str, key: str) -> Iterable[Any]: ...


class Informer(Lister, Protocol):
    """A local copy of one resource, kept by list and watch."""

    def add_handler(self, handler: Handler) -> None:
        """Existing objects are told at once as additions."""
        ...

    def add_index(self, index: str, keys: Callable[[Any], Iterable[str]]) -> None:
        """Objects by the keys that a function gives: pods by node name, by owner's uid."""
        ...

    @property
    def synced(self) -> bool:
        """Whether the first list has been told to all handlers."""
        ...


class Informers(Protocol):
    """One shared informer for each (kind, namespace, selectors)."""

    def informer(
        self, kind: type[Any], namespace: str = "", *, field_selector: str = "", label_selector: str = ""
    ) -> Informer:
        """Made at the first call; starts when `run` runs."""
        ...

    async def run(self) -> None:
        """Keeps all of them until cancelled."""
        ...

    async def wait_synced(self) -> None:
        """Returns when every informer asked for so far has synced."""
        ...
