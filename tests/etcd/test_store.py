"""What only the store in etcd promises: members come and go, and nobody notices more than a pause.

The kind is a server that is cut off from the member it talks to, at any moment: killed, stopped, without a leader, restarted. Not met in
the wild: a write whose answer was lost, a watch far behind a compaction, a lease that is gone, values larger than a flow-control window.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.store.backends import Location, LocationError, open_store
from pybernetes.store.compaction import Compactor
from pybernetes.store.etcd import channel
from pybernetes.store.etcd import store as etcd_store
from pybernetes.store.etcd import watch as watches
from pybernetes.store.etcd.http2 import UNAVAILABLE, RPCError
from pybernetes.store.etcd.store import EtcdStore, open_etcd
from pybernetes.store.types import Compacted, Conflict, Event, KeyValue, NoSpace, Progress, StoreError

from . import server
from .server import Member, etcd

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
Scenario = Callable[[list[Member]], Awaitable[None]]


def play(folder: Path, scenario: Scenario, count: int = 1, *flags: str, seconds: float = 180) -> None:
    async def run() -> None:
        async with asyncio.timeout(seconds), etcd(folder, count, flags) as members:
            await scenario(members)

    asyncio.run(run())


async def opened(members: list[Member]) -> EtcdStore:
    return await open_etcd(Location(tuple(member.url for member in members)))


async def created(store: EtcdStore, key: str, value: bytes) -> KeyValue:
    """Tried again where it is not known whether it was done, as upstream's clients do."""
    while True:
        try:
            return await store.put(key, value, 0)
        except Conflict as conflict:
            assert conflict.current is not None
            return conflict.current
        except StoreError:
            continue


async def events_until(told: AsyncIterator[Event | Progress], revision: int) -> list[Event]:
    found = []
    async for one in told:
        if isinstance(one, Event):
            found.append(one)
        if one.revision >= revision:
            return found
    raise AssertionError("the watch ended")


