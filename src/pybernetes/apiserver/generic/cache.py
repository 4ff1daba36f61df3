"""The watch cache: everything in the store, kept current by one watch, answered as bytes (upstream: storage/cacher).

An object is kept as its JSON with the resource version already in it. What a reader needs beyond bytes (labels, fields, the
decoded object) is made once, at first use, and shared by all.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.aio.ending import end
from pybernetes.api import errors, gosyntax
from pybernetes.api.errors import StatusError
from pybernetes.store.transformed import Rewritable
from pybernetes.store.types import Closed, Compacted, Event, KeyValue, Restored, Store, StoreError

from ..resource import Object, Resource
from .keys import Keys
from .sortedmap import SortedMap

_log = logging.getLogger(__name__)

RETRY_SECONDS = 0.1  # before the first attempt to reach the store again, doubling
MAX_RETRY_SECONDS = 5.0
RING = 10_000  # events of one resource that a watch can still start behind
FRAMES = 256  # encoded events that are kept for the next watcher
WATCHER_QUEUE = 10_000  # events that a watcher may be behind before it is cut off
Seen = tuple[dict[str, str], dict[str, str]]  # labels and selectable fields
ENCRYPTED, UNDECIPHERED = b"k8s:enc:", "identity transformer tried to read encrypted data"  # upstream: encrypt/identity
_METADATA = b'"metadata":{'
_heads: dict[bytes, bytes] = {}  # each beginning once: `{"apiVersion":"v1","kind":"Pod",`

_decode = msgspec.json.Decoder().decode


class Stored:
    """One object at one revision. Its JSON is kept in two pieces: `head` has the type, `tail` the rest, as lists give it."""

    __slots__ = ("_forms", "_obj", "_seen", "head", "key", "packed", "revision", "tail")

    def __init__(self, key: str, value: bytes, revision: int) -> None:
        self.key, self.revision = key, revision
        head, mark, tail = value.partition(_METADATA)  # metadata is the first object in what is stored
        self.head = _heads.setdefault(head, head)
        self.tail = b'%b"resourceVersion":"%d",%b' % (mark, revision, tail)
        self._obj: Object | None = None
        self.packed: bytes | None = None  # its message in protobuf, once somebody has asked for it
        self._seen: Seen | None = None
        self._forms: dict[str, tuple[Resource, Stored]] | None = None  # by apiVersion

    def form(self, resource: Resource) -> Stored | None:
        """The object as the resource's version has it, where it was converted before by this very record."""
        form = self._forms.get(resource.api_version) if self._forms is not None else None
        return form[1] if form is not None and form[0] is resource else None

    def keep_form(self, resource: Resource, obj: bytes) -> Stored:
        """Keeps the object as the resource's version has it, for as long as this one lives."""
        if self._forms is None:
            self._forms = {}
        form = Stored(self.key, obj, self.revision)
        self._forms[resource.api_version] = resource, form
        return form

    def seen(self, look: Callable[[Object], Seen]) -> Seen:
        """What `look` finds, found once; the object is not kept decoded for it."""
        if self._seen is None:
            self._seen = look(self.peek())
        return self._seen

    @property
    def data(self) -> bytes:
        """The whole JSON."""
        return self.head + self.tail

    @data.setter
    def data(self, value: bytes) -> None:
        head, mark, tail = value.partition(_METADATA)
        self.head, self.tail = head, mark + tail
        self._obj, self._seen, self._forms, self.packed = None, None, None, None

    @property
    def obj(self) -> Object:
        """The decoded object; shared: never change it."""
        if self._obj is None:
            self._obj = _decode(self.data)
        return self._obj

    def forget(self) -> None:
        """What was worked out from it: its definition has changed."""
        self._seen = self._forms = None

    def peek(self) -> Object:
        """As `obj`, but not kept for it: for who goes through many objects once."""
        return self._obj if self._obj is not None else self.copy()

    def copy(self) -> Object:
        """A private decoded object."""
        fresh: Object = _decode(self.data)
        return fresh


class _Head(msgspec.Struct):
    """What every stored value has (leases of servers have no kind); the rest is passed over, and yet must be JSON."""

    metadata: msgspec.Raw


