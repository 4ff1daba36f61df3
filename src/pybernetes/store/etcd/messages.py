"""etcd's requests and answers (api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto), of their fields those that are used here.

A request encodes itself, an answer is decoded from bytes. Unknown fields are passed over: newer servers say more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from ..types import KeyValue
from .wire import chunk, fields, number, read_varint, signed, text

RANGE, TXN, COMPACT = "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn", "/etcdserverpb.KV/Compact"
WATCH, LEASE_GRANT = "/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseGrant"
STATUS = "/etcdserverpb.Maintenance/Status"

# Fields 1 and 2 of a ResponseHeader, and the tag of the third.
_IDS = re.compile(rb"(?:[\x08\x10][\x80-\xff]*[\x00-\x7f])*\x18")


def to_bytes(key: str) -> bytes:
    """A key as etcd has it; others may have put keys there that are no UTF-8."""
    return key.encode(errors="surrogateescape")


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all that begin with the prefix; a zero byte, etcd's word for no end, where there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else b"\0"


def key_value(data: bytes) -> KeyValue:
    """mvccpb.KeyValue."""
    key = value = b""
    created = modified = 0
    for name, count, raw in fields(data):
        match name:
            case 1:
                key = raw
            case 2:
                created = count
            case 3:
                modified = count
            case 5:
                value = raw
    return KeyValue(key.decode(errors="surrogateescape"), value, created, modified)


def _revision(header: bytes) -> int:
    """That of a ResponseHeader. The numbers of 64 bits before it, of the cluster and of the member, are passed over unread."""
    before = _IDS.match(header)
    if before is not None:
        return read_varint(header, before.end())[0]
    return next((count for name, count, _ in fields(header) if name == 3), 0)


# --- KV -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range:
    """`end` empty: the one key. `revision` 0: the newest, linearizably."""

    key: bytes
    end: bytes = b""
    limit: int = 0
    revision: int = 0
    keys_only: bool = False
    count_only: bool = False

    def encode(self) -> bytes:
        """RangeRequest."""
        return b"".join(
            (
                text(1, self.key),
                text(2, self.end),
                number(3, self.limit),
                number(4, self.revision),
                number(8, self.keys_only),
                number(9, self.count_only),
            )
        )


@dataclass(frozen=True, slots=True)
class RangeResponse:
    """`revision`: the store's as it was answered."""

    revision: int = 0
    items: list[KeyValue] = field(default_factory=list)
    more: bool = False

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ProtobufError."""
        revision, items, more = 0, [], False
        for name, count, raw in fields(data):
            match name:
                case 1:
                    revision = _revision(raw)
                case 2:
                    items.append(key_value(raw))
                case 3:
                    more = bool(count)
        return cls(revision, items, more)


def unleased(data: bytes) -> set[str]:
    """The keys of a RangeResponse that hang on no lease. ProtobufError."""
    keys = set()
    for name, _, raw in fields(data):
        if name == 2:
            item = {field: (count, value) for field, count, value in fields(raw)}
            if not item.get(6, (0, b""))[0]:
                keys.add(item.get(1, (0, b""))[1].decode(errors="surrogateescape"))
    return keys


@dataclass(frozen=True, slots=True)
class Put:
    """`lease` 0: for ever."""

    key: bytes
    value: bytes
    lease: int = 0

    def encode(self) -> bytes:
        """PutRequest."""
        return text(1, self.key) + text(2, self.value) + number(3, self.lease)


@dataclass(frozen=True, slots=True)
class DeleteRange:
    """One key."""

    key: bytes

    def encode(self) -> bytes:
        """DeleteRangeRequest."""
        return text(1, self.key)


Operation = Range | Put | DeleteRange
_OPERATIONS: dict[type[Operation], int] = {Range: 1, Put: 2, DeleteRange: 3}  # fields of RequestOp, and of ResponseOp


@dataclass(frozen=True, slots=True)
class ModRevisionIs:
    """A Compare: that a key is at this revision; 0: that it is not there."""

    key: bytes
    revision: int

    def encode(self) -> bytes:
        """result EQUAL (0), target MOD (2); the revision also where it is 0: it is one of several that could be given."""
        revision = number(6, self.revision) or b"\x30\x00"
        return number(2, 2) + text(3, self.key) + revision


@dataclass(frozen=True, slots=True)
class Txn:
    """`success` where all of `compare` hold, else `failure`: at once, as one revision."""

    compare: Sequence[ModRevisionIs]
    success: Sequence[Operation]
    failure: Sequence[Operation] = ()

    def encode(self) -> bytes:
        """TxnRequest."""
        out = [chunk(1, one.encode()) for one in self.compare]
        for name, operations in ((2, self.success), (3, self.failure)):
            out += (chunk(name, chunk(_OPERATIONS[type(one)], one.encode())) for one in operations)
        return b"".join(out)


@dataclass(frozen=True, slots=True)
class TxnResponse:
    """`ranges`: the answers to the Ranges among what was done; `deleted`: how many keys are gone."""

    revision: int
    succeeded: bool
    ranges: list[RangeResponse]
    deleted: int

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ProtobufError."""
        revision, succeeded, ranges, deleted = 0, False, [], 0
        for name, count, raw in fields(data):
            match name:
                case 1:
                    revision = _revision(raw)
                case 2:
                    succeeded = bool(count)
                case 3:
                    for kind, _, answer in fields(raw):
                        if kind == _OPERATIONS[Range]:
                            ranges.append(RangeResponse.decode(answer))
                        elif kind == _OPERATIONS[DeleteRange]:
                            deleted += next((one for place, one, _ in fields(answer) if place == 2), 0)
        return cls(revision, succeeded, ranges, deleted)


