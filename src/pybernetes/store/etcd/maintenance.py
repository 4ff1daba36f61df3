"""What a single member is asked for its care: status, snapshot, defragmentation, alarms (upstream: etcdserverpb's Maintenance).

Except for alarms these are answered by the member that the channel leads to, for itself alone: a channel of one endpoint says which.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from .channel import CALL_SECONDS, Channel
from .http2 import UNAVAILABLE, RPCError
from .messages import STATUS
from .wire import fields, number, signed

ALARM, DEFRAGMENT = "/etcdserverpb.Maintenance/Alarm", "/etcdserverpb.Maintenance/Defragment"
HASH_KV, SNAPSHOT = "/etcdserverpb.Maintenance/HashKV", "/etcdserverpb.Maintenance/Snapshot"
DEFRAGMENT_SECONDS = 120.0  # the member writes its file anew, and answers nobody meanwhile
PIECE_SECONDS = 30.0  # between two pieces of a snapshot
DIGEST_BYTES = 32  # SHA-256 of all before, the last bytes of a snapshot


class Alarm(IntEnum):
    """Why a member takes no writes, or is not to be trusted."""

    NONE = 0
    NOSPACE = 1
    CORRUPT = 2


@dataclass(frozen=True, slots=True)
class Status:
    """`leader` 0: there is none. Sizes in bytes: of the file, and what of it is in use."""

    member: int = 0
    revision: int = 0
    version: str = ""
    size: int = 0
    in_use: int = 0
    leader: int = 0
    raft_index: int = 0
    raft_term: int = 0
    raft_applied: int = 0
    errors: tuple[str, ...] = ()
    learner: bool = False

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ProtobufError."""
        numbers: dict[int, int] = {}
        header, version, errors = Header(), "", []
        for place, count, raw in fields(data):
            match place:
                case 1:
                    header = Header.decode(raw)
                case 2:
                    version = raw.decode(errors="replace")
                case 8:
                    errors.append(raw.decode(errors="replace"))
                case _:
                    numbers[place] = count
        size, leader, index, term, applied, in_use, learner = (numbers.get(n, 0) for n in (3, 4, 5, 6, 7, 9, 10))
        return cls(
            member=header.member,
            revision=header.revision,
            version=version,
            size=size,
            in_use=in_use,
            leader=leader,
            raft_index=index,
            raft_term=term,
            raft_applied=applied,
            errors=tuple(errors),
            learner=bool(learner),
        )


@dataclass(frozen=True, slots=True)
class Header:
    """What every answer begins with."""

    cluster: int = 0
    member: int = 0
    revision: int = 0

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ProtobufError."""
        numbers = {place: count for place, count, _ in fields(data)}
        return cls(numbers.get(1, 0), numbers.get(2, 0), signed(numbers.get(3, 0)))


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm and whose it is."""

    member: int
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Hash:
    """Of all keys up to a revision that are not compacted: alike on all members, or one of them is damaged."""

    hash: int = 0
    compact_revision: int = 0
    header: Header = field(default_factory=Header)


class Maintenance:
    """Over a channel that somebody else closes. All raise RPCError, in etcd's words."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def status(self, seconds: float = CALL_SECONDS) -> Status:
        """Of the member that answers."""
        return Status.decode(await self._channel.call(STATUS, b"", repeat=True, seconds=seconds))

    async def alarms(self, seconds: float = CALL_SECONDS) -> list[Raised]:
        """All members'; that needs a quorum."""
        return _raised(await self._channel.call(ALARM, b"", repeat=True, seconds=seconds))

    async def disarm(self, raised: Raised) -> None:
        """An alarm goes; it comes back with the next write where its reason is still there."""
        request = number(1, 2) + number(2, raised.member) + number(3, raised.alarm)
        await self._channel.call(ALARM, request, repeat=True)

    async def defragment(self, seconds: float = DEFRAGMENT_SECONDS) -> None:
        """Gives unused space of the file back. The member answers nobody while it does: one member at a time, the leader last."""
        await self._channel.call(DEFRAGMENT, b"", seconds=seconds, attempt_seconds=seconds)

    async def hash_kv(self, revision: int = 0) -> Hash:
        """At a revision, 0 for the newest."""
        answer = await self._channel.call(HASH_KV, number(1, revision), repeat=True)
        numbers = {place: count for place, count, _ in fields(answer)}
        header = next((Header.decode(raw) for place, _, raw in fields(answer) if place == 1), Header())
        return Hash(numbers.get(2, 0), signed(numbers.get(3, 0)), header)

    async def snapshot(self) -> AsyncIterator[tuple[bytes, int]]:
        """The member's file as of now, in pieces (bytes, bytes that follow), the SHA-256 of all of it at the end.

        RPCError also where a piece does not come in time, or the answer ends early.
        """
        connection, stream = await self._channel.open(SNAPSHOT)
        stream.send(b"", last=True)
        remaining = -1
        try:
            while True:
                try:
                    async with asyncio.timeout(PIECE_SECONDS):
                        piece = await stream.receive()
                except TimeoutError:
                    self._channel.leave(connection)
                    raise RPCError(UNAVAILABLE, f"no piece of the snapshot in {PIECE_SECONDS:.0f} s") from None
                if piece is None:
                    break
                message = {place: (count, raw) for place, count, raw in fields(piece)}
                remaining = message.get(2, (0, b""))[0]
                yield message.get(3, (0, b""))[1], remaining
        finally:
            stream.cancel()
        if remaining < 0:
            raise RPCError(UNAVAILABLE, "the snapshot has ended before it began")


def _raised(answer: bytes) -> list[Raised]:
    alarms = []
    for place, _, raw in fields(answer):
        if place == 2:
            one = {at: count for at, count, _ in fields(raw)}
            kind = one.get(2, 0)
            alarms.append(Raised(one.get(1, 0), Alarm(kind) if kind in Alarm._value2member_map_ else Alarm.NONE))
    return alarms
