"""One member more, or one less, of the etcd on control-plane hosts (upstream: cmd/kubeadm/app/phases/etcd/local.go, util/etcd).

A new member comes as a learner and gets its vote when it has caught up. Each step looks first at what is there: after a kill
between two of them the next run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pybernetes.component.command import Failure
from pybernetes.deploy.daemons import etcd
from pybernetes.deploy.daemons.model import Host
from pybernetes.deploy.etcd.access import opened
from pybernetes.store.backends import Location, LocationError
from pybernetes.store.etcd.cluster import Member, Membership, settled
from pybernetes.store.etcd.http2 import RPCError

T = TypeVar("T")

SECONDS = 120.0  # kubeadm's etcdAPICall


def joined(this: Host, others: Sequence[Host], certificates: Path, data: Path) -> Sequence[Host]:
    """Makes this host's member known to the others; the members that it starts with. Failure."""

    async def work(membership: Membership) -> Sequence[Host]:
        mine = etcd.peer_url(this)
        members = await membership.members()
        own = _own(members, this)
        if own is not None and own.started and not (data / "member").exists():
            # It ran, and its data is gone: etcd would never take it for the same one again.
            identity = own.id
            await settled(lambda: membership.remove(identity), SECONDS)
            own = None
        if own is None:
            _, members = await settled(lambda: membership.add([mine], learner=True), SECONDS)
        return [host for member in members if (host := _host(member, this)) is not None]

    return _asked(others, certificates, work)


def promoted(this: Host, others: Sequence[Host], certificates: Path) -> None:
    """Gives this host's member its vote. Failure."""

    async def work(membership: Membership) -> None:
        own = _own(await membership.members(), this)
        if own is not None and own.learner:
            identity = own.id
            await settled(lambda: membership.promote(identity), SECONDS)

    _asked([*others, this], certificates, work)


def removed(this: Host, others: Sequence[Host], certificates: Path, seconds: float) -> bool:
    """Takes this host's member out; whether there was one beside others. Failure."""

    async def work(membership: Membership) -> bool:
        members = await membership.members(seconds=seconds)
        own = _own(members, this)
        if own is None or len(members) == 1:
            return False
        identity = own.id
        await settled(lambda: membership.remove(identity), seconds)
        return True

    return _asked([this, *others], certificates, work)


def _own(members: Sequence[Member], this: Host) -> Member | None:
    return next((member for member in members if etcd.peer_url(this) in member.peer_urls), None)


def _host(member: Member, this: Host) -> Host | None:
    """Of a member's peer URL; what never started and is not this host is left out: it has no name to be called by."""
    if etcd.peer_url(this) in member.peer_urls:
        return this
    address = urlsplit(member.peer_urls[0]).hostname if member.peer_urls else ""
    return Host(member.name, address) if member.name and address else None


def _asked(hosts: Sequence[Host], certificates: Path, work: Callable[[Membership], Awaitable[T]]) -> T:
    if not hosts:
        raise Failure(
            "no member of the cluster's etcd is known: no Node has the label node-role.kubernetes.io/control-plane"
        )
    folder = certificates / "etcd"
    files = [str(folder / name) for name in ("ca.crt", "healthcheck-client.crt", "healthcheck-client.key")]
    location = Location(tuple(etcd.client_url(host) for host in hosts), *files)

    async def ask() -> T:
        async with opened(location) as channel:
            return await work(Membership(channel))

    try:
        return asyncio.run(ask())
    except (RPCError, LocationError) as error:
        raise Failure(f"etcd at {', '.join(location.urls)}: {error}") from error