def compaction(revision: int) -> bytes:
    """CompactionRequest."""
    return number(1, revision)


# --- Watch --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WatchCreate:
    """From `start` on, that revision included."""

    key: bytes
    end: bytes
    start: int

    def encode(self) -> bytes:
        """A WatchRequest: with progress notifications now and then, and large answers in fragments."""
        return chunk(
            1, text(1, self.key) + text(2, self.end) + number(3, self.start) + number(4, True) + number(8, True)
        )


PROGRESS_REQUEST = chunk(3, b"")  # a WatchRequest


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`deleted`: then `item` has only the key and the deletion's revision."""

    item: KeyValue
    deleted: bool

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ProtobufError."""
        item, deleted = KeyValue("", b"", 0, 0), False
        for name, count, raw in fields(data):
            if name == 1:
                deleted = count == 1
            elif name == 2:
                item = key_value(raw)
        return cls(item, deleted)


@dataclass(frozen=True, slots=True)
class WatchResponse:
    """`revision`: the store's as it was sent; `fragment`: more of the same revisions follow."""

    revision: int = 0
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    fragment: bool = False
    events: list[WatchEvent] = field(default_factory=list)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ProtobufError."""
        revision = compacted = 0
        created = canceled = fragment = False
        reason, events = "", []
        for name, count, raw in fields(data):
            match name:
                case 1:
                    revision = _revision(raw)
                case 3:
                    created = bool(count)
                case 4:
                    canceled = bool(count)
                case 5:
                    compacted = count
                case 6:
                    reason = raw.decode(errors="replace")
                case 7:
                    fragment = bool(count)
                case 11:
                    events.append(WatchEvent.decode(raw))
        return cls(revision, created, canceled, compacted, reason, fragment, events)


# --- Leases, and what there is to know of a member ------------------------------------------------


def lease_grant(seconds: int) -> bytes:
    """LeaseGrantRequest; the server chooses the ID."""
    return number(1, seconds)


def lease_id(data: bytes) -> int:
    """Of a LeaseGrantResponse."""
    return signed(next((count for name, count, _ in fields(data) if name == 2), 0))


def version(data: bytes) -> tuple[int, ...]:
    """The server's version, of a StatusResponse: `3.4.23` as (3, 4, 23); () for what is none."""
    written = next((raw for name, _, raw in fields(data) if name == 2), b"")
    parts = written.partition(b"-")[0].split(b".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()
