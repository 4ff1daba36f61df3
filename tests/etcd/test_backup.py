"""A cluster comes back from its backup: of etcd as members' data, of SQLite as its file; and one of SQLite goes on in three members."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.deploy import backup

from . import server
from .server import Member, etcd, free_ports
from .test_copy import DEFINITION, MAPS, copy, running, shown

WITHOUT = server.WHY_NOT or ("" if shutil.which("etcdctl") or shutil.which("etcdutl") else "etcdctl is not installed")
pytestmark = pytest.mark.skipif(bool(WITHOUT), reason=WITHOUT)


async def pybernetes(*arguments: str) -> str:
    command = [sys.executable, "-m", "pybernetes", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_single_node_grows_into_three_members(tmp_path: Path) -> None:
    """As docs/operations.md says it: backup of the running node, restore, copy into an etcd that is empty."""

    async def main() -> None:
        database, out, new = tmp_path / "one" / "state.db", tmp_path / "backup.tar.gz", tmp_path / "new"
        async with running(f"--store=sqlite:{database}") as client:
            for number in range(20):
                body = {"metadata": {"name": f"m{number}"}, "data": {"a": str(number)}}
                assert (await client.send("POST", MAPS, body))[0] == 201
            code, answer = await client.send(
                "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION
            )
            assert code == 201, answer
            thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "x": [1.5, None]}
            while (await client.send("POST", "/apis/example.com/v1/things", thing))[0] == 404:
                await asyncio.sleep(0.02)
            before = await shown(client)
            await backup.make(out, (), database, "one", datetime.now(UTC))
        await pybernetes("restore", str(out), f"--root={new}")
        restored = new / str(database).lstrip("/")
        async with etcd(tmp_path, 3) as members:
            await copy(f"sqlite:{restored}", ",".join(member.url for member in members))
            async with running(f"--etcd-servers={members[2].url}") as client:
                now = await shown(client)
                assert {key: now[key] for key in before} == before

    asyncio.run(asyncio.wait_for(main(), 120))


def test_members_are_restored_on_fresh_hosts(tmp_path: Path) -> None:
    async def main() -> None:
        out, folder = tmp_path / "backup.tar.gz", tmp_path / "host"
        (folder / "pki").mkdir(parents=True)
        (folder / "pki/ca.key").write_text("secret")
        async with etcd(tmp_path) as [member]:
            async with running(f"--etcd-servers={member.url}") as client:
                body = {"metadata": {"name": "m"}, "data": {"a": "b"}}
                assert (await client.send("POST", MAPS, body))[0] == 201
                before = await client.send("GET", f"{MAPS}/m")
            where = (f"--kubeconfig-dir={folder}", f"--cert-dir={folder}/pki", f"--endpoints={member.url}")
            assert "etcd" in await pybernetes("backup", str(out), *where)
        ports = free_ports(4)
        cluster = ",".join(f"r{n}=http://127.0.0.1:{port}" for n, port in enumerate(ports[2:]))
        restored = []
        for number in range(2):
            root = tmp_path / f"new{number}"
            await pybernetes(
                "restore",
                str(out),
                f"--root={root}",
                f"--data-dir=/r{number}",
                f"--name=r{number}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{ports[2 + number]}",
                f"--initial-cluster={cluster}",
                "--apiserver-advertise-address=127.0.0.1",
            )
            assert (root / str(folder).lstrip("/") / "pki/ca.key").read_text() == "secret"
            restored.append(Member(root, f"r{number}", ports[number], ports[2 + number], cluster, []))
        try:
            await asyncio.gather(*(one.start() for one in restored))
            async with running(f"--etcd-servers={restored[1].url}") as client:
                assert await client.send("GET", f"{MAPS}/m") == before  # with its resource version
        finally:
            for one in restored:
                await one.stop()

    asyncio.run(asyncio.wait_for(main(), 120))
