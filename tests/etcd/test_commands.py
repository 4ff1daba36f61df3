"""`pybernetes etcd ...` on a real etcd: over TLS with the files of `init phase certs`, and on clusters of several members."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from pybernetes.cli.main import main
from pybernetes.store.backends import Location
from pybernetes.store.etcd.store import open_etcd

from . import server
from .server import Member, etcd, free_ports

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
NO_TOOL = "" if shutil.which("etcdctl") or shutil.which("etcdutl") else "needs etcdctl (apt-get install etcd-client)"

Output = Callable[[], tuple[int, str, str]]


@contextmanager
def running(folder: Path, count: int = 1, flags: Sequence[str] = ()) -> Iterator[list[Member]]:
    """The members while a test calls commands, each of which has a loop of its own."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield runner.run(stack.enter_async_context(etcd(folder, count, flags)))
        finally:
            runner.run(stack.aclose())


class Command:
    """Calls a command and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Standard output; of a command that is to fail both."""
        self._capsys.readouterr()
        given = main(["etcd", *arguments])
        out, err = self._capsys.readouterr()
        assert given == code, (out, err)
        return out if code == 0 else out + err


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def fill(url: str, count: int, size: int = 20_000) -> None:
    async def main() -> None:
        store = await open_etcd(Location((url,)))
        try:
            for number in range(count):
                written = await store.put(f"/k{number % 10}", bytes(size))
            await store.compact(written.mod_revision)
        finally:
            await store.close()

    asyncio.run(main())


def test_by_the_files_of_a_host(tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    pki = tmp_path / "pki"
    assert main(["init", "phase", "certs", "all", f"--cert-dir={pki}", "--apiserver-advertise-address=127.0.0.1"]) == 0
    flags = [
        f"--cert-file={pki}/etcd/server.crt",
        f"--key-file={pki}/etcd/server.key",
        f"--trusted-ca-file={pki}/etcd/ca.crt",
        "--client-cert-auth",
    ]
    with running(tmp_path, flags=flags) as [member]:
        where = (f"--cert-dir={pki}", f"--endpoints={member.url}")
        [row] = json.loads(command("members", *where, "-o", "json"))
        assert (row["name"], row["started"], row["clientURLs"]) == ("m0", True, [member.url])
        table = command("health", *where)
        assert " ok " in table and "leader" in table and "1 members, of which 0 may fail" in table
        text = command("health", f"--cert-dir={tmp_path}/none", f"--endpoints={member.url}", code=1)
        assert "the files for TLS cannot be read" in text


@pytest.mark.skipif(bool(NO_TOOL), reason=NO_TOOL)
def test_a_snapshot_becomes_the_data_of_a_new_cluster(tmp_path: Path, command: Command) -> None:
    file, data = tmp_path / "snapshot.db", tmp_path / "restored" / "r0"
    with running(tmp_path) as [member]:
        fill(member.url, 30)
        assert "Snapshot saved at" in command("snapshot", "save", str(file), f"--endpoints={member.url}")
        assert file.stat().st_mode & 0o777 == 0o600
        again = command("snapshot", "save", str(file), f"--endpoints={member.url}", code=1)
        assert "is there already" in again
    before = file.read_bytes()
    told = json.loads(command("snapshot", "status", str(file), "-o", "json"))
    assert told["revision"] == 31 and told["totalKey"] >= 10
    client, peer = free_ports(2)
    arguments = (
        f"--data-dir={data}",
        "--name=r0",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        "--apiserver-advertise-address=127.0.0.1",
    )
    assert f"r0=http://127.0.0.1:{peer}" in command("restore", str(file), *arguments)
    assert data.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in data.parent.iterdir()] == ["r0"]
    assert "is not empty" in command("restore", str(file), *arguments, code=1)
    assert file.read_bytes() == before
    restored = Member(data.parent, "r0", client, peer, f"r0=http://127.0.0.1:{peer}", [])

    async def keys() -> int:
        await restored.start()
        try:
            store = await open_etcd(Location((restored.url,)))
            found = await store.list("/k")
            await store.close()
            return len(found.items)
        finally:
            await restored.stop()

    assert asyncio.run(keys()) == 10


@pytest.mark.skipif(bool(NO_TOOL), reason=NO_TOOL)
def test_a_damaged_snapshot_is_refused(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tmp_path / "good"
    with running(tmp_path) as [member]:
        command("snapshot", "save", str(good), f"--endpoints={member.url}")
    content = bytearray(good.read_bytes())
    content[5000] ^= 1
    (tmp_path / "flipped").write_bytes(content)
    (tmp_path / "short").write_bytes(content[:5000])
    (tmp_path / "empty").write_bytes(b"")
    for name, words in (
        ("flipped", "is damaged"),
        ("short", "is no snapshot"),
        ("empty", "is no snapshot"),
        ("gone", "No such"),
    ):
        arguments = (str(tmp_path / name), f"--data-dir={tmp_path}/data", "--apiserver-advertise-address=127.0.0.1")
        assert words in command("restore", *arguments, code=1)
        assert words in command("snapshot", "status", str(tmp_path / name), code=1)
        assert not (tmp_path / "data").exists()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert "apt-get install etcd-client" in command("snapshot", "status", str(good), code=1)


def test_a_lost_member_is_seen(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybernetes.deploy.etcd.asking.ASK_SECONDS", 1.0)
    with running(tmp_path, 3) as members:
        fill(members[0].url, 3)
        table = command("health", f"--endpoints={members[0].url}")
        assert "1 members" not in table and table.count(" ok ") == 1  # only the one that was named
        os.environ["ETCDCTL_ENDPOINTS"] = members[1].url.removeprefix("http://")
        try:
            table = command("health")
            assert table.count(" ok ") == 3 and "3 members, of which 1 may fail" in table
            assert table.count("leader") == 1 and table.count("follower") == 2
            asyncio.run(members[2].stop())
            text = command("health", code=1)
            assert "unreachable" in text and f"! {members[2].url}: cannot connect" in text
            asyncio.run(members[0].stop())
            told = json.loads(command("health", "-o", "json", code=1))
            assert "2 are needed: nothing is written" in told["findings"][0]
            assert [one["healthy"] for one in told["members"]] == [False] * 3
            assert len(json.loads(command("members", "-o", "json"))) == 3
            assert "not well" in command("defrag", code=1)
        finally:
            del os.environ["ETCDCTL_ENDPOINTS"]


def test_space_is_given_back_and_alarms_end(tmp_path: Path, command: Command) -> None:
    with running(tmp_path, 2, ["--quota-backend-bytes=4000000"]) as members:
        where = f"--endpoints={members[0].url}"
        assert command("alarms", "list", where) == "no alarm\n"
        with pytest.raises(Exception, match="space"):
            fill(members[0].url, 200, 100_000)
        assert "NOSPACE" in command("alarms", "list", where, code=1)
        text = command("health", where, code=1)
        assert "alarm NOSPACE" in text and "pybernetes etcd defrag" in text
        assert "disarmed" in command("alarms", "disarm", where)
        assert "->" in command("defrag", f"--endpoints={members[0].url},{members[1].url}")
