"""The members of an etcd cluster: who they are, adding, promoting, removing (upstream: etcdserverpb's Cluster, clientv3/cluster.go)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from .channel import CALL_SECONDS, Channel
from .http2 import RPCError
from .wire import fields, number, text

LIST, ADD = "/etcdserverpb.Cluster/MemberList", "/etcdserverpb.Cluster/MemberAdd"
REMOVE, PROMOTE = "/etcdserverpb.Cluster/MemberRemove", "/etcdserverpb.Cluster/MemberPromote"
UPDATE = "/etcdserverpb.Cluster/MemberUpdate"

T = TypeVar("T")

AGAIN_SECONDS = 0.2
# What etcd says to a promotion that may succeed a moment later, and of one that has been done.
LEARNER_BEHIND = "can only promote a learner member which is in sync with leader"
NO_LEARNER = "can only promote a learner member"
UNHEALTHY, NOT_FOUND = "unhealthy cluster", "member not found"


@dataclass(frozen=True, slots=True)
class Member:
    """`name` and `client_urls` are empty until the member has started for the first time; a learner has no vote yet."""

    id: int
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    client_urls: tuple[str, ...] = ()
    learner: bool = False

    @property
    def hex(self) -> str:
        """The ID as etcdctl writes it."""
        return f"{self.id:x}"

    @property
    def started(self) -> bool:
        """Whether it has ever been seen by the others."""
        return bool(self.name)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ProtobufError."""
        identity, name, learner = 0, "", False
        peers, clients = [], []
        for place, count, raw in fields(data):
            match place:
                case 1:
                    identity = count
                case 2:
                    name = raw.decode(errors="replace")
                case 3:
                    peers.append(raw.decode(errors="replace"))
                case 4:
                    clients.append(raw.decode(errors="replace"))
                case 5:
                    learner = bool(count)
        return cls(identity, name, tuple(peers), tuple(clients), learner)


class Membership:
    """Of the cluster that a channel leads to; who made the channel closes it. All raise RPCError, in etcd's words.

    Changes are agreed on by the members: without a quorum they fail after the channel's time. What has not been answered may have been
    done: look at `members` before another try. etcd refuses changes that would cost the quorum (UNHEALTHY).
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def members(self, *, linearizable: bool = True, seconds: float = CALL_SECONDS) -> list[Member]:
        """By name, those that have never started first. Not `linearizable`: as the member knows it that answers, also without a quorum."""
        answer = await self._channel.call(LIST, number(1, linearizable), repeat=True, seconds=seconds)
        return _members(answer, 2)

    async def add(self, peer_urls: Sequence[str], *, learner: bool = False) -> tuple[Member, list[Member]]:
        """The new one and all of them: what its --initial-cluster has to say before it starts."""
        request = b"".join(text(1, url.encode()) for url in peer_urls) + number(2, learner)
        answer = await self._channel.call(ADD, request)
        added = next((Member.decode(raw) for place, _, raw in fields(answer) if place == 2), Member(0))
        return added, _members(answer, 3)

    async def promote(self, identity: int) -> list[Member]:
        """A learner gets a vote. LEARNER_BEHIND: not yet; NO_LEARNER: it has one already."""
        return _members(await self._channel.call(PROMOTE, number(1, identity)), 2)

    async def remove(self, identity: int) -> list[Member]:
        """It leaves for ever; its data are of no use any more. NOT_FOUND where it has left already."""
        return _members(await self._channel.call(REMOVE, number(1, identity)), 2)

    async def update(self, identity: int, peer_urls: Sequence[str]) -> list[Member]:
        """Other members find it there from now on."""
        request = number(1, identity) + b"".join(text(2, url.encode()) for url in peer_urls)
        return _members(await self._channel.call(UPDATE, request), 2)


def is_too_soon(error: RPCError) -> bool:
    """Whether a change may be taken a moment later: a learner is behind, or a member connected less than 5 s ago."""
    return LEARNER_BEHIND in error.message or UNHEALTHY in error.message


async def settled(change: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Tries a change until etcd does not say any more that it is too soon. RPCError: the last one after so long, others at once."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await change()
        except RPCError as error:
            if not is_too_soon(error) or asyncio.get_running_loop().time() > end:
                raise
        await asyncio.sleep(AGAIN_SECONDS)


def initial_cluster(members: Sequence[Member], identity: int, name: str) -> str:
    """What a member that was just added is started with: NAME=URL of all, its own name for the one that has none yet."""
    named = ((name if one.id == identity else one.name, url) for one in members for url in one.peer_urls)
    return ",".join(f"{name}={url}" for name, url in named if name)


def _members(answer: bytes, place: int) -> list[Member]:
    members = [Member.decode(raw) for at, _, raw in fields(answer) if at == place]
    return sorted(members, key=lambda member: (member.name, member.id))
