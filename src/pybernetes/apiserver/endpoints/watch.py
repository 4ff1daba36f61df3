"""Watches over HTTP: events as lines of JSON (upstream: apiserver/pkg/endpoints/handlers/watch.go).

An event is encoded once for each form, whoever many watch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec

from pybernetes.wire.http import BodyWriter

from ..flowcontrol import initialization
from ..generic.cache import Change, Stored, Watcher
from ..generic.options import ListOptions
from ..generic.reading import ReadStore, encode
from ..resource import Object
from . import packing, tables
from .negotiate import PROTOBUF, Accepted

BOOKMARK_SECONDS = 60.0
PIECE = 16 << 10  # bytes of events that are joined, about
DEFAULT_WATCH_SECONDS = 1800
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

_encode = msgspec.json.Encoder().encode


async def produce(
    writer: BodyWriter, watcher: Watcher, frames: Frames, options: ListOptions, revision: int, initial: bool
) -> None:
    """Writes events until the time is up or the watcher ends. Lagging where the client is too slow."""
    cache, monotonic = frames.store.cache, frames.store.cache.clock.monotonic
    end = monotonic() + (options.timeout_seconds or DEFAULT_WATCH_SECONDS)
    if initial:
        present = cache.resource(frames.store.prefix).range(frames.prefix)
        await frames.store.ready(present)
        await _write(writer, (frames.added(stored) for stored in present if stored.revision <= revision))
        if options.watches_list:
            await writer.write(frames.bookmark(revision, {INITIAL_EVENTS_END: "true"}))
    else:
        await writer.write(b"")
    initialization.done()
    bookmark_due = monotonic() + BOOKMARK_SECONDS
    seen = revision  # as of the last batch: what comes while that is written waits behind it, and no bookmark may say it was told
    while not watcher.ended:
        now = monotonic()
        if now >= end:
            if options.allow_bookmarks:
                await writer.write(frames.bookmark(seen))
            return
        batch = await watcher.batch(min(end, bookmark_due) - now)
        if not initial:  # one may watch from a revision that is still to come
            batch = [change for change in batch if change.revision > revision]
        seen = max(revision, cache.revision)
        if frames.store.waits:
            await frames.store.ready([one for change in batch for one in frames.needed(change)])
        await _write(writer, map(frames.of, batch))
        if monotonic() >= bookmark_due:
            bookmark_due = monotonic() + BOOKMARK_SECONDS
            if options.allow_bookmarks:
                await writer.write(frames.bookmark(seen))


async def _write(writer: BodyWriter, frames: Iterable[bytes]) -> None:
    """A few events at a time: what waits for a slow reader is no more than that."""
    some, size = list[bytes](), 0
    for frame in frames:
        if frame:
            some.append(frame)
            size += len(frame)
            if size >= PIECE:
                data = b"".join(some) if len(some) > 1 else frame
                some, size, frame = [], 0, b""  # only what is written is held while it is
                await writer.write(data)
    if some:
        await writer.write(b"".join(some))


class Frames:
    """Watch events as bytes, in one client's form; `prefix` of keys and `predicate` say which it sees."""

    def __init__(
        self,
        store: ReadStore,
        form: Accepted,
        include: str,
        predicate: Callable[[Stored], bool] | None,
        prefix: str,
        now: Callable[[], datetime],
    ) -> None:
        self.store, self.prefix = store, prefix
        self._form, self._include, self._predicate, self._now = form, include, predicate, now
        self._kept = store.cache.resource(store.prefix).frames
        self._shape = (store.resource.api_version, form.media, form.kind, form.version, include)
        self._first = form.kind == "Table"  # whose first event has the columns' definitions

    def _selected(self, stored: Stored | None) -> bool:
        return (
            stored is not None
            and stored.key.startswith(self.prefix)
            and (self._predicate is None or self._predicate(self.store.in_version(stored)))
        )

    def added(self, stored: Stored) -> bytes:
        """An object that is there when the watch begins."""
        return self._frame(b"ADDED", self.store.in_version(stored)) if self._selected(stored) else b""

    def of(self, change: Change) -> bytes:
        """b"" for what the client does not see; entering and leaving the selection are additions and deletions."""
        now, was = self._selected(change.current), self._selected(change.previous)
        if not now and not was:
            return b""
        kind = b"DELETED" if not now else b"MODIFIED" if was else b"ADDED"
        if self._first:
            return self._make(kind, change)
        key = (change.revision, kind, self._shape)
        frame = self._kept.get(key)
        return frame if frame is not None else self._kept.keep(key, self._make(kind, change))

    def needed(self, change: Change) -> Iterable[Stored]:
        """What `of` reads of a change."""
        if change.current is not None:
            yield change.current
        if change.previous is not None and (change.current is None or self._predicate is not None):
            yield change.previous

    def _make(self, kind: bytes, change: Change) -> bytes:
        if kind == b"DELETED":
            assert change.previous is not None, "nothing is deleted that was not there"
            return self._frame(kind, _at(self.store.in_version(change.previous), change))
        assert change.current is not None, "only a deletion has no object"
        return self._frame(kind, self.store.in_version(change.current))

    def _frame(self, kind: bytes, stored: Stored) -> bytes:
        if self._form.media == PROTOBUF:
            if self._form.kind:
                return packing.event(kind, packing.whole(self._shaped(stored.peek())))
            return packing.event(kind, packing.of_event(self.store.resource, stored))
        if not self._form.kind:
            return b'{"type":"%b","object":%b%b}\n' % (kind, stored.head, stored.tail)
        return b'{"type":"%b","object":%b}\n' % (kind, _encode(self._shaped(stored.peek())))

    def _shaped(self, obj: Object) -> Any:
        if self._form.kind != "Table":
            return tables.partial(obj, self._form.version)
        list_meta = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        definitions, self._first = self._first, False
        return tables.table(
            self.store.resource, [obj], list_meta, self._include, self._form.version, self._now(), definitions
        )

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        """How far the client has seen."""
        own: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            own["annotations"] = annotations
        resource = self.store.resource
        obj: Any = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": own}
        if self._form.kind == "Table":
            obj = self._bookmark_table(obj)
        elif self._form.kind:
            obj = tables.partial(obj, self._form.version)
        return self.told("BOOKMARK", obj)

    def _bookmark_table(self, obj: Object) -> Object:
        """A row of an empty object: the end of the initial events is told by its annotation, whatever the client includes
        (upstream: handlers/response.go asTable)."""
        table: Object = self._shaped({**obj, "metadata": {"name": "", **obj["metadata"]}, "spec": {}, "status": {}})
        row = table["rows"][0]
        if self._include == "Object":
            row["object"] = obj
        elif self._include != "None" or "annotations" in obj["metadata"]:
            row["object"] = tables.partial(obj, self._form.version)
        return table

    def told(self, kind: str, obj: Object) -> bytes:
        """An event that is of no stored object."""
        if self._form.media == PROTOBUF:
            return packing.event(kind.encode(), packing.whole(obj))
        return _encode({"type": kind, "object": obj}) + b"\n"


def _at(stored: Stored, change: Change) -> Stored:
    """A deleted object carries the resource version of its deletion."""
    if stored.revision == change.revision:
        return stored
    return Stored(stored.key, encode(stored.peek()), change.revision)
