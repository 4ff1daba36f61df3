"""An API server whose etcd is full, away, without a majority, too far ahead, or not to be trusted.

The kind is a store that answers otherwise than it should, for longer than anybody waits. Upstream's words and codes are the measure. Not met
in the wild: a member that is there and alone, a certificate that begins in an hour, events that were compacted while a watch was cut.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pybernetes.client.http import HTTPClient
from pybernetes.pki.certificates import Subject
from pybernetes.pki.files import write

from . import server
from .faults.clients import HEADERS
from .faults.cluster import Cluster, cluster, write_certificates
from .faults.hosts import loopback
from .faults.processes import Process, apiserver_command, trusting

pytestmark = pytest.mark.skipif(bool(server.WHY_NOT), reason=server.WHY_NOT)
MAPS = "/api/v1/namespaces/default/configmaps"


class Asking:
    """A client of one API server."""

    def __init__(self, running: Cluster, number: int = 0) -> None:
        self.http = HTTPClient(running.servers[number].url, trusting(running.folder))

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(code, JSON or text)."""
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self.http.request(method, path, HEADERS, data, timeout=120)
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, answer.body.decode()

    async def create(self, name: str, data: str = "", query: str = "") -> tuple[int, Any]:
        return await self.send("POST", MAPS + query, {"metadata": {"name": name}, "data": {"a": data}})

    async def until(self, path: str, code: int) -> Any:
        """Asks until it is so."""
        while True:
            found, answer = await self.send("GET", path)
            if found == code:
                return answer
            await asyncio.sleep(0.1)


Scenario = Callable[[Cluster, Asking], Awaitable[None]]


def play(
    folder: Path, scenario: Scenario, members: int = 1, etcd_flags: tuple[str, ...] = (), servers: int = 1
) -> None:
    async def run() -> None:
        names = [f"etcd{n}" for n in range(members)] + [f"api{n}" for n in range(servers)]
        with loopback(names) as hosts:
            async with asyncio.timeout(180), cluster(folder, hosts, members, etcd_flags) as running:
                asking = Asking(running)
                try:
                    await scenario(running, asking)
                finally:
                    await asking.http.close()

    asyncio.run(run())


def test_a_full_etcd_is_read_says_why_and_is_mended(tmp_path: Path) -> None:
    async def scenario(running: Cluster, asking: Asking) -> None:
        count = 0
        while (answered := await asking.create(f"m{count}", "x" * 500_000))[0] == 201:
            count += 1
        code, status = answered
        assert (code, status["message"]) == (500, "etcdserver: mvcc: database space exceeded")
        assert "reason" not in status
        listed = len((await asking.send("GET", MAPS))[1]["items"])
        # etcd looks at its quota before its log, and again where it does what is in the log: such a write is done, and told as refused.
        assert listed in (count, count + 1)
        assert (await asking.send("GET", f"{MAPS}/m0"))[0] == 200
        assert (await asking.send("GET", "/readyz/etcd"))[1] == "ok"  # it answers
        assert running.servers[0].log.read_text().count("etcd is full and takes no writes") == 1
        for n in range(listed):
            await asyncio.to_thread(running.control, "del", f"/registry/configmaps/default/m{n}")
        status = json.loads(await asyncio.to_thread(running.control, "endpoint", "status", "-w", "json"))
        await asyncio.to_thread(running.control, "compact", str(status[0]["Status"]["header"]["revision"]))
        await asyncio.to_thread(running.control, "defrag")
        await asyncio.to_thread(running.control, "alarm", "disarm")
        assert (await asking.create("after"))[0] == 201
        assert [one["metadata"]["name"] for one in (await asking.send("GET", MAPS))[1]["items"]] == ["after"]
        assert "etcd takes writes again" in running.servers[0].log.read_text()

    play(tmp_path, scenario, etcd_flags=("--quota-backend-bytes=16777216",))


@pytest.mark.parametrize("how", ["frozen", "without a majority"])
def test_etcd_is_away(tmp_path: Path, how: str) -> None:
    """What is known is told to who asks for that; all else fails in its time, and nothing is left over."""

    async def scenario(running: Cluster, asking: Asking) -> None:
        away = running.members[:2] if how == "without a majority" else running.members
        assert (await asking.create("before"))[0] == 201
        await asking.until("/readyz", 200)
        for member in away:
            if how == "frozen":
                member.signal(signal.SIGSTOP)
            else:
                await member.kill()
        for code, _ in await asyncio.gather(
            *(asking.send("GET", path) for path in ("/readyz", "/readyz/etcd", "/livez/etcd", "/healthz"))
        ):
            assert code == 500
        code, listed = await asking.send("GET", f"{MAPS}?resourceVersion=0")
        assert (code, [one["metadata"]["name"] for one in listed["items"]]) == (200, ["before"])
        assert (await asking.send("GET", f"{MAPS}/before?resourceVersion=0"))[0] == 200
        size = memory(running.servers[0])
        requests = [asking.create(f"m{n}", "x" * 100_000, "?timeout=2s") for n in range(100)]
        requests += [asking.send("GET", f"{MAPS}?timeout=2s") for _ in range(20)]
        codes = {code for code, _ in await asyncio.gather(*requests)}
        assert codes <= {500, 504}
        assert memory(running.servers[0]) - size < 60 << 20
        for member in away:
            if how == "frozen":
                member.signal(signal.SIGCONT)
            else:
                member.begin()
        await asking.until("/readyz", 200)
        assert (await asking.create("after"))[0] == 201
        names = {one["metadata"]["name"] for one in (await asking.send("GET", MAPS))[1]["items"]}
        assert {"before", "after"} <= names

    play(tmp_path, scenario, members=3 if how == "without a majority" else 1)