_read_head = msgspec.json.Decoder(_Head).decode


class Damaged(Stored):
    """A value that is no object. Whoever reads it gets StatusError 500, in upstream's words: it hands on what its decoder says.

    A list that left it out would tell controllers that it is gone, and they would act on that.
    """

    def __init__(self, key: str, value: bytes, revision: int, problem: str = "") -> None:
        """`problem`: why the store could not read it (upstream: storage.InternalError)."""
        self.key, self.revision = key, revision
        if problem or value.startswith(ENCRYPTED):
            self._refusal = errors.internal_error(problem or f'unable to transform key "{key}": {UNDECIPHERED}')
            return
        words = gosyntax.syntax_error(value)
        text = f"couldn't get version/kind; json parse error: {words}" if words else f"the value of {key} is no object"
        self._refusal = errors.unclassified(text)

    def _refuse(self, *_: object) -> Any:
        raise StatusError(self._refusal.status)

    head = tail = data = obj = property(_refuse)
    seen = peek = copy = _refuse  # type: ignore[assignment]

    def forget(self) -> None:
        """There is nothing known of it."""


def stored_or_damaged(key: str, value: bytes, revision: int, problem: str = "") -> Stored:
    """An object of the store, or what is left of one."""
    if problem:
        _log.error("revision %d: %s: what reads it fails", revision, problem)
        return Damaged(key, value, revision, problem)
    try:
        _read_head(value)
        whole = _METADATA in value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        whole = False
    if not whole:
        _log.error("the value of %s at revision %d is damaged: what reads it fails", key, revision)
        return Damaged(key, value, revision)
    return Stored(key, value, revision)


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a resource; `current` is None for a deletion, `previous` for a creation."""

    revision: int
    current: Stored | None
    previous: Stored | None


class Lagging(Exception):
    """A watcher that fell too far behind was cut off."""


class TooOld(Exception):
    """A watch from a revision that the ring no longer covers; `oldest` is the first that it does."""

    def __init__(self, oldest: int) -> None:
        super().__init__(oldest)
        self.oldest = oldest


class Watcher:
    """A queue of changes after a revision. Iterating gives them in order; ends with Lagging, or when the cache closes."""

    def __init__(self, owner: ResourceCache, after: int, trigger: tuple[Hashable, str] | None = None) -> None:
        self._owner = owner
        self._after = after  # which this server may not have reached yet: the client had it from another one
        self.trigger = trigger
        self._queue: deque[Change] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.ended = False
        self.of_client = False  # not of the server itself
        self._lagging = False

    def push(self, change: Change) -> None:
        """Called by the cache."""
        if change.revision <= self._after:
            return
        if len(self._queue) >= WATCHER_QUEUE:
            self.cut_off()
            return
        self._queue.append(change)
        self._wake()

    def cut_off(self) -> None:
        """It has missed something: whoever reads it gets Lagging, and starts anew."""
        self._lagging = True
        self.end()

    def end(self) -> None:
        """No more changes."""
        self.ended = True
        self._owner.forget(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def batch(self, timeout: float) -> list[Change]:
        """What is there, waiting for some; [] after `timeout` seconds or at the end (see `ended`)."""
        if not self._queue and not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            handle = self._owner.clock.call_later(timeout, self._wake)
            try:
                await self._waiter
            finally:
                handle.cancel()
                self._waiter = None
        if self._lagging:
            raise Lagging
        changes = list(self._queue)
        self._queue.clear()
        return changes


class KeptFrames:
    """Encoded events that other watchers will want in a moment; forgotten all at once when there are many."""

    def __init__(self) -> None:
        self._frames: dict[Hashable, bytes] = {}
        self.get = self._frames.get

    def forget(self) -> None:
        """All of them."""
        self._frames.clear()

    def keep(self, key: Hashable, frame: bytes) -> bytes:
        """The frame."""
        if len(self._frames) >= FRAMES:
            self._frames.clear()
        self._frames[key] = frame
        return frame


@dataclass(slots=True)
class _Triggered:
    """Watchers that only want objects with one value of a field."""

    value: Callable[[Stored], str | None]
    watchers: dict[str, set[Watcher]]


class ResourceCache:
    """All objects of one stored resource."""

    def __init__(self, prefix: str, clock: Clock | None = None) -> None:
        self.clock = clock or RealClock()
        self.prefix = prefix
        self.items: dict[str, Stored] = {}
        self.values = SortedMap[Stored]()  # by their keys, in the order of these
        self.ring: deque[Change] = deque(maxlen=RING)
        self.ring_start = 0  # the ring holds every change after this revision
        self.watchers: set[Watcher] = set()
        self._untriggered: set[Watcher] = set()
        self._triggered: dict[Hashable, _Triggered] = {}  # by field
        self.frames = KeptFrames()
        self.changed = 0  # revision of the last change, or of the first list: what was before is the store's to say

    def apply(self, revision: int, key: str, current: KeyValue | None) -> None:
        """One event of the store."""
        previous = self.items.get(key)
        stored = None if current is None else stored_or_damaged(key, current.value, revision, current.problem)
        if stored is None:
            if previous is None:
                return
            del self.items[key]
            del self.values[key]
        else:
            self.items[key] = self.values[key] = stored
        if len(self.ring) == RING:
            self.ring_start = self.ring[0].revision
        change = Change(revision, stored, previous)
        self.ring.append(change)
        self.changed = revision
        for watcher in tuple(self._untriggered):
            watcher.push(change)
        for triggered in self._triggered.values():
            sides = [one for one in (stored, previous) if one is not None]
            values = {None if type(one) is Damaged else triggered.value(one) for one in sides}
            for value in tuple(triggered.watchers) if None in values else values:
                for watcher in tuple(triggered.watchers.get(value or "", ())):
                    watcher.push(change)

    def replace(self, items: Iterable[KeyValue], revision: int, *, anew: bool = False) -> None:
        """Everything, as it is at the revision. What happened since the last change is not known: watchers are cut off.

        `anew`: the revisions are others than they were; nothing that was worked out is kept.
        """
        before = {} if anew else self.items.copy()
        self.items.clear()
        if anew:
            self.frames.forget()
        for item in items:
            present = before.get(item.key)
            if present is None or present.revision != item.mod_revision:
                present = stored_or_damaged(item.key, item.value, item.mod_revision, item.problem)
            self.items[item.key] = present
        self.values.fill(self.items)
        self.ring.clear()
        self.ring_start = self.changed = revision
        for watcher in tuple(self.watchers):
            watcher.cut_off()

    def mend(self, damaged: Stored, item: KeyValue) -> None:
        """What could be read at last takes the place of what was damaged, where nothing newer has."""
        if self.items.get(damaged.key) is damaged and item.mod_revision == damaged.revision:
            stored = stored_or_damaged(item.key, item.value, item.mod_revision)
            self.items[item.key] = self.values[item.key] = stored

    def forget(self, watcher: Watcher) -> None:
        """It gets no more changes."""
        self.watchers.discard(watcher)
        self._untriggered.discard(watcher)
        if watcher.trigger is not None:
            name, value = watcher.trigger
            triggered = self._triggered.get(name)
            same = triggered.watchers.get(value) if triggered else None
            if triggered is None or same is None:
                return
            same.discard(watcher)
            if not same:
                del triggered.watchers[value]
            if not triggered.watchers:
                del self._triggered[name]

    def forget_forms(self) -> None:
        """What was worked out from the objects, for whom the definition has changed."""
        changes = (one for change in self.ring for one in (change.current, change.previous) if one is not None)
        for stored in (*self.values, *changes):
            stored.forget()
        self.frames.forget()

    def range(self, prefix: str, after: str = "") -> Iterable[Stored]:
        """Objects whose keys begin with the prefix, in order, after a key."""
        return self.values.between(*self._span(prefix, after))

    def _span(self, prefix: str, after: str) -> tuple[str, str | None]:
        """The first key that may be meant, and the one before which the last is."""
        start = after + "\0" if after > prefix else prefix
        return start, None if prefix == self.prefix else prefix[:-1] + chr(ord(prefix[-1]) + 1)

    def count_at(self, revision: int, prefix: str, after: str) -> int | None:
        """How many objects `range` would have given at an older revision; None where the ring does not reach back so far."""
        if revision < self.ring_start:
            return None
        count = self.values.count(*self._span(prefix, after))
        for change in itertools.takewhile(lambda change: change.revision > revision, reversed(self.ring)):
            one = change.previous if change.current is None else change.current if change.previous is None else None
            if one is not None and one.key.startswith(prefix) and one.key > after:  # it went, or came
                count += 1 if change.current is None else -1
        return count

    def watch(
        self, after: int, field: Hashable = "", value: str = "", read: Callable[[Stored], str | None] | None = None
    ) -> Watcher:
        """Changes after the revision; TooOld where the ring does not reach back so far.

        With a field, later changes come only where the object has, or had, that value in it, as `read` reads it, or where it
        cannot be told (None). Watchers that name the same field read it alike. `read` raises nothing: the cache would stop.
        """
        if after < self.ring_start:
            raise TooOld(self.ring_start)
        watcher = Watcher(self, after, (field, value) if read is not None else None)
        missed = list(itertools.takewhile(lambda change: change.revision > after, reversed(self.ring)))
        for change in reversed(missed):  # mostly few of many: a watch goes on where another has ended
            watcher.push(change)
        self.watchers.add(watcher)
        if read is None:
            self._untriggered.add(watcher)
        else:
            triggered = self._triggered.setdefault(field, _Triggered(read, {}))
            triggered.watchers.setdefault(value, set()).add(watcher)
        return watcher


class WatchCache:
    """The caches of all resources, fed by one watch of the store."""

    def __init__(self, store: Store, keys: Keys | None = None, clock: Clock | None = None) -> None:
        self.store = store
        self._rewritable = store if isinstance(store, Rewritable) else None
        self.keys = keys or Keys()
        self.revision = 0
        self.restored = asyncio.Event()  # set when the store has other data than it had; who acts on it clears it
        self.clock = clock or RealClock()  # of all that the server does by time
        self._caches: dict[str, ResourceCache] = {}
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._connected = False  # the store answers, as far as is known
        self._ended = False  # there will be no news any more

    async def start(self) -> None:
        """Reads everything, then follows."""
        await self._list()
        self._connected = True
        self._task = asyncio.get_running_loop().create_task(self._follow())
        self._task.add_done_callback(self._done)

    async def stop(self) -> None:
        """Ends all watchers, and refuses who waits for a revision."""
        await end(self._task)
        for cache in self._caches.values():
            for watcher in tuple(cache.watchers):
                watcher.end()

    async def read_again(self) -> None:
        """Of what could not be read, what can be read now. It is no event: who met it was refused, and asks again."""
        for cache in tuple(self._caches.values()):
            for damaged in [one for one in cache.values if type(one) is Damaged]:
                page = await self.store.list(damaged.key, limit=1)
                reread = next((item for item in page.items if item.key == damaged.key and not item.problem), None)
                if reread is not None:
                    cache.mend(damaged, reread)

    async def stale(self, key: str) -> bool:
        """Whether a value would be stored otherwise today, though it is the same (upstream: GuaranteedUpdate)."""
        return self._rewritable is not None and await self._rewritable.stale(key)

    # Following the store.

    async def _list(self, *, anew: bool = False) -> None:
        """Replaces what is known by what the store has; `anew`, or where the store is older than what is known: it is another one."""
        page = await self.store.list(self.keys.root)
        anew = anew or page.revision < self.revision
        items: dict[str, list[KeyValue]] = {prefix: [] for prefix in self._caches}
        for item in page.items:
            prefix = self.keys.resource_of(item.key)
            if prefix:
                items.setdefault(prefix, []).append(item)
        for prefix, listed in items.items():
            self.resource(prefix).replace(listed, page.revision, anew=anew)
        before, self.revision = self.revision, page.revision
        self._wake()
        if anew:
            _log.critical(
                "the store was at revision %d and has the state of another time now, at %d: it was restored, or has lost its data. "
                "Everything was listed anew, and clients have to",
                before,
                page.revision,
            )
            self._fail_waiters(Restored(before, page.revision))
            self.restored.set()

    async def _reach(self) -> None:
        """Returns where the store answers, and is the one that it was, or everything was listed anew."""
        if await self.store.revision() < self.revision:
            await self._list(anew=True)

    async def _follow(self) -> None:
        while True:
            try:
                await self._watch()
                return
            except Compacted:
                _log.warning(
                    "the store has forgotten what came after revision %d: everything is listed anew", self.revision
                )
                await self._retried(self._list)
            except Closed:
                return
            except Restored:
                await self._retried(functools.partial(self._list, anew=True))
            except StoreError as error:
                _log.error("the watch of the store was cut off; it goes on from revision %d: %s", self.revision, error)
                await self._retried(self._reach)
            except Exception:
                _log.exception("the watch of the store was cut off; it goes on from revision %d", self.revision)
                await self._retried(self._reach)

    async def _watch(self) -> None:
        """Until the store is closed."""
        async for told in self.store.watch(self.keys.root, self.revision):
            if type(told) is Event:
                prefix = self.keys.resource_of(told.key)
                if prefix:
                    self.resource(prefix).apply(told.revision, told.key, told.current)
            self.revision = told.revision
            self._wake()

    async def _retried(self, action: Callable[[], Awaitable[object]]) -> None:
        """Until it is done; meanwhile nothing new is heard, and `following` says so. Closed."""
        self._connected = False
        delay = RETRY_SECONDS
        while not self._connected:
            await self.clock.sleep(delay)
            delay = min(2 * delay, MAX_RETRY_SECONDS)
            try:
                await action()
                self._connected = True
            except Closed:
                raise
            except StoreError as error:
                _log.error("the store does not answer; it is asked again in %g s: %s", delay, error)
            except Exception:
                _log.exception("the store does not answer; it is asked again in %g s", delay)

    def _done(self, task: asyncio.Task[None]) -> None:
        """The follower has ended, as it should at a stop only: nobody may go on waiting for what it would have brought."""
        self._ended, self._connected = True, False
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("the watch cache gets no more news from the store", exc_info=error)
        self._fail_waiters(_no_news())

    def _fail_waiters(self, error: StoreError) -> None:
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()

    @property
    def following(self) -> bool:
        """Whether news from the store arrive."""
        return self._connected and not self._ended

    def _wake(self) -> None:
        if not self._waiters:
            return
        due = [w for w in self._waiters if w[0] <= self.revision]
        if due:
            self._waiters = [w for w in self._waiters if w[0] > self.revision]
            for _, waiter in due:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self, revision: int) -> None:
        """Returns when the cache has seen the revision; Closed, Restored where it never will."""
        if self.revision < revision:
            if self._ended:
                raise _no_news()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((revision, waiter))
            await waiter

    # What is known.

    def counts(self) -> dict[tuple[str, str], int]:
        """How many objects there are, by (group, resource)."""
        return {self.keys.named(prefix): len(cache.items) for prefix, cache in self._caches.items()}

    def client_watchers(self) -> list[Watcher]:
        """Of all resources."""
        return [watcher for cache in self._caches.values() for watcher in cache.watchers if watcher.of_client]

    def watchers(self) -> dict[tuple[str, str], int]:
        """How many watch, by (group, resource)."""
        return {self.keys.named(prefix): len(c.watchers) for prefix, c in self._caches.items() if c.watchers}

    def of(self, group: str, resource: str) -> ResourceCache:
        """The cache of a stored resource; its `prefix` is what the keys begin with."""
        return self.resource(self.keys.resource(group, resource))

    def resource(self, prefix: str) -> ResourceCache:
        """As `of`, by the prefix of the keys."""
        cache = self._caches.get(prefix)
        if cache is None:
            cache = self._caches[prefix] = ResourceCache(prefix, self.clock)
            cache.ring_start = cache.changed = self.revision
        return cache


def _no_news() -> Closed:
    return Closed("the watch of the store has ended: what was written is in the store, this server does not hear of it")
