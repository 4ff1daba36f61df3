"""Leases for keys that end by themselves, each for many keys (upstream: storage/etcd3/lease_manager.go).

A lease of its own for each key would be two writes for each; keys that are written within the same minute end together instead, none before
its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .channel import Channel
from .messages import LEASE_GRANT, lease_grant, lease_id

REUSE_SECONDS = 60.0  # that a lease is taken for new keys, at the most
REUSE_SHARE = 0.05  # of its time to live, else
MAX_KEYS = 1000  # of one lease: their end is one write of etcd's


@dataclass(slots=True)
class _Lease:
    number: int
    until: float  # when it is too old for new keys
    keys: int = 0


class Leases:
    """`clock` in seconds."""

    def __init__(self, channel: Channel, clock: Callable[[], float]) -> None:
        self._channel, self._clock = channel, clock
        self._last: dict[int, _Lease] = {}  # by time to live
        self._lock = asyncio.Lock()
        self.reuse_seconds = REUSE_SECONDS

    async def get(self, ttl: int) -> int:
        """One that holds for `ttl` seconds from now, and hardly longer. RPCError."""
        async with self._lock:
            lease = self._last.get(ttl)
            if lease is None or lease.keys >= MAX_KEYS or self._clock() >= lease.until:
                reuse = min(ttl * REUSE_SHARE, self.reuse_seconds)
                until = self._clock() + reuse
                answer = await self._channel.call(LEASE_GRANT, lease_grant(ttl + int(reuse)), repeat=True)
                lease = self._last[ttl] = _Lease(lease_id(answer), until)
            lease.keys += 1
            return lease.number

    def forget(self, number: int) -> None:
        """A lease that etcd does not know any more."""
        self._last = {ttl: lease for ttl, lease in self._last.items() if lease.number != number}
