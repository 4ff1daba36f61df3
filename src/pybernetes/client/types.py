"""The interfaces that parts use; `rest` and `informer` implement them over HTTP, `memory` without a server.

Objects are the typed ones of `pybernetes.api.types`; a class (core_v1.Pod) names its resource. Errors are
`api.errors.StatusError` (the server refused), `ConnectionError` (no answer) and `TimeoutError` (none in time: whether the server has
done what was asked is not known).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from pybernetes.api.types import meta_v1


class Meta(Protocol):
    """The part of metadata by which a cache knows an object."""

    @property
    def namespace(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def uid(self) -> str: ...

    @property
    def resource_version(self) -> str: ...


class Identified(Protocol):
    """What an informer can keep: a whole object, or what a transform has left of one."""

    @property
    def metadata(self) -> Meta: ...


class Object(Protocol):
    """A typed object of a built-in kind."""

    api_version: str
    kind: str
    metadata: meta_v1.ObjectMeta


T = TypeVar("T", bound=Object)
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T_co]):
    """One change; a DELETED event holds the object's last state."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: T_co


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a watch has come without there being anything to tell."""

    resource_version: str


@dataclass(frozen=True, slots=True)
class ObjectList(Generic[T_co]):
    """The items of a list and the resource version to watch from."""

    items: Sequence[T_co]
    resource_version: str
    continue_: str = ""  # where the next page begins; only what gives single pages has it


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list: at most `limit` objects (0: all) after `continue_`; of a resource version as lists take it."""

    resource_version: str = ""
    limit: int = 0
    continue_: str = ""


class Client(Protocol):
    """Typed access to every built-in resource. `namespace` is "" for cluster-scoped objects and for all namespaces."""

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        """The object; StatusError 404."""
        ...

    async def list(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> ObjectList[T]:
        """All objects, fetched in pages where they are many; with `resource_version` "0" as the server's cache has them."""
        ...

    async def list_page(
        self, kind: type[T], namespace: str, page: Page, *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList[T]:
        """One page of a list, for who need not have all of it at once. StatusError 410: its version is forgotten."""
        ...

    def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 0,
    ) -> AsyncIterator[WatchEvent[T] | Bookmark]:
        """Events after the resource version, bookmarks included, until the server ends the stream. StatusError 410: list again.

        There is no time-out between events; `timeout_seconds` asks the server for an end.
        """
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
        self, kind: type[Object], name: str, namespace: str, subresource: str, body: Any, result: type[R]
    ) -> R:
        """POST to pods/binding, serviceaccounts/token, pods/eviction; `body` and the answer are typed."""
        ...

    async def raw(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Any request, for what has no type here; StatusError on codes of 400 and more."""
        ...

    def watch_raw(
        self, path: str, headers: Mapping[str, str] | None = None, timeout_seconds: int = 0
    ) -> AsyncIterator[tuple[str, bytes]]:
        """(type, object's JSON) of each event of a watch path, for what has no type here; the seconds are those of the path."""
        ...

    async def close(self) -> None:
        """Closes the connections."""
        ...


class Handler(Protocol[T_contra]):
    """Told of every change, on the event loop, in order; must not block. `old` is None for an addition, `new` None for a deletion."""

    def __call__(self, old: T_contra | None, new: T_contra | None, /) -> None: ...


def present(old: R | None, new: R | None) -> R:
    """What a handler was told of: the object as it is now, or as it last was."""
    obj = new if new is not None else old
    if obj is None:
        raise ValueError("a handler is told of an object")
    return obj


class Lister(Protocol[T_co]):
    """What an informer knows now. Objects are shared: never change them, copy first (msgspec.structs.replace, copy.deepcopy)."""

    def get(self, name: str, namespace: str = "") -> T_co | None: ...

    def list(self, namespace: str = "") -> Sequence[T_co]: ...

    def by_index(self, index: str, key: str) -> Sequence[T_co]: ...


class Notifier(Protocol[T_co]):
    """Who tells of objects and their changes."""

    def add_handler(self, handler: Handler[T_co]) -> None:
        """Existing objects are told at once as additions."""
        ...

    @property
    def synced(self) -> bool:
        """Whether the first list has been told to all handlers."""
        ...


class Informer(Lister[T_co], Notifier[T_co], Protocol[T_co]):
    """A local copy of one resource, kept by list and watch."""

    def add_index(self, index: str, keys: Callable[[T_co], Iterable[str]]) -> None:
        """Objects by the keys that a function gives: pods by node name, by owner's uid."""
        ...


class Informers(Protocol):
    """One shared informer for each (kind, namespace, selectors)."""

    def informer(
        self, kind: type[T], namespace: str = "", *, field_selector: str = "", label_selector: str = ""
    ) -> Informer[T]:
        """Made at the first call; starts when `run` runs."""
        ...

    async def run(self) -> None:
        """Keeps all of them until cancelled."""
        ...

    async def wait_synced(self) -> None:
        """Returns when every informer asked for so far has synced."""
        ...
