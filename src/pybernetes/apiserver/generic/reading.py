"""Reads of one resource: get, list in pages, where a watch begins (upstream: registry/generic/registry/store.go, storage/cacher).

Objects that are stored as another group-version are read through its conversion, once at each revision of an object.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.gojson import escaped
from pybernetes.store.types import Compacted

from ..resource import Object, Resource
from ..schema import CompiledSchema, compiled
from . import typemeta
from .cache import Stored, WatchCache, Watcher
from .options import ListOptions, ListResult
from .paging import continued, expired, revision_of, token, too_large
from .selection import Selection, selector_predicate
from .typemeta import Kind

READ_SECONDS = 3.0  # that a read waits for a resource version still to come
Items = list[Stored]  # where a method called list hides the type
CHUNK = 500  # objects of an older revision that are looked at at once where a selector leaves some out
# Objects in their own version that are kept beyond the number of those there are, before all are forgotten.
SPARE = 4096

_encode = msgspec.json.Encoder().encode


def encode(obj: Object) -> bytes:
    """As stored: type and metadata first, no resource version."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    head = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}
    return escaped(_encode({**head, **{k: v for k, v in obj.items() if k not in head}}))


class ReadStore:
    """One resource. `get` and `list` give what is stored, in the resource's version."""

    def __init__(self, resource: Resource, cache: WatchCache) -> None:
        self.resource = resource
        self.cache = cache
        group, name, version = resource.stored_at
        self.prefix = cache.keys.resource(group, name)
        self._foreign = resource.custom or (group, version) != (resource.group, resource.version)
        self._head = _encode({"apiVersion": resource.api_version, "kind": resource.kind})[:-1] + b","
        self._read: dict[str, tuple[int, Stored]] = {}  # key -> (revision, as this version reads it)

    @property
    def schema(self) -> CompiledSchema:
        """Compiled at the first use."""
        return compiled(self.resource)

    def key(self, namespace: str, name: str) -> str:
        """Where an object is kept."""
        return f"{self.prefix}{namespace}/{name}" if self.resource.namespaced else f"{self.prefix}{name}"

    def _not_found(self, name: str) -> StatusError:
        return errors.not_found(self.resource.group, self.resource.name, name)

    def in_version(self, stored: Stored) -> Stored:
        """Another version's object as this resource's; read once at each of its revisions. What is its own stays as it is."""
        if self._is_own(stored):
            return stored
        known = self._read.get(stored.key)
        if known is not None and known[0] == stored.revision:
            return known[1]
        if len(self._read) > len(self.cache.resource(self.prefix).items) + SPARE:
            self._read.clear()
        read = Stored(stored.key, encode(self._own(stored.copy())), stored.revision)
        self._read[stored.key] = stored.revision, read
        return read

    def _is_own(self, stored: Stored) -> bool:
        return stored.head == self._head and not self._foreign

    def _own(self, obj: Object) -> Object:
        """One that was stored in another version, or as another kind once, when patches could."""
        return self.resource.from_storage(obj) if self._foreign else typemeta.renamed(Kind.of(self.resource), obj)

    @property
    def converts(self) -> bool:
        """Whether objects must be made ready (`convert`) before they are read in this version."""
        return False

    async def convert(self, stored: Iterable[Stored]) -> None:
        """Makes ready what `in_version` gives, where `converts` says that it takes time."""

    def get(self, namespace: str, name: str) -> Stored:
        """From the cache, which has every acknowledged write; StatusError 404."""
        stored = self.cache.resource(self.prefix).items.get(self.key(namespace, name))
        if stored is None:
            raise self._not_found(name)
        return self.in_version(stored)

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        """As of now, or where the resource version says otherwise as of then; in pages with `limit`."""
        predicate = selector_predicate(self.resource, options)
        prefix = f"{self.prefix}{namespace}/" if namespace else self.prefix
        revision, after = continued(options, prefix)
        if not revision and options.resource_version_match == "Exact":
            revision = revision_of(options.resource_version)
        if revision and revision < self.cache.resource(self.prefix).changed:
            return await self._list_at(prefix, revision, after, options, predicate)
        await self._not_older(options)
        found = self.cache.resource(self.prefix).range(prefix, after)
        if self.converts:
            found = list(found)
            await self.convert(found)
        items = [s for s in found if predicate(s)] if predicate else list(found)
        more = 0 < options.limit < len(items)
        result = self._page(items, revision or self.cache.revision, options.limit, prefix, more)
        if more and predicate is None:
            result.remaining = len(items) - options.limit
        return result

    def _page(self, items: Items, revision: int, limit: int, prefix: str, more: bool) -> ListResult:
        """At most `limit` of the objects, and where to go on if there are `more`."""
        result = ListResult(items, revision)
        if more:
            result.items = items[:limit]
            result.continue_ = token(revision, result.items[-1].key[len(prefix) :] + "\0")
        if self._foreign:
            result.items = [self.in_version(s) for s in result.items]
        return result

    async def _not_older(self, options: ListOptions) -> None:
        wanted = revision_of(options.resource_version)
        if wanted > self.cache.revision:
            try:
                async with self.cache.clock.timeout(READ_SECONDS):
                    await self.cache.wait(wanted)
            except TimeoutError:
                raise too_large(wanted, self.cache.revision) from None

    async def _list_at(
        self, prefix: str, revision: int, after: str, options: ListOptions, predicate: Selection | None
    ) -> ListResult:
        """A page of an older revision, from the store: it reads no more than the page, or than it takes to fill one.

        How much is left is not known then, and so not said.
        """
        limit, found, start, more = options.limit, list[Stored](), after, True
        while more and (not limit or len(found) <= limit):
            size = 0 if not limit else limit + 1 - len(found) if predicate is None else max(limit + 1, CHUNK)
            try:
                page = await self.cache.store.list(prefix, after=start, limit=size, revision=revision)
            except Compacted:
                raise expired(after[len(prefix) :] if options.continue_ else None) from None
            items = [Stored(item.key, item.value, item.mod_revision) for item in page.items]
            if self.converts:
                await self.convert(items)
            found += [s for s in items if predicate(s)] if predicate else items
            more = page.more and bool(items)
            start = items[-1].key if items else start
        return self._page(found, revision, limit, prefix, 0 < limit < len(found))

    def watch(self, options: ListOptions, selection: Selection | None = None) -> tuple[Watcher, int, bool]:
        """(changes, revision from which they are, whether the present objects come first as additions).

        Of the changes, those that cannot matter to the selection may be missing.
        """
        revision = revision_of(options.resource_version)
        initial = not revision if options.send_initial_events is None else options.send_initial_events
        start = self.cache.revision if initial else revision
        if start > self.cache.revision:
            raise too_large(start, self.cache.revision)
        changes = self.cache.resource(self.prefix)
        trigger = selection.trigger if selection else None
        if selection is None or trigger is None:
            return changes.watch(start), start, initial
        name, value = trigger
        return changes.watch(start, name, value, lambda stored: selection.seen(stored)[1].get(name, "")), start, initial
