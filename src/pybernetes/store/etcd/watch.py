"""A watch that outlives the connections it is told over: no event is missed, none comes twice.

A watch tells revisions of other prefixes as well, as Progress (`types.Store`). etcd says on request up to which revision a watch has been
told; before 3.4.25 and 3.5.8 it may say so too early (etcd-io/etcd#15220). There the watch is of all keys instead, and what lies below
other prefixes is progress.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from ..types import Compacted, Event, KeyValue, Progress, Restored, StoreError
from .channel import MAX_RETRY_SECONDS, RETRY_SECONDS, Channel
from .http2 import OUT_OF_RANGE, RPCError, Stream
from .messages import (
    PROGRESS_REQUEST,
    RANGE,
    STATUS,
    WATCH,
    Range,
    RangeResponse,
    WatchCreate,
    WatchEvent,
    WatchResponse,
    prefix_end,
    to_bytes,
    version,
)
from .wire import ProtobufError

_log = logging.getLogger(__name__)

LOST_SECONDS = 5.0  # without an answer of any member, after which the caller is told
PROGRESS_SECONDS = 1.0  # between requests where nothing was heard of meanwhile: other servers write as well
FIRST_GOOD = ((3, 4, 25), (3, 5, 8))  # versions of two lines in which progress can be relied on
EVERYTHING = (b"\0", b"\0")  # key and end of etcd's range of all keys


def reliable_progress(release: tuple[int, ...]) -> bool:
    """Whether a server of this version says progress when it is true, and not before."""
    if release[:2] == FIRST_GOOD[0][:2]:
        return release >= FIRST_GOOD[0]
    return release >= FIRST_GOOD[1]


@dataclass(slots=True)
class Landmark:
    """The last event that a store told of: where etcd does not have it, it is not the one that it was."""

    event: WatchEvent | None = None


class Watch:
    """One watch. `newest` says which revision this process has heard of, `heard` is set when there is a newer one."""

    def __init__(
        self,
        channel: Channel,
        prefix: str,
        after: int,
        newest: Callable[[], int],
        heard: asyncio.Event,
        landmark: Landmark,
    ) -> None:
        self._channel, self._prefix, self._after = channel, prefix, after
        self._landmark = landmark
        self._newest, self._heard = newest, heard
        self._pending: list[Event | Progress] = []  # of a revision that is not told whole yet

    async def tell(self, ended: Callable[[], bool]) -> AsyncIterator[Event | Progress]:
        """Until `ended`. Compacted; StoreError where no member has answered for some time: it can be begun again."""
        delay = RETRY_SECONDS
        self._answered = _now()
        while not ended():
            began = _now()
            try:
                async with contextlib.aclosing(self._stream()) as told:
                    async for one in told:
                        yield one
            except (RPCError, ProtobufError) as error:
                if ended():
                    return
                _log.info("the watch of etcd was cut off and goes on from revision %d: %s", self._after, error)
                if _now() - self._answered > LOST_SECONDS:
                    raise StoreError(f"the watch of etcd cannot go on: {error}") from error
            delay = RETRY_SECONDS if self._answered > began else min(2 * delay, MAX_RETRY_SECONDS)
            await asyncio.sleep(delay)

    async def _stream(self) -> AsyncGenerator[Event | Progress]:
        """Of one connection. RPCError, ProtobufError, Compacted."""
        reliable = reliable_progress(version(await self._channel.call(STATUS, b"", repeat=True, seconds=LOST_SECONDS)))
        connection, stream = await self._channel.open(WATCH)
        prefix = to_bytes(self._prefix)
        key, end = (prefix or b"\0", prefix_end(prefix)) if reliable else EVERYTHING
        asking = None
        try:
            stream.send(WatchCreate(key, end, self._after + 1).encode())
            if reliable:
                asking = asyncio.get_running_loop().create_task(self._ask(stream))
            self._pending = []
            while (data := await stream.receive()) is not None:
                self._answered = _now()
                response = WatchResponse.decode(data)
                if response.created:
                    await self._check_same(response.revision)
                for one in self._understood(response):
                    self._after = one.revision
                    yield one
        except RPCError:
            self._channel.leave(connection)
            raise
        finally:
            if asking is not None:
                asking.cancel()
            stream.cancel()

    async def _check_same(self, revision: int) -> None:
        """Restored where etcd is not as far as it was: watched from there it would tell nothing for long. Or where the last event that
        it told of never was, for others have written since. A member may lag behind others: it is not its word that counts."""
        if revision < self._after:
            asked = Range(EVERYTHING[0], count_only=True)
            revision = RangeResponse.decode(await self._channel.call(RANGE, asked.encode(), repeat=True)).revision
            if revision < self._after:
                self._landmark.event = None
                raise Restored(self._after, revision)
        last = self._landmark.event
        if last is None or last.item.mod_revision > self._after:
            return
        asked = Range(to_bytes(last.item.key), revision=last.item.mod_revision, keys_only=True)
        try:
            answer = RangeResponse.decode(await self._channel.call(RANGE, asked.encode(), repeat=True))
        except RPCError as error:
            if (
                error.status == OUT_OF_RANGE
            ):  # compacted: the watch will say so, unless it was at the very last revision
                return
            raise
        newest = answer.items[0].mod_revision if answer.items else 0
        if newest != (0 if last.deleted else last.item.mod_revision):
            self._landmark.event = None
            raise Restored(self._after, answer.revision)

    async def _ask(self, stream: Stream) -> None:
        """For progress: at once where something newer was heard of, else now and then."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROGRESS_SECONDS):
                    while self._newest() <= self._after:
                        self._heard.clear()
                        await self._heard.wait()
            stream.send(PROGRESS_REQUEST)
            await asyncio.sleep(RETRY_SECONDS)

    def _understood(self, response: WatchResponse) -> list[Event | Progress]:
        """What it tells that is new; a revision as a whole, also where fragments divide it. Compacted, RPCError."""
        if response.compact_revision:
            raise Compacted(self._after, response.compact_revision)
        if response.canceled:
            raise RPCError(0, response.cancel_reason or "the watch was cancelled")
        told = self._pending
        self._pending = []
        for one in response.events:
            item = one.item
            if item.mod_revision <= self._after:
                continue
            self._landmark.event = one
            if not item.key.startswith(self._prefix):
                told.append(Progress(item.mod_revision))
                continue
            current = None if one.deleted else KeyValue(item.key, item.value, item.create_revision, item.mod_revision)
            told.append(Event(item.mod_revision, item.key, current))
        if response.fragment and told:
            last = told[-1].revision  # of which there may be more
            self._pending = [one for one in told if one.revision == last]
            return [one for one in told if one.revision < last]
        if not response.events and not response.created and response.revision > self._after:
            told.append(Progress(response.revision))
        return told


def _now() -> float:
    return asyncio.get_running_loop().time()
