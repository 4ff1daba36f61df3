"""What passes between the process that has a store and those that share it: frames of a length and MessagePack.

Both ends are of one release: nothing here is kept or sent to anybody else.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from ..types import (
    Closed,
    Compacted,
    Conflict,
    Event,
    FutureRevision,
    KeyValue,
    NoSpace,
    Restored,
    StoreError,
)

FRAME_BYTES = 256 << 20  # one value with its key; far above what an API server stores
PART_BYTES = 1 << 20  # of a list, or of events, in one frame
_HEAD = struct.Struct(">I")

T = TypeVar("T")
Fields = tuple[str, bytes, int, int, str]  # of a KeyValue
EventFields = tuple[int, str, Fields | None]


class Message(msgspec.Struct, array_like=True, tag=True, gc=False):
    """`id` is of the question, and of everything that answers it."""

    id: int


class List(Message):
    """See `Store.list`."""

    prefix: str
    after: str
    limit: int
    revision: int


class Put(Message):
    """See `Store.put`."""

    key: str
    value: bytes
    expected: int | None


class Delete(Message):
    """See `Store.delete`."""

    key: str
    expected: int | None


class Compact(Message):
    """See `Store.compact`."""

    revision: int


class Stale(Message):
    """See `Rewritable.stale`."""

    key: str


class Watch(Message):
    """See `Store.watch`; it lasts until `End`."""

    prefix: str
    after: int


class End(Message):
    """The answer to this question is not wanted any more."""


class Items(Message):
    """A part of a list; the last one is a `Listed`."""

    items: list[Fields]


class Listed(Message):
    """The end of a list."""

    items: list[Fields]
    revision: int
    more: bool


class Written(Message):
    """Of a put."""

    item: Fields


class Deleted(Message):
    """Of a deletion; revision 0 where there was nothing."""

    revision: int


class Done(Message):
    """Of a compaction, of a watch that has ended, of `Stale`."""

    yes: bool = False


class Told(Message):
    """Of a watch: events, then progress where `reached` is not 0."""

    events: list[EventFields]
    reached: int


class Failed(Message):
    """A StoreError. `number` is what the error says beside its text, `current` what a Conflict met."""

    kind: str
    text: str
    number: int = 0
    current: Fields | None = None


Question = List | Put | Delete | Compact | Stale | Watch | End
Answer = Items | Listed | Written | Deleted | Done | Told | Failed

questions = msgspec.msgpack.Decoder(Question).decode
answers = msgspec.msgpack.Decoder(Answer).decode
_encode = msgspec.msgpack.Encoder().encode


def frame(message: Message) -> bytes:
    """ValueError for one that is too large."""
    data = _encode(message)
    if len(data) > FRAME_BYTES:
        raise ValueError(f"a message of {len(data)} bytes is more than one frame can hold")
    return _HEAD.pack(len(data)) + data


class Sender:
    """Writes messages: all of one turn of the loop at once, for a system call costs more than what is said."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._frames: list[bytes] = []

    def send(self, message: Message) -> None:
        """Lost where the other end is gone. ValueError for one that is too large."""
        if self._writer.is_closing():
            return
        if not self._frames:
            asyncio.get_running_loop().call_soon(self._flush)
        self._frames.append(frame(message))

    @property
    def is_behind(self) -> bool:
        """Whether the other end has much to read."""
        return self._writer.transport.get_write_buffer_size() > PART_BYTES

    async def drain(self) -> None:
        """Waits while the other end does not read. ConnectionError."""
        self._flush()
        await self._writer.drain()

    def _flush(self) -> None:
        frames, self._frames = self._frames, []
        if frames and not self._writer.is_closing():
            self._writer.write(b"".join(frames))


class Frames:
    """Cuts what comes in into frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now. ValueError where the other end speaks otherwise."""
        self._data += data
        start = 0
        while len(self._data) - start >= _HEAD.size:
            size = _HEAD.unpack_from(self._data, start)[0]
            if size > FRAME_BYTES:
                raise ValueError(f"a frame of {size} bytes")
            end = start + _HEAD.size + size
            if len(self._data) < end:
                break
            yield bytes(self._data[start + _HEAD.size : end])
            start = end
        del self._data[:start]


def fields(item: KeyValue) -> Fields:
    return item.key, item.value, item.create_revision, item.mod_revision, item.problem


def event_fields(event: Event) -> EventFields:
    return event.revision, event.key, fields(event.current) if event.current is not None else None


def event(revision: int, key: str, current: Fields | None) -> Event:
    return Event(revision, key, KeyValue(*current) if current is not None else None)


def failed(id: int, error: StoreError) -> Failed:
    """How the error is told."""
    if isinstance(error, Conflict):
        return Failed(id, "Conflict", str(error), 0, fields(error.current) if error.current is not None else None)
    for kind, number in ((Compacted, "oldest"), (FutureRevision, "newest"), (Restored, "now")):
        if isinstance(error, kind):
            return Failed(id, kind.__name__, str(error), getattr(error, number))
    return Failed(id, next((k.__name__ for k in (NoSpace, Closed) if isinstance(error, k)), "StoreError"), str(error))


def error(told: Failed, key: str, expected: int | None, asked: int) -> StoreError:
    """The error again, of a question about these."""
    match told.kind:
        case "Conflict":
            return Conflict(key, expected or 0, KeyValue(*told.current) if told.current is not None else None)
        case "Compacted":
            return Compacted(asked, told.number)
        case "FutureRevision":
            return FutureRevision(asked, told.number)
        case "Restored":
            return Restored(asked, told.number)
        case "NoSpace":
            return NoSpace(told.text)
        case "Closed":
            return Closed(told.text)
    return StoreError(told.text)