def test_a_server_ends_at_once_where_etcd_is_gone(tmp_path: Path) -> None:
    """Whoever stops it waits: it says that its lease runs out, and no traceback."""

    async def scenario(running: Cluster, asking: Asking) -> None:
        await asking.until("/readyz", 200)
        for member in running.members:
            await member.kill()
        server = running.servers[0]
        server.signal(signal.SIGTERM)
        while server.running:
            await asyncio.sleep(0.05)
        log = server.log.read_text()
        assert "its lease runs out: no answer of the store in 2 s" in log  # it waited for the 10 s of a call before
        assert "Traceback" not in log

    play(tmp_path, scenario)


def memory(process: Process) -> int:
    """Bytes that it has now."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_what_came_while_the_watch_was_cut_and_was_compacted_is_listed(tmp_path: Path) -> None:
    """The server was asleep meanwhile: clients' watches end, and what is listed anew has everything."""

    async def scenario(running: Cluster, asking: Asking) -> None:
        assert (await asking.create("before"))[0] == 201
        _, known = await asking.send("GET", MAPS)
        version = known["metadata"]["resourceVersion"]
        watch = asyncio.create_task(asking.send("GET", f"{MAPS}?watch=1&resourceVersion={version}"))
        other = Asking(running, 1)
        running.servers[0].signal(signal.SIGSTOP)
        await running.members[0].kill()  # the connection ends, and what is on it already
        await running.members[0].start()
        await other.until("/readyz", 200)
        assert (await other.send("DELETE", f"{MAPS}/before"))[0] == 200
        assert (await other.create("after"))[0] == 201
        status = json.loads(await asyncio.to_thread(running.control, "endpoint", "status", "-w", "json"))
        await asyncio.to_thread(running.control, "compact", str(status[0]["Status"]["header"]["revision"]))
        running.servers[0].signal(signal.SIGCONT)
        _, ended = await watch
        assert ended == ""
        while True:
            code, listed = await asking.send("GET", MAPS)
            if code == 200:
                break
        assert [one["metadata"]["name"] for one in listed["items"]] == ["after"]
        code, event = await asking.send("GET", f"{MAPS}?watch=1&resourceVersion={version}")
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert "everything is listed anew" in running.servers[0].log.read_text()
        await other.http.close()

    play(tmp_path, scenario, servers=2)


def test_an_etcd_that_cannot_be_trusted_is_told_in_words(tmp_path: Path) -> None:
    """By another authority, at the start; later with a certificate that begins in an hour, as of a clock that is ahead of ours."""

    async def scenario(running: Cluster, asking: Asking) -> None:
        [member], folder = running.members, running.folder
        other = tmp_path / "other"
        other.mkdir()
        write_certificates(other, ["127.0.0.1"])
        said = await refused(running, other)
        assert said.count(f"cannot connect to {member.url}: ") == 1 and "certificate verify failed" in said

        files = folder / "etcd.crt", folder / "etcd.key"
        right, later = [file.read_bytes() for file in files], datetime.now(UTC) + timedelta(hours=1)
        ahead = running.authority.issue(Subject("etcd", addresses=["127.0.0.1"], server=True), later)
        await replaced(member, dict(zip(files, (ahead.certificate, ahead.key), strict=True)))
        code, status = await asking.create("m")
        assert code == 500
        assert re.search(r"certificate is not yet valid.*: the clock here says \d{4}-.*Z", status["message"])
        await replaced(member, dict(zip(files, right, strict=True)))
        await asking.until("/readyz", 200)
        assert (await asking.create("m"))[0] == 201
        assert "certificate is not yet valid" in running.servers[0].log.read_text()

    play(tmp_path, scenario)


async def replaced(member: Process, files: dict[Path, bytes]) -> None:
    """A member that has been started again with these."""
    await member.kill()
    for file, data in files.items():
        write(file, data)
    await member.start()


async def refused(running: Cluster, folder: Path) -> str:
    """What an API server with the files of this folder ends with."""
    host = running.servers[0].host
    command = apiserver_command(host, server.free_ports(1)[0], [running.members[0].url], folder, ())
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode not in (0, None)
    return out.decode()
