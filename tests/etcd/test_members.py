"""Members of a real etcd: added as learners, promoted, removed; asked for their status, snapshots, alarms, defragmented."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pybernetes.store.backends import Location
from pybernetes.store.etcd.channel import Channel, open_channel
from pybernetes.store.etcd.cluster import NO_LEARNER, NOT_FOUND, Membership, initial_cluster, is_too_soon, settled
from pybernetes.store.etcd.http2 import RPCError
from pybernetes.store.etcd.maintenance import DIGEST_BYTES, Alarm, Maintenance, Raised
from pybernetes.store.etcd.store import open_etcd
from pybernetes.store.types import NoSpace

from . import server
from .server import Member, etcd, free_ports

PATIENCE = 180.0  # seconds
pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)


@asynccontextmanager
async def channel(*urls: str, leader: bool = True) -> AsyncIterator[Channel]:
    opened = open_channel(Location(urls), leader=leader)
    try:
        yield opened
    finally:
        await opened.close()


def test_a_member_joins_as_a_learner_and_leaves_again(tmp_path: Path) -> None:
    async def main() -> None:
        flags = ["--strict-reconfig-check=false"]  # else etcd takes no removal for 5 s
        async with etcd(tmp_path, flags=flags) as [first], channel(first.url) as opened:
            membership = Membership(opened)
            client, peer = free_ports(2)
            url = f"http://127.0.0.1:{peer}"
            added, members = await membership.add([url], learner=True)
            assert (added.peer_urls, added.learner, added.started) == ((url,), True, False)
            said = initial_cluster(members, added.id, "new")
            assert said == f"new={url},m0={first.peers}"
            with pytest.raises(RPCError) as behind:
                await membership.promote(added.id)
            assert is_too_soon(behind.value)
            second = Member(tmp_path, "new", client, peer, said, ["--initial-cluster-state=existing", *flags])
            await second.start()
            try:
                promoted = await settled(lambda: membership.promote(added.id), PATIENCE)
                [new] = [member for member in promoted if member.id == added.id]
                assert (new.name, new.client_urls, new.learner) == ("new", (second.url,), False)
                with pytest.raises(RPCError, match=NO_LEARNER):
                    await membership.promote(added.id)
                assert added.id in {member.id for member in await membership.members()}
                left = await settled(lambda: membership.remove(added.id), PATIENCE)
                assert [member.name for member in left] == ["m0"]
                with pytest.raises(RPCError, match=NOT_FOUND):
                    await membership.remove(added.id)
            finally:
                await second.stop()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_members_without_a_quorum_still_say_how_they_are(tmp_path: Path) -> None:
    async def main() -> None:
        async with etcd(tmp_path, 3) as members:
            async with channel(members[0].url) as opened:
                while not (await Maintenance(opened).status()).leader:
                    await asyncio.sleep(0.05)
            await members[1].stop()
            await members[2].stop()
            async with channel(members[0].url, leader=False) as opened:
                async with asyncio.timeout(PATIENCE):
                    while (status := await Maintenance(opened).status()).leader:
                        await asyncio.sleep(0.05)
                assert any("no leader" in error for error in status.errors)
                assert len(await Membership(opened).members(linearizable=False)) == 3
                size = sum([len(piece) async for piece, _ in Maintenance(opened).snapshot()])
                assert size > status.in_use

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_snapshot_is_whole_and_space_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with etcd(tmp_path) as [member], channel(member.url) as opened:
            store = await open_etcd(Location((member.url,)))
            for number in range(200):
                last = await store.put("/k", bytes(20_000) + str(number).encode())
            maintenance = Maintenance(opened)
            pieces = [piece async for piece, _ in maintenance.snapshot()]
            content = b"".join(pieces)
            assert hashlib.sha256(content[:-DIGEST_BYTES]).digest() == content[-DIGEST_BYTES:]
            assert len(pieces) > 10 and len(content) > 200 * 20_000
            one, other = await maintenance.hash_kv(), await maintenance.hash_kv(last.mod_revision)
            assert one.hash == other.hash != 0
            await store.compact(last.mod_revision)
            await store.close()
            before = await maintenance.status()
            await maintenance.defragment()
            while (after := await maintenance.status()).size >= before.size / 4:
                await asyncio.sleep(0.1)  # the member compacts beside what it answers
                await maintenance.defragment()
            assert after.revision == last.mod_revision
            assert (after.leader, after.errors, after.version[:2]) == (after.member, (), "3.")

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_an_alarm_is_seen_and_disarmed(tmp_path: Path) -> None:
    async def main() -> None:
        async with etcd(tmp_path, flags=["--quota-backend-bytes=2000000"]) as [member], channel(member.url) as opened:
            store = await open_etcd(Location((member.url,)))
            with pytest.raises(NoSpace):
                for number in range(100):
                    await store.put(f"/{number}", bytes(100_000))
            maintenance = Maintenance(opened)
            [raised] = await maintenance.alarms()
            status = await maintenance.status()
            assert raised == Raised(status.member, Alarm.NOSPACE)
            assert any("NOSPACE" in error for error in status.errors)
            await maintenance.disarm(raised)
            assert await maintenance.alarms() == []
            await store.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
