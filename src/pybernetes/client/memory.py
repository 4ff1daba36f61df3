"""A client without a server: objects in a table, for tests of whatever is written against `client.types`.

It keeps what callers rely on: resource versions and conflicts, selectors, watches, patches, finalizers, graceful deletion of pods,
status apart from the rest. It knows no defaults, validation or admission: objects are as they were created.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api import errors, labels, types
from pybernetes.api.fieldselectors import FieldSelector, parse_field_selector
from pybernetes.api.patch import json_patch, merge_patch
from pybernetes.api.resources import plural
from pybernetes.api.strategicpatch import FieldMerge, strategic_merge_patch
from pybernetes.api.types import core_v1 as core

from . import memorypaths
from .informer import Cache
from .pager import in_pages
from .sliminformer import Kept, keep
from .types import Bookmark, Handler, Object, ObjectList, Page, WatchEvent, present

T = TypeVar("T", bound=Object)
R = TypeVar("R")
Slim = TypeVar("Slim")

Key = tuple[str, str]  # (namespace, name)
Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete"]
# Lists that strategic patches merge by a key, as upstream's types say; the others are replaced.
MERGE_KEYS = {"conditions": "type", "ownerReferences": "uid", "containers": "name", "initContainers": "name"}
MERGE_KEYS |= {"volumes": "name", "env": "name", "addresses": "type", "finalizers": ""}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; `body` is the object or patch."""

    verb: Verb
    kind: type[Any]
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    body: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PathRequest:
    """What was asked for by its path; the method of watches is WATCH."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Change:
    version: int
    old: Any | None
    new: Any | None


class _Table:
    """The objects of one kind and what has happened to them."""

    def __init__(self) -> None:
        self.objects: dict[Key, Any] = {}
        self.changes: list[_Change] = []
        self.forgotten = 0  # changes up to this version are no longer known
        self.bookmarked = 0  # watches have been told that they have seen all up to this version
        self.changed = asyncio.Event()
        self.watches = 0  # that are open


class _Schema:
    """How fields merge, told from their names."""

    def lookup(self, name: str) -> FieldMerge:
        key = MERGE_KEYS.get(name)
        return FieldMerge(self) if key is None else FieldMerge(self, "merge", key)


class MemoryClient:
    """See `client.types.Client`. What it gives and is given is copied.

    `requests` is what was asked, `paths` what was asked by path; `fail` has the next requests refused. `raw` gives `answers`, by
    (method, path), before it looks for objects.
    """

    def __init__(self, *objects: Object, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or RealClock()
        self._version = 0
        self._tables: dict[type[Any], _Table] = {}
        self._failures: list[tuple[Callable[[Request], bool], Exception]] = []
        self._listeners: list[tuple[type[Any], Callable[[_Change], None]]] = []
        self._changed = asyncio.Event()
        self.requests: list[Request] = []
        self.paths: list[PathRequest] = []
        self.answers: dict[tuple[str, str], bytes | Exception] = {}
        self.put(*objects)

    # --- for tests

    def put(self, *objects: Object) -> None:
        """The objects are there as they are given, status and all, without a request; in place of those of their names."""
        for obj in objects:
            old = self._table(type(obj)).objects.get((obj.metadata.namespace, obj.metadata.name))
            new = self._born(obj)
            if old is not None and not obj.metadata.uid:
                new.metadata.uid = old.metadata.uid
            self._put(old, new)

    def drop(self, *objects: Object) -> None:
        """The objects of these names are gone at once, without a request."""
        for obj in objects:
            self._put(self._found(type(obj), obj.metadata.name, obj.metadata.namespace), None)

    def fail(self, error: Exception, verb: Verb, kind: type[Any], times: int = 1) -> None:
        """The next requests of the verb for the kind raise the error."""
        self._failures += [(lambda r: r.verb == verb and r.kind is kind, error)] * times

    def forget(self, kind: type[Any]) -> None:
        """What has happened so far is forgotten: watches from before it end with 410."""
        table = self._table(kind)
        table.forgotten = self._version
        table.changes.clear()
        self._wake(table)

    def serve(self, *kinds: type[Any]) -> None:
        """Custom resources have their paths from the first object on; those of these kinds already without any."""
        for kind in kinds:
            self._table(kind)

    @property
    def watched(self) -> set[type[Any]]:
        """The kinds of which watches are open."""
        return {kind for kind, table in self._tables.items() if table.watches}

    def bookmark(self, kind: type[Any]) -> None:
        """Watches of the kind get a bookmark of the present version."""
        table = self._table(kind)
        table.bookmarked = self._version
        self._wake(table)

    def all(self, kind: type[T]) -> list[T]:
        """Every object, without a request."""
        return [_copy(obj) for obj in self._table(kind).objects.values()]

    def selected(
        self, kind: type[T], namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> list[T]:
        """Those that a list shows, in its order, without a request."""
        matches = _selection(namespace, label_selector, field_selector)
        return [_copy(obj) for _, obj in sorted(self._table(kind).objects.items()) if matches(obj)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when the condition holds; it is looked at after every change."""
        while not condition():
            await self._changed.wait()

    def asked(self, *verbs: Verb) -> list[Request]:
        """The requests of these verbs."""
        return [request for request in self.requests if request.verb in verbs]

    # --- reading

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        await self._note(Request("get", kind, namespace, name))
        return _copy(self._found(kind, name, namespace))

    async def list(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> ObjectList[T]:
        async def fetch(page: Page) -> ObjectList[T]:
            return await self.list_page(
                kind, namespace, page, label_selector=label_selector, field_selector=field_selector
            )

        return await in_pages(fetch, resource_version)

    async def list_page(
        self, kind: type[T], namespace: str, page: Page, *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList[T]:
        options = {"label_selector": label_selector, "field_selector": field_selector, "page": page}
        await self._note(Request("list", kind, namespace, options=options))
        selected = self.selected(kind, namespace, label_selector=label_selector, field_selector=field_selector)
        start = int(page.continue_ or 0)
        end = start + page.limit if page.limit else len(selected)
        return ObjectList(selected[start:end], str(self._version), str(end) if end < len(selected) else "")

    async def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 0,
    ) -> AsyncIterator[WatchEvent[T] | Bookmark]:
        options = {"label_selector": label_selector, "field_selector": field_selector}
        await self._note(Request("watch", kind, namespace, options=options))
        matches, table = _selection(namespace, label_selector, field_selector), self._table(kind)
        seen = marked = int(resource_version)
        table.watches += 1
        try:
            while True:
                if seen < table.forgotten:
                    raise errors.expired(f"too old resource version: {seen} ({table.forgotten})")
                changed = table.changed
                for change in [change for change in table.changes if change.version > seen]:
                    seen = change.version
                    event = _event(change, matches)
                    if event is not None:
                        yield event
                if marked < table.bookmarked:
                    marked = table.bookmarked
                    yield Bookmark(str(marked))
                await changed.wait()
        finally:
            table.watches -= 1

    # --- writing

    async def create(self, obj: T) -> T:
        meta = obj.metadata
        await self._note(Request("create", type(obj), meta.namespace, meta.name, body=_copy(obj)))
        born = self._born(obj)
        if (born.metadata.namespace, born.metadata.name) in self._table(type(obj)).objects:
            raise errors.already_exists(*_resource(type(obj)), born.metadata.name)
        stored: T = self._put(None, born)
        return _copy(stored)

    async def update(self, obj: T, subresource: str = "") -> T:
        meta = obj.metadata
        await self._note(Request("update", type(obj), meta.namespace, meta.name, subresource, _copy(obj)))
        old = self._found(type(obj), meta.name, meta.namespace)
        if meta.resource_version not in ("", old.metadata.resource_version):
            raise errors.conflict(*_resource(type(obj)), meta.name, "the object has been modified")
        return _copy(self._change(old, _copy(obj), subresource))

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
        await self._note(Request("patch", kind, namespace, name, subresource, patch, {"type": type}))
        old = self._found(kind, name, namespace)
        change, document = _plain(patch), _plain(old)
        if type == "json":
            patched = json_patch(document, change)
        elif type == "merge":
            patched = merge_patch(document, change)
        else:
            patched = strategic_merge_patch(document, change, _Schema())
        new = types.decode(types.encode(patched), kind)
        for own, given in (
            (old.metadata.uid, new.metadata.uid),
            (old.metadata.resource_version, new.metadata.resource_version),
        ):
            if own != given:
                raise errors.conflict(*_resource(kind), name, f"Precondition failed: {given} is not {own}")
        return _copy(self._change(old, new, subresource))

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
        options = {"uid": uid, "resource_version": resource_version, "propagation": propagation}
        options["grace_period_seconds"] = "" if grace_period_seconds is None else str(grace_period_seconds)
        await self._note(Request("delete", kind, namespace, name, options={k: v for k, v in options.items() if v}))
        old = self._found(kind, name, namespace)
        for own, given in ((old.metadata.uid, uid), (old.metadata.resource_version, resource_version)):
            if given not in ("", own):
                raise errors.conflict(*_resource(kind), name, f"Precondition failed: {given} is not {own}")
        self._end(old, _grace(old, grace_period_seconds))

    async def create_subresource(
        self, kind: type[Object], name: str, namespace: str, subresource: str, body: Any, result: type[R]
    ) -> R:
        """Binding and eviction of pods are done; of others only that they were asked for is known."""
        await self._note(Request("create", kind, namespace, name, subresource, body))
        old = self._found(kind, name, namespace)
        if isinstance(old, core.Pod) and subresource == "binding":
            if old.spec.node_name:
                raise errors.conflict("", "pods/binding", name, f"pod {name} is already assigned to a node")
            new = _copy(old)
            new.spec.node_name = body.target.name
            self._put(old, new)
        elif isinstance(old, core.Pod) and subresource == "eviction":
            self._end(old, _grace(old, None))
        return result()

    async def raw(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """One of `answers`, or what the path leads to: gets, lists, deletions and patches of objects by their paths.

        The latter are noted in `requests` too.
        """
        self.paths.append(PathRequest(method, path, body, headers or {}))
        answer = self.answers.get((method, path))
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        return await memorypaths.answer(self, method, memorypaths.place(path, self._tables), body, headers or {})

    async def watch_raw(
        self, path: str, headers: Mapping[str, str] | None = None, timeout_seconds: int = 0
    ) -> AsyncIterator[tuple[str, bytes]]:
        """The events of what the path leads to."""
        self.paths.append(PathRequest("WATCH", path, None, headers or {}))
        async for event in memorypaths.events(self, memorypaths.place(path, self._tables)):
            yield event

    async def close(self) -> None:
        """Nothing is open."""

    # --- how it is done

    async def _note(self, request: Request) -> None:
        self.requests.append(request)
        await asyncio.sleep(0)  # as over a network others get their turn
        for index, (matches, error) in enumerate(self._failures):
            if matches(request):
                del self._failures[index]
                raise error

    def _table(self, kind: type[Any]) -> _Table:
        return self._tables.setdefault(kind, _Table())

    def _found(self, kind: type[T], name: str, namespace: str) -> T:
        obj: T | None = self._table(kind).objects.get((namespace, name))
        if obj is None:
            raise errors.not_found(*_resource(kind), name)
        return obj

    def _born(self, obj: T) -> T:
        new = _copy(obj)
        meta, number = new.metadata, self._version + 1
        meta.name = meta.name or f"{meta.generate_name}{number:05x}"
        meta.uid = meta.uid or f"uid-{number}"
        meta.creation_timestamp = meta.creation_timestamp or self._clock.now().replace(microsecond=0)
        return new

    def _change(self, old: T, new: T, subresource: str) -> T:
        """The new state with what such a request may not change as it was."""
        meta = new.metadata
        meta.uid, meta.creation_timestamp = old.metadata.uid, old.metadata.creation_timestamp
        meta.deletion_timestamp = old.metadata.deletion_timestamp
        meta.deletion_grace_period_seconds = old.metadata.deletion_grace_period_seconds
        if subresource == "status":
            new = msgspec.structs.replace(old, status=new.status)  # type: ignore[type-var, attr-defined]  # it has one
        elif hasattr(new, "status"):
            new.status = _copy(old).status  # type: ignore[attr-defined]  # asked for just now
        if _plain(old) == {**_plain(new), "metadata": {**_plain(new)["metadata"], **_version(old)}}:
            return old
        if old.metadata.deletion_timestamp is not None and not new.metadata.finalizers and not _lingers(old):
            gone: T = self._put(old, None)
            return gone
        put: T = self._put(old, _copy(new))
        return put

    def _end(self, old: Object, grace: int) -> None:
        if not old.metadata.finalizers and not grace:
            self._put(old, None)
            return
        new = _copy(old)
        new.metadata.deletion_timestamp = old.metadata.deletion_timestamp or self._clock.now().replace(microsecond=0)
        new.metadata.deletion_grace_period_seconds = grace
        self._put(old, new)

    def _put(self, old: T | None, new: T | None) -> Any:
        """Stores, or removes where `new` is None; what was stored, or last was there."""
        there = present(old, new)
        table, key = self._table(type(there)), (there.metadata.namespace, there.metadata.name)
        self._version += 1
        last = _copy(there)
        last.metadata.resource_version = str(self._version)
        if new is None:
            del table.objects[key]
            change = _Change(self._version, last, None)
        else:
            table.objects[key] = last
            change = _Change(self._version, old, last)
        table.changes.append(change)
        self._wake(table)
        for kind, listener in self._listeners:
            if kind is type(there):
                listener(change)
        return last

    def _wake(self, table: _Table) -> None:
        for event in (table.changed, self._changed):
            event.set()
        table.changed, self._changed = asyncio.Event(), asyncio.Event()

    def _listen(self, kind: type[T], cache: Cache[T], matches: Callable[[Any], bool]) -> None:
        """Keeps a cache as the objects are, from now on and at once."""
        cache.replace([_copy(obj) for obj in self._table(kind).objects.values() if matches(obj)])

        def tell(change: _Change) -> None:
            event = _event(change, matches)
            if event is not None:
                cache.apply(event)

        self._listeners.append((kind, tell))


class MemoryInformers:
    """See `client.types.Informers`. They show what a MemoryClient has at once, and have always synced."""

    def __init__(self, client: MemoryClient) -> None:
        self._client = client
        self._caches: dict[tuple[Any, ...], Cache[Any]] = {}

    def informer(
        self, kind: type[T], namespace: str = "", *, field_selector: str = "", label_selector: str = ""
    ) -> Cache[T]:
        key = (kind, namespace, field_selector, label_selector)
        if key not in self._caches:
            self._caches[key] = Cache()
            self._client._listen(kind, self._caches[key], _selection(namespace, label_selector, field_selector))
        return self._caches[key]

    def watch(
        self,
        kind: type[T],
        transform: Callable[[T], Slim],
        handler: Handler[Kept[Slim]],
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        """As `SlimInformers`: the handler is told what the transform takes from every object."""

        def told(old: T | None, new: T | None) -> None:
            handler(
                keep(old, transform) if old is not None else None, keep(new, transform) if new is not None else None
            )

        self.informer(kind, label_selector=label_selector, field_selector=field_selector).add_handler(told)

    async def run(self) -> None:
        """Nothing has to be done."""
        await asyncio.Event().wait()

    async def wait_synced(self) -> None:
        """At once."""


def _copy(obj: T) -> T:
    return types.decode(types.encode(obj), type(obj))


def _plain(value: Any) -> Any:
    return msgspec.json.decode(types.encode(value))


def _version(obj: Object) -> dict[str, str]:
    return {"resourceVersion": obj.metadata.resource_version}


def _resource(kind: type[Any]) -> tuple[str, str]:
    blank = kind()
    group, slash, _ = blank.api_version.partition("/")
    return group if slash else "", plural(blank.kind)


def _grace(obj: Any, seconds: int | None) -> int:
    """How long a pod with a node takes; everything else goes at once."""
    if not isinstance(obj, core.Pod) or not obj.spec.node_name:
        return 0
    own = obj.spec.termination_grace_period_seconds
    return seconds if seconds is not None else own if own is not None else 30


def _lingers(obj: Object) -> bool:
    """Whether a kubelet has still to end it."""
    return bool(obj.metadata.deletion_grace_period_seconds)


def _selection(namespace: str, label_selector: str, field_selector: str) -> Callable[[Any], bool]:
    selector = labels.parse_selector(label_selector)
    fields = parse_field_selector(field_selector)

    def matches(obj: Any) -> bool:
        meta = obj.metadata
        if (namespace and meta.namespace != namespace) or not selector.matches(meta.labels):
            return False
        return not field_selector or fields.matches(_fields(obj, fields))

    return matches


def _fields(obj: Any, selector: FieldSelector) -> dict[str, str]:
    """The values of the fields that the selector names, "" for those that are not set."""
    document = _plain(obj)
    values: dict[str, str] = {}
    for requirement in selector.requirements:
        value: Any = document
        for part in requirement.field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        values[requirement.field] = "" if value is None else str(value)
    return values


def _event(change: _Change, matches: Callable[[Any], bool]) -> WatchEvent[Any] | None:
    """As a watch under selectors shows it: what comes to match is added, what no longer does is deleted."""
    before = change.old is not None and matches(change.old)
    if change.new is None:
        return WatchEvent("DELETED", _copy(change.old)) if before and change.old is not None else None
    after = matches(change.new)
    if after:
        return WatchEvent("MODIFIED" if before else "ADDED", _copy(change.new))
    return WatchEvent("DELETED", _copy(change.new)) if before else None
