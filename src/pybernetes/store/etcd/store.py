"""The backend: a write is a transaction that compares the key's revision, as upstream's (storage/etcd3/store.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from ..backends import Location, LocationError
from ..types import Closed, Compacted, Conflict, Event, FutureRevision, KeyValue, NoSpace, Page, Progress, StoreError
from .channel import CALL_SECONDS, Channel, open_channel
from .http2 import DEADLINE_EXCEEDED, OUT_OF_RANGE, RESOURCE_EXHAUSTED, UNAVAILABLE, RPCError
from .leases import Leases
from .messages import (
    COMPACT,
    RANGE,
    STATUS,
    TXN,
    DeleteRange,
    ModRevisionIs,
    Put,
    Range,
    RangeResponse,
    Txn,
    TxnResponse,
    compaction,
    prefix_end,
    to_bytes,
    unleased,
    version,
)
from .watch import Landmark, Watch
from .wire import ProtobufError

_log = logging.getLogger(__name__)

SUPPORTED = (3, 4)
# Keys of one answer: a list comes in such pages, all of one revision, each about as large as the values of the one before let hope.
FIRST_PAGE, MIN_PAGE, MAX_PAGE, PAGE_BYTES = 100, 10, 1000, 8 << 20
COMPACT_SECONDS = 60.0
COMPACTED, FUTURE = "required revision has been compacted", "required revision is a future revision"
NO_LEASE = "requested lease not found"


async def open_etcd(location: Location) -> EtcdStore:
    """`http://HOST:PORT`, one or several members of one cluster. LocationError, StoreError where none answers."""
    channel = open_channel(location)
    store = EtcdStore(channel)
    try:
        served = version(await channel.call(STATUS, b"", repeat=True, seconds=CALL_SECONDS))
    except RPCError as error:
        await store.close()
        raise StoreError(error.message) from error
    if served < SUPPORTED:
        await store.close()
        raise LocationError(f"etcd there is version {'.'.join(map(str, served))}: want 3.4 or later")
    return store


class EtcdStore:
    """A Store in etcd. Several may be on one cluster, also of other programs'."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._leases = Leases(channel, asyncio.get_running_loop().time)
        self._newest = 0  # revision that was heard of
        self._heard: set[asyncio.Event] = set()  # of watches
        self._landmark = Landmark()
        self._full = False  # it has said that there is no space
        self._closed = False

    def reuse_leases(self, seconds: float) -> None:
        """For so long a lease is taken for further keys, at the most."""
        self._leases.reuse_seconds = seconds

    async def revision(self) -> int:
        """See `Store`; linearizable, so that it is not older than what any server was told before."""
        return (await self._range(Range(b"\0", count_only=True))).revision

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`."""
        key, end = to_bytes(prefix) or b"\0", prefix_end(to_bytes(prefix))
        if after >= prefix:
            key = to_bytes(after) + b"\0"
        items: list[KeyValue] = []
        page = FIRST_PAGE
        while True:
            size = min(page, limit - len(items)) if limit else page
            answer = await self._range(Range(key, end, size, revision))
            revision = revision or answer.revision
            items += answer.items
            if not answer.more or (limit and len(items) >= limit):
                return Page(items, revision, answer.more)
            key = to_bytes(answer.items[-1].key) + b"\0"
            page = page_size(answer.items)

    async def without_lease(self, prefix: str, revision: int) -> set[str]:
        """Of the keys of a revision those that do not end by themselves. StoreError."""
        key, end = to_bytes(prefix), prefix_end(to_bytes(prefix))
        request = Range(key, end, revision=revision, keys_only=True)
        try:
            return unleased(await self._call(RANGE, request.encode(), repeat=True))
        except RPCError as error:
            raise await self._out_of_range(error, revision) from error
        except ProtobufError as error:
            raise StoreError(f"etcd's answer cannot be read: {error}") from error

    async def put(self, key: str, value: bytes, expected: int | None = None, *, ttl: int = 0) -> KeyValue:
        """See `Store`. With `ttl` the key ends by itself after so many seconds, or a little later."""
        raw = to_bytes(key)
        while True:
            lease = await self._leased(ttl)
            # Of what is new the answer's revision says all; else etcd is asked when the key was made.
            asked = () if expected == 0 else (Range(raw, keys_only=True),)
            ask = Txn(_compared(raw, expected), (Put(raw, value, lease), *asked), (Range(raw),))
            try:
                answer, lost = await self._txn(ask)
            except RPCError as error:
                if NO_LEASE not in error.message:
                    raise self._refused(error) from error
                self._leases.forget(lease)
                continue
            current = answer.ranges[0].items[0] if answer.ranges and answer.ranges[0].items else None
            if answer.succeeded and expected == 0 and lost is None:
                current = KeyValue(key, value, answer.revision, answer.revision)
            if not answer.succeeded:
                if lost is not None and (current is None or current.value != value):
                    raise _unknown(lost)
                if lost is None:
                    raise Conflict(key, expected or 0, current)
            elif current is None:
                raise StoreError("etcd has not kept what was written") if lost is None else _unknown(lost)
            assert current is not None
            if self._full:
                self._full = False
                _log.warning("etcd takes writes again")
            return KeyValue(key, value, current.create_revision, current.mod_revision)

    async def delete(self, key: str, expected: int | None = None) -> Event | None:
        """See `Store`."""
        raw = to_bytes(key)
        try:
            answer, lost = await self._txn(Txn(_compared(raw, expected), (DeleteRange(raw),), (Range(raw),)))
        except RPCError as error:
            raise self._refused(error) from error
        if not answer.succeeded:
            current = next((item for one in answer.ranges for item in one.items), None)
            if lost is not None and (current is None or current.create_revision > (expected or 0)):
                raise _unknown(lost)  # gone, or another one: by whom nobody knows
            raise Conflict(key, expected or 0, current)
        return Event(answer.revision, key, None) if answer.deleted else None

    async def watch(self, prefix: str, after: int) -> AsyncGenerator[Event | Progress]:
        """See `Store`."""
        heard = asyncio.Event()
        self._heard.add(heard)
        watch = Watch(self._channel, prefix, after, lambda: self._newest, heard, self._landmark)
        try:
            async for one in watch.tell(lambda: self._closed):
                yield one
        finally:
            self._heard.discard(heard)

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        try:
            await self._call(COMPACT, compaction(revision), repeat=True, seconds=COMPACT_SECONDS)
        except RPCError as error:
            if error.status == OUT_OF_RANGE and COMPACTED in error.message:
                return
            raise await self._out_of_range(error, revision) from error

    async def close(self) -> None:
        """See `Store`."""
        self._closed = True
        await self._channel.close()

    # Calls.

    async def _call(self, path: str, request: bytes, *, repeat: bool, seconds: float = 0.0) -> bytes:
        if self._closed:
            raise Closed("the store is closed")
        try:
            return await self._channel.call(path, request, repeat=repeat, seconds=seconds or CALL_SECONDS)
        except RPCError:
            if self._closed:
                raise Closed("the store is closed") from None
            raise

    async def _range(self, request: Range) -> RangeResponse:
        newest = self._newest
        try:
            answer = RangeResponse.decode(await self._call(RANGE, request.encode(), repeat=True))
        except RPCError as error:
            raise await self._out_of_range(error, request.revision) from error
        except ProtobufError as error:
            raise StoreError(f"etcd's answer cannot be read: {error}") from error
        if (
            answer.revision < newest
        ):  # reads are linearizable: it was restored, and what was heard of does not come any more
            self._newest = answer.revision
        self._hear(answer.revision)
        return answer

    async def _txn(self, request: Txn) -> tuple[TxnResponse, RPCError | None]:
        """The answer; with how the first attempt was lost, where it is to a repetition of what may have been done already. RPCError.

        One that compares may be repeated: if it was done, the comparison fails the second time, and the caller sees what stands there.
        That may be another's by then, so that a comparison that fails says nothing about the first attempt. What creates is looked for
        only: the first attempt may be on its way still, and would make it again after the second one's had been deleted.
        """
        try:
            answer, lost = await self._call(TXN, request.encode(), repeat=False), None
        except RPCError as error:
            if not request.compare or not _is_unknown(error):
                raise
            creates = any(one.revision == 0 for one in request.compare)
            again = replace(request, success=()) if creates else request
            answer, lost = await self._call(TXN, again.encode(), repeat=True), error
        try:
            decoded = TxnResponse.decode(answer)
        except ProtobufError as error:
            raise StoreError(f"etcd's answer cannot be read: {error}") from error
        self._hear(decoded.revision)
        return decoded, lost

    async def _leased(self, ttl: int) -> int:
        try:
            return await self._leases.get(ttl) if ttl else 0
        except RPCError as error:
            raise self._refused(error) from error

    def _refused(self, error: RPCError) -> StoreError:
        """Of a write. That etcd is full is said once, with what helps: it does not get better by itself."""
        refusal = _refusal(error)
        if isinstance(refusal, NoSpace) and not self._full:
            self._full = True
            _log.error(
                "etcd is full and takes no writes (%s): delete and compact what can be spared, defragment each member, then "
                "`etcdctl alarm disarm`",
                error.message,
            )
        return refusal

    def _hear(self, revision: int) -> None:
        if revision > self._newest:
            self._newest = revision
            for heard in self._heard:
                heard.set()

    async def _out_of_range(self, error: RPCError, asked: int) -> StoreError:
        if error.status == OUT_OF_RANGE and COMPACTED in error.message:
            return Compacted(asked, asked + 1)  # at least: etcd does not say
        if error.status == OUT_OF_RANGE and FUTURE in error.message:
            return FutureRevision(asked, await self.revision())
        return _refusal(error)


def page_size(items: Sequence[KeyValue]) -> int:
    """How many keys to ask for after these."""
    mean = sum(len(item.value) for item in items) // len(items) + 1
    return max(MIN_PAGE, min(PAGE_BYTES // mean, MAX_PAGE))


def _compared(key: bytes, expected: int | None) -> tuple[ModRevisionIs, ...]:
    return () if expected is None else (ModRevisionIs(key, expected),)


def _is_unknown(error: RPCError) -> bool:
    return error.status in (UNAVAILABLE, DEADLINE_EXCEEDED) and not error.unsent


def _unknown(lost: RPCError) -> StoreError:
    """Of a write that may have been done (upstream says so at once: it does not repeat)."""
    return StoreError(f"{lost.message}: whether it was done is not known")


def _refusal(error: RPCError) -> StoreError:
    """In etcd's words."""
    if error.status == RESOURCE_EXHAUSTED and "space" in error.message:
        return NoSpace(error.message)
    return StoreError(error.message)