@pytest.mark.parametrize("how", ["killed", "stopped", "restarted"])
def test_a_member_is_lost_and_no_event_is_missed_or_doubled(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "KEEPALIVE_SECONDS", 1.2)
    monkeypatch.setattr(channel, "KEEPALIVE_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(channel, "ATTEMPT_SECONDS", 1.0)

    async def scenario(members: list[Member]) -> None:
        writer, reader = await opened(members), await opened(members)
        start = await writer.revision()
        written: list[int] = []

        async def write() -> None:
            for n in range(300):
                written.append((await created(writer, f"/a/{n}", b"%d" % n)).mod_revision)
                await asyncio.sleep(0.005)

        writing = asyncio.create_task(write())
        seen: list[Event] = []

        async def follow() -> None:
            async for one in reader.watch("/a/", start):
                if isinstance(one, Event):
                    seen.append(one)
                    if one.key == "/a/299":
                        return

        following = asyncio.create_task(follow())
        for member in members[:2] if how == "restarted" else members[:1]:
            while len(seen) < 50:
                await asyncio.sleep(0.01)
            if how == "stopped":
                member.signal(signal.SIGSTOP)
                continue
            await member.stop()
            if how == "restarted":
                await member.start()
                await asyncio.sleep(0.5)
        await writing
        await following
        assert [event.key for event in seen] == [f"/a/{n}" for n in range(300)]
        assert [event.revision for event in seen] == written
        await writer.close()
        await reader.close()

    play(tmp_path, scenario, 3, "--grpc-keepalive-min-time=1s", seconds=180)


def test_without_a_majority_requests_end_in_time_and_go_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(members: list[Member]) -> None:
        store = await opened(members)
        await store.put("/a", b"1")
        monkeypatch.setattr(etcd_store, "CALL_SECONDS", 2.0)
        for member in members[1:]:
            await member.stop()
        for request in (store.revision(), store.put("/a", b"2"), store.delete("/a"), store.list("/")):
            async with asyncio.timeout(60):
                with pytest.raises(StoreError, match=r"."):
                    await request
        for member in members[1:]:
            await member.start()
        while True:
            try:
                await store.put("/a", b"3")
                break
            except StoreError:
                continue
        await store.close()

    play(tmp_path, scenario, 3, seconds=180)


def test_a_write_whose_answer_was_lost_is_known_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is repeated with its comparison: what stands there is what was to be written."""

    async def scenario(members: list[Member]) -> None:
        store, other = await opened(members), await opened(members)
        call = store._channel.call
        losses = 0

        async def losing(path: str, request: bytes, **options: object) -> bytes:
            nonlocal losses
            answer = await call(path, request, **options)  # type: ignore[arg-type]
            if path.endswith("/Txn") and not options.get("repeat"):
                losses += 1
                raise RPCError(UNAVAILABLE, "the connection to the server is lost")
            return answer

        monkeypatch.setattr(store._channel, "call", losing)
        first = await store.put("/a", b"1", 0)
        second = await store.put("/a", b"2", first.mod_revision)
        assert (second.create_revision, second.mod_revision) == (first.mod_revision, first.mod_revision + 1)
        with pytest.raises(StoreError, match="is not known"):  # another write may have come after it
            await store.put("/a", b"3", first.mod_revision)
        assert (await other.list("/a")).items == [second]
        with pytest.raises(StoreError, match="is lost"):  # nobody can know
            await store.put("/a", b"4")
        assert (losses, (await other.list("/a")).items[0].value) == (4, b"4")
        await store.close()
        await other.close()

    play(tmp_path, scenario)


@pytest.mark.parametrize("late", [False, True], ids=["done at once", "done after all"])
def test_a_lost_write_is_never_said_to_have_failed_nor_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Between the two attempts another client writes; or the first one, which was only delayed, comes after the second."""

    async def scenario(members: list[Member]) -> None:
        store, other = await opened(members), await opened(members)
        call = store._channel.call
        delayed: list[Callable[[], Awaitable[bytes]]] = []
        between: Callable[[], Awaitable[object]] | None = None

        async def losing(path: str, request: bytes, **options: object) -> bytes:
            if between is None or options.get("repeat") or not path.endswith("/Txn"):
                return await call(path, request, **options)  # type: ignore[arg-type]
            if late:
                delayed.append(functools.partial(call, path, request))
            else:
                await call(path, request)
            await between()
            raise RPCError(UNAVAILABLE, "the connection to the server is lost")

        monkeypatch.setattr(store._channel, "call", losing)

        async def attempt(write: Awaitable[object]) -> str:
            """What the caller may believe."""
            try:
                await write
            except Conflict:
                return "not done"
            except StoreError:
                return "unknown"
            return "done"

        first = await store.put("/a", b"1", 0)
        between = functools.partial(other.put, "/a", b"other")
        assert await attempt(store.put("/a", b"2", first.mod_revision)) == "unknown"
        last = (await other.list("/a")).items[0]
        between = functools.partial(other.delete, "/a")
        assert await attempt(store.delete("/a", last.mod_revision)) == "unknown"
        between = functools.partial(other.put, "/b", b"other")
        assert await attempt(store.put("/b", b"mine", 0)) == "unknown"
        between = functools.partial(other.list, "/")
        created = await attempt(store.put("/c", b"mine", 0))
        assert created == ("unknown" if late else "done")
        await other.delete("/c")
        before = await other.list("/")
        for write in delayed:
            await write()
        if created == "done":
            assert (await other.list("/")).items == before.items, "what was acknowledged once is done twice"
        await store.close()
        await other.close()

    play(tmp_path, scenario)


def test_a_watch_that_is_too_far_behind_says_so(tmp_path: Path) -> None:
    async def scenario(members: list[Member]) -> None:
        store, other = await opened(members), await opened(members)
        first = await store.put("/a", b"1")
        watch = store.watch("/", first.mod_revision)
        await other.put("/a", b"2")
        assert isinstance(await anext(watch), Event)
        for n in range(5):
            last = await other.put("/a", b"%d" % n)
        await other.compact(last.mod_revision)
        await other.compact(last.mod_revision)  # done already: nothing to say
        with pytest.raises(Compacted) as compacted:
            await anext(other.watch("/", first.mod_revision))
        assert compacted.value.oldest == last.mod_revision
        assert len(await events_until(watch, last.mod_revision)) == 5  # it was told before
        await store.close()
        await other.close()

    play(tmp_path, scenario)


def test_progress_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with servers that can be relied on for it: only the own prefix is sent, the rest is asked for.

    What an older server tells of its own prefix is not looked at: it may come after the progress, for which it is not relied on.
    """
    monkeypatch.setattr(watches, "reliable_progress", lambda release: True)

    async def scenario(members: list[Member]) -> None:
        store, other = await opened(members), await opened(members)
        watch = store.watch("/a/", await store.revision())
        for write in (store.put, other.put):
            last = await write("/b/1", b"")
            async with asyncio.timeout(60):
                assert await events_until(watch, last.mod_revision) == []
        await store.close()
        await other.close()

    play(tmp_path, scenario)


@pytest.mark.parametrize("size", [1_000, 70_000, 1_400_000])
def test_large_values_and_long_lists_pass_every_window(tmp_path: Path, size: int) -> None:
    async def scenario(members: list[Member]) -> None:
        store = await opened(members)
        start = await store.revision()
        count = 2500 if size == 1_000 else 30
        for first in range(0, count, 10):
            await asyncio.gather(
                *(store.put(f"/a/{n:05}", b"%05d" % n * (size // 5)) for n in range(first, first + 10))
            )
        page = await store.list("/a/")
        assert [item.value for item in page.items] == [b"%05d" % n * (size // 5) for n in range(count)]
        assert len(await events_until(store.watch("/a/", start), page.revision)) == count
        some = await store.list("/a/", after="/a/00003", limit=3)
        assert ([item.key for item in some.items], some.more) == (["/a/00004", "/a/00005", "/a/00006"], True)
        await store.close()

    play(tmp_path, scenario, seconds=180)


def test_keys_end_with_their_lease_which_is_shared(tmp_path: Path) -> None:
    async def scenario(members: list[Member]) -> None:
        store = await opened(members)
        store._leases._clock = lambda: 0.0  # however long the twenty take, it is one moment
        for n in range(20):
            await store.put(f"/a/{n}", b"", ttl=5)
        kept = await store.put("/kept", b"")
        command = ["etcdctl", f"--endpoints={members[0].url}", "lease", "list"]
        environment = {"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin:/usr/local/bin"}
        listed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=environment)
        assert "found 1 leases" in listed.stdout
        gone = await events_until(store.watch("/", kept.mod_revision), kept.mod_revision + 1)
        assert gone[0].current is None
        while (await store.list("/a/")).items:
            await asyncio.sleep(0.05)
        assert (await store.list("/kept")).items == [kept]
        store._leases._last[5].number += 1  # as after a long pause: etcd has forgotten it
        await store.put("/a/0", b"", ttl=5)
        await store.close()

    play(tmp_path, scenario)


def test_a_full_etcd_is_read_and_compacted(tmp_path: Path) -> None:
    """Deletions that compare are transactions, which releases before 3.6 refuse then."""

    async def scenario(members: list[Member]) -> None:
        store = await opened(members)
        with pytest.raises(NoSpace, match="etcdserver: mvcc: database space exceeded"):
            for n in range(200):
                await store.put("/a", b"%d" % n * 100_000)
        assert len((await store.list("/")).items) == 1
        before = await store.revision()
        compactor = Compactor(store, 300.0, VirtualClock())
        await compactor.round()
        await compactor.round()
        with pytest.raises(Compacted):
            await store.list("/", revision=before - 1)
        await store.close()

    play(tmp_path, scenario, 1, "--quota-backend-bytes=16777216")


def test_over_tls_with_a_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca")
    (tmp_path / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        )
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.crt", "-extfile", "san",
        )  # fmt: skip
    at = {name: str(tmp_path / name) for name in ("ca.crt", "client.crt", "client.key")}

    async def scenario(members: list[Member]) -> None:
        url = (members[0].url,)
        store = await open_store(Location(url, at["ca.crt"], at["client.crt"], at["client.key"]))
        written = await store.put("/a", b"1")
        assert (await store.list("/a")).items == [written]
        await store.close()
        monkeypatch.setattr(etcd_store, "CALL_SECONDS", 2.0)
        for location in (Location(url), Location(url, at["ca.crt"])):
            with pytest.raises(StoreError, match=r"cannot connect to|is lost"):
                await open_store(location)
        with pytest.raises(LocationError, match="the files for TLS cannot be read"):
            await open_store(Location(url, str(tmp_path / "none")))

    flags = ("cert-file=server.crt", "key-file=server.key", "trusted-ca-file=ca.crt")
    options = [f"--{name}={tmp_path / file}" for name, file in (flag.split("=") for flag in flags)]
    play(tmp_path, scenario, 1, *options, "--client-cert-auth", seconds=180)
