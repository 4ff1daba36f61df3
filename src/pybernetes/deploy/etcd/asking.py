"""Asks each member of etcd how it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pybernetes.store.backends import Location, LocationError
from pybernetes.store.etcd.cluster import Member, Membership
from pybernetes.store.etcd.http2 import RPCError
from pybernetes.store.etcd.maintenance import Maintenance, Raised
from pybernetes.store.etcd.messages import RANGE, Range

from .access import at, opened
from .health import Answer

if TYPE_CHECKING:
    from pybernetes.store.etcd.channel import Channel

ASK_SECONDS = 4.0  # an election takes one
PROBE_KEY = b"health"  # read, never written; etcdctl's


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a cluster: its members, an answer for each endpoint, alarms."""

    members: list[Member]
    answers: list[Answer]
    alarms: list[Raised]


async def members(where: Location) -> list[Member]:
    """As whichever member knows them that answers, also without a quorum. RPCError, LocationError."""
    async with opened(where) as channel:
        return await Membership(channel).members(linearizable=False, seconds=ASK_SECONDS)


async def everything(where: Location, only_these: bool = False) -> Asked:
    """Each member, or with `only_these` each endpoint of the location. RPCError where not even one says who the members are."""
    async with opened(where) as channel:
        members = await Membership(channel).members(linearizable=False, seconds=ASK_SECONDS)
        urls = where.urls if only_these else endpoints(members)
        answers, alarms = await asyncio.gather(asyncio.gather(*(ask(where, url) for url in urls)), _alarms(channel))
    return Asked(members, list(answers), alarms)


async def _alarms(channel: Channel) -> list[Raised]:
    """None without a quorum: nobody says then, and that there is no quorum stands in the answers."""
    try:
        return await Maintenance(channel).alarms(ASK_SECONDS)
    except RPCError:
        return []


def endpoints(members: Sequence[Member]) -> tuple[str, ...]:
    """An address of each member that has started."""
    return tuple(member.client_urls[0] for member in members if member.client_urls)


async def ask(where: Location, url: str) -> Answer:
    """One endpoint; what goes wrong is in the answer."""
    try:
        async with opened(at(where, url)) as channel:
            status = await Maintenance(channel).status(ASK_SECONDS)
            if status.learner:
                return Answer(url, status, 0.0)
            begin = time.monotonic()
            try:
                await channel.call(RANGE, Range(PROBE_KEY).encode(), repeat=True, seconds=ASK_SECONDS)
            except RPCError as error:
                return Answer(url, status, None, error.message)
            return Answer(url, status, time.monotonic() - begin, "; ".join(status.errors))
    except (RPCError, LocationError) as error:
        return Answer(url, problem=str(error))
