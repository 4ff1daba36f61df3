"""The members of an etcd cluster: who they are, and one more or one less (etcd's api/etcdserverpb/rpc.proto, service Cluster).

A new member comes as a learner: it gets the data and has no vote, so that one that never starts cannot cost the others their majority.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ..backends import Location
from .channel import Channel, Endpoint, tls_context
from .http2 import RPCError
from .wire import chunk, fields, number

MEMBER_ADD, MEMBER_REMOVE = "/etcdserverpb.Cluster/MemberAdd", "/etcdserverpb.Cluster/MemberRemove"
MEMBER_LIST, MEMBER_PROMOTE = "/etcdserverpb.Cluster/MemberList", "/etcdserverpb.Cluster/MemberPromote"

TRY_SECONDS = 0.2  # between two tries of what waits for another member
# What passes by itself: a learner that has not caught up, members that have started a moment ago.
PASSING = ("in sync with leader", "not enough started members", "unhealthy cluster", "no leader", "leader changed")


@dataclass(frozen=True, slots=True)
class Member:
    """`name` is "" until it has started for the first time."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool = False

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """etcdserverpb.Member. ProtobufError."""
        id_, name, learner = 0, "", False
        peers: list[str] = []
        clients: list[str] = []
        for field, count, raw in fields(data):
            match field:
                case 1:
                    id_ = count
                case 2:
                    name = raw.decode(errors="replace")
                case 3:
                    peers.append(raw.decode(errors="replace"))
                case 4:
                    clients.append(raw.decode(errors="replace"))
                case 5:
                    learner = bool(count)
        return cls(id_, name, tuple(peers), tuple(clients), learner)


class Members:
    """Between its making and `close`. All of it raises RPCError, UNAVAILABLE or DEADLINE_EXCEEDED where no member answers."""

    def __init__(self, location: Location) -> None:
        """`location`: client URLs of one or several members. LocationError."""
        endpoints = [Endpoint(url) for url in location.urls]
        context = functools.partial(tls_context, location) if any(endpoint.tls for endpoint in endpoints) else None
        if context is not None:
            context()  # files that cannot be read are told at once
        self._channel = Channel(endpoints, context)

    async def list(self) -> Sequence[Member]:
        """As the majority knows them."""
        return _members(await self._channel.call(MEMBER_LIST, number(1, True), repeat=True), 2)

    async def add_learner(self, peer_urls: Sequence[str], seconds: float) -> Sequence[Member]:
        """All members with the new one among them, which may start now; it is tried again while members are only just coming up."""
        request = b"".join(chunk(1, url.encode()) for url in peer_urls) + number(2, True)
        return _members(await self._patiently(MEMBER_ADD, request, seconds), 3)

    async def promote(self, member_id: int, seconds: float) -> None:
        """Gives a learner its vote, as soon as it has caught up."""
        await self._patiently(MEMBER_PROMOTE, number(1, member_id), seconds)

    async def remove(self, member_id: int, seconds: float) -> None:
        """Takes a member out; it ends by itself."""
        await self._patiently(MEMBER_REMOVE, number(1, member_id), seconds)

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close()

    async def _patiently(self, path: str, request: bytes, seconds: float) -> bytes:
        end = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                return await self._channel.call(path, request)
            except RPCError as error:
                passing = error.unsent or any(text in error.message for text in PASSING)
                if not passing or asyncio.get_running_loop().time() > end:
                    raise
            await asyncio.sleep(TRY_SECONDS)


def _members(answer: bytes, field: int) -> Sequence[Member]:
    return [Member.decode(raw) for name, _, raw in fields(answer) if name == field]
