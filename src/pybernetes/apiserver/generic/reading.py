"""Reads of one resource: get, list in pages, where a watch begins (upstream: registry/generic/registry/store.go, storage/cacher).

Objects that are stored as another version are read through the kind's conversions, once at each revision of an object.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterable

import msgspec

from pybernetes.aio import apart
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.gojson import escaped
from pybernetes.store.types import Compacted, StoreError

from .. import pieces
from ..resource import Object, Resource
from ..schema import CompiledSchema, compiled
from . import typemeta
from .cache import Stored, TooOld, WatchCache, Watcher
from .options import ListOptions, ListResult
from .paging import continued, expired, revision_of, revision_read, token, too_large
from .selection import Selection, selector_predicate
from .typemeta import Kind

READ_SECONDS = 3.0  # that a read waits for a resource version still to come
Items = list[Stored]  # where a method called list hides the type
SEEN_BYTES = 16  # as which an object counts whose labels are looked at: of some hundreds that takes milliseconds
PIECE = 200  # objects that are converted at a time: some milliseconds
CHUNK = 500  # objects of an older revision that are looked at at once where a selector leaves some out

_encode = msgspec.json.Encoder().encode


class TooLong(Exception):
    """Of an object that has more bytes than are stored."""


def encode(obj: Object, size: int = 0, most: int = 0) -> bytes:
    """As stored: type and metadata first, no resource version.

    `size`: of the body that it was made of; TooLong, before all of it is written, where it has more than `most` bytes.
    """
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    head = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}
    whole = {**head, **{k: v for k, v in obj.items() if k not in head}}
    if size < pieces.LARGE:
        written = [escaped(_encode(whole))]
        length = len(written[0])
    else:
        written, length = [], 0
        for piece in pieces.encode(whole):
            written.append(escaped(piece))
            length += len(written[-1])
            if length > most > 0:
                break
    if length > most > 0:
        raise TooLong
    return b"".join(written)


class ReadStore:
    """One resource. `get` and `list` give what is stored, in the resource's version."""

    def __init__(self, resource: Resource, cache: WatchCache, since: int = 0) -> None:
        """`since`: what was written up to this revision may have been written under another definition."""
        self.resource = resource
        self.cache = cache
        self.prefix = cache.keys.resource(*resource.stored_at[:2])
        self._conversions, self._since = resource.conversions, since
        # Whether objects must be made `ready` before they are read, for another server converts them.
        self.waits = self._conversions is not None and self._conversions.waits
        self._head = _encode({"apiVersion": resource.api_version, "kind": resource.kind})[:-1] + b","

    @functools.cached_property
    def schema(self) -> CompiledSchema:
        """Compiled at the first use."""
        return compiled(self.resource)

    def key(self, namespace: str, name: str) -> str:
        """Where an object is kept."""
        # Not as `keys.of`: what is in a namespace has no key without one, whatever its name says.
        return f"{self.prefix}{namespace}/{name}" if self.resource.namespaced else f"{self.prefix}{name}"

    def _not_found(self, name: str) -> StatusError:
        return errors.not_found(self.resource.group, self.resource.name, name)

    def in_version(self, stored: Stored) -> Stored:
        """Another version's object as this resource's; read once at each of its revisions. What is its own stays as it is.

        StatusError 500 where another server would have to be asked: see `ready`.
        """
        if self._is_own(stored):
            return stored
        form = stored.form(self.resource)
        if form is not None:
            return form
        obj, conversions = self._defaulted(stored), self._conversions
        if conversions is not None:
            obj = conversions.converted(obj, self.resource.api_version)
        return stored.keep_form(self.resource, encode(obj))

    async def ready(self, items: Iterable[Stored]) -> None:
        """Converts all that are in another version, whoever must be asked for it; others have their turn between some and some."""
        conversions = self._conversions
        if conversions is None:
            return
        missing = [s for s in items if not self._is_own(s) and s.form(self.resource) is None]
        for start in range(0, len(missing), PIECE):
            if start:
                await asyncio.sleep(0)
            piece = missing[start : start + PIECE]
            objects = [self._defaulted(stored) for stored in piece]
            read = await conversions.convert(objects, self.resource.api_version)
            for stored, obj in zip(piece, read, strict=True):
                stored.keep_form(self.resource, encode(obj))

    def _is_own(self, stored: Stored) -> bool:
        return stored.head == self._head and stored.revision > self._since

    def _defaulted(self, stored: Stored) -> Object:
        """A private copy with today's defaults of the version that it was stored in.

        What has another kind was stored when patches could change it, or under a definition that named it otherwise.
        """
        obj, conversions = stored.copy(), self._conversions
        if conversions is None:
            return typemeta.renamed(Kind.of(self.resource), obj)
        obj["kind"] = self.resource.kind
        if obj["apiVersion"] not in conversions.versions:
            obj["apiVersion"] = conversions.hub
        conversions.default(obj)
        return obj

    def get(self, namespace: str, name: str) -> Stored:
        """From the cache, which has every acknowledged write; StatusError 404."""
        stored = self.cache.resource(self.prefix).items.get(self.key(namespace, name))
        if stored is None:
            raise self._not_found(name)
        return self.in_version(stored)

    async def read(self, namespace: str, name: str) -> Stored:
        """As `get`, whoever must be asked for it."""
        if not self.waits:
            return self.get(namespace, name)
        stored = self.cache.resource(self.prefix).items.get(self.key(namespace, name))
        if stored is None:
            raise self._not_found(name)
        await self.ready([stored])
        return self.in_version(stored)  # of what was there before: another one may be now, and is not ready

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        """As of now, or where the resource version says otherwise as of then; in pages with `limit`."""
        predicate = await apart.run(options.selector_bytes, selector_predicate, self.resource, options)
        prefix = f"{self.prefix}{namespace}/" if namespace else self.prefix
        revision, after = continued(options, prefix)
        if not options.continue_ and self._exact(options):
            revision = revision_of(options.resource_version)
        if revision and revision < self.cache.resource(self.prefix).changed:
            return await self._list_at(prefix, revision, after, options, predicate)
        await self.not_older(max(revision, revision_of(options.resource_version)))
        page, now = self.cache.resource(self.prefix).range(prefix, after), self.cache.revision
        items = await self._selected(page, predicate)
        # Whatever revision will do: the cache has it all, and it is given whole (upstream: cacher's computeListLimit).
        limit = 0 if options.resource_version == "0" else options.limit
        more = 0 < limit < len(items)
        result = await self._page(items, revision or now, limit, prefix, more)
        if more and predicate is None:
            result.remaining = len(items) - limit
        return result

    async def _selected(self, candidates: Iterable[Stored], predicate: Selection | None) -> Items:
        """Those that the predicate wants, as they are stored."""
        items = list(candidates)
        if predicate is None:
            return items
        if self._conversions is None:
            return await apart.run(len(items) * SEEN_BYTES, lambda: [s for s in items if predicate(s)])
        await self.ready(items)
        return await apart.run(len(items) * SEEN_BYTES, lambda: [s for s in items if predicate(self.in_version(s))])

    async def _page(self, items: Items, revision: int, limit: int, prefix: str, more: bool) -> ListResult:
        """At most `limit` of the objects, and where to go on if there are `more`."""
        result = ListResult(items, revision)
        if more:
            result.items = items[:limit]
            result.continue_ = token(revision, result.items[-1].key[len(prefix) :] + "\0")
        if self._conversions is not None:
            await self.ready(result.items)
            result.items = [self.in_version(s) for s in result.items]
        return result

    @staticmethod
    def _exact(options: ListOptions) -> bool:
        """Whether the list is to be as of its resource version; so are pages for which nobody says otherwise."""
        return options.resource_version_match == "Exact" or (not options.resource_version_match and options.limit > 0)

    async def not_older(self, revision: int) -> None:
        """Waits until what is read is no older; StatusError 504 where that takes too long."""
        if revision > self.cache.revision:
            try:
                async with self.cache.clock.timeout(READ_SECONDS):
                    await self.cache.wait(revision)
            except TimeoutError:
                raise too_large(revision, self.cache.revision) from None

    async def not_lost(self, revision: int) -> None:
        """TooOld where a watch would go on from what the store has had before it was restored, and has no more.

        It would be told nothing of what happens until the store has come that far again. Another server may be ahead of this one, so the
        store is asked; while that does not answer nobody knows, and the watch begins.
        """
        if revision > self.cache.revision:
            with contextlib.suppress(StoreError):
                if await self.cache.store.revision() < revision:
                    raise TooOld(self.cache.revision)

    async def _list_at(
        self, prefix: str, revision: int, after: str, options: ListOptions, predicate: Selection | None
    ) -> ListResult:
        """A page of an older revision, from the store: it reads no more than the page, or than it takes to fill one.

        How much is left is said where the changes since then are still known.
        """
        limit, selected, start, more = options.limit, list[Stored](), after, True
        while more and (not limit or len(selected) <= limit):
            size = 0 if not limit else limit + 1 - len(selected) if predicate is None else max(limit + 1, CHUNK)
            try:
                page = await self.cache.store.list(prefix, after=start, limit=size, revision=revision)
            except Compacted:
                raise expired(after[len(prefix) :] if options.continue_ else None) from None
            items = [Stored(item.key, item.value, item.mod_revision) for item in page.items]
            selected += await self._selected(items, predicate)
            more = page.more and bool(items)
            start = items[-1].key if items else start
        more = 0 < limit < len(selected)
        result = await self._page(selected, revision, limit, prefix, more)
        if more and predicate is None:
            last = result.items[-1].key
            result.remaining = self.cache.resource(self.prefix).count_at(revision, prefix, last)
        return result

    def watch(self, options: ListOptions, selection: Selection | None = None) -> tuple[Watcher, int, bool]:
        """(changes, revision from which they are, whether the present objects come first as additions).

        Of the changes, those that cannot matter to the selection may be missing.
        """
        revision = revision_read(options.resource_version)
        initial = not revision if options.send_initial_events is None else options.send_initial_events
        start = revision if revision and not initial else self.cache.revision
        changes = self.cache.resource(self.prefix)
        trigger = selection.trigger if selection and not self.waits else None
        if selection is None or trigger is None:
            return changes.watch(start), start, initial
        name, value = trigger

        def read(stored: Stored) -> str | None:
            try:
                return selection.seen(self.in_version(stored))[1].get(name, "")
            except Exception:  # who watches reads it again, and fails alone
                return None

        return changes.watch(start, (self.resource.api_version, name), value, read), start, initial
