"""An etcd of a test's own: one member or several, in a folder, on free ports."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from ..ports import free_port

BINARY = shutil.which("etcd")
WHY_NOT = "" if BINARY else "etcd is not installed (apt-get install etcd-server)"
START_SECONDS = 60.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, each another one."""
    ports = set[int]()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


class Member:
    """One process; `stop` and `start` may follow each other."""

    def __init__(self, folder: Path, name: str, client: int, peer: int, cluster: str, flags: Sequence[str]) -> None:
        self.name, self.port = name, client
        self.scheme = "https" if any("--cert-file" in flag for flag in flags) else "http"
        self.url = f"{self.scheme}://127.0.0.1:{client}"
        self.peer, self.cluster = peer, cluster
        self.peers = peers = f"http://127.0.0.1:{peer}"
        self._log = folder / f"{name}.log"
        self._command = [
            BINARY or "etcd",
            f"--name={name}",
            f"--data-dir={folder / name}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster={cluster}",
            "--unsafe-no-fsync",
            "--heartbeat-interval=100",
            "--election-timeout=1000",
            "--log-level=error",
            *flags,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when the port is open."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                except OSError:
                    assert self._process.poll() is None, self._log.read_text()
                    await asyncio.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """To the process."""
        if self._process is not None:
            self._process.send_signal(number)

    async def stop(self) -> None:
        """At once."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None


@asynccontextmanager
async def etcd(folder: Path, count: int = 1, flags: Sequence[str] = ()) -> AsyncIterator[list[Member]]:
    """A cluster of so many members, empty."""
    ports = free_ports(2 * count)
    peers = ports[count:]
    cluster = ",".join(f"m{n}=http://127.0.0.1:{port}" for n, port in enumerate(peers))
    members = [Member(folder, f"m{n}", ports[n], peers[n], cluster, flags) for n in range(count)]
    async with AsyncExitStack() as stack:
        for member in members:
            stack.push_async_callback(member.stop)
        await asyncio.gather(*(member.start() for member in members))
        yield members
