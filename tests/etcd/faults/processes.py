"""Processes that can be killed, frozen and started again: a member of etcd, an API server."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .hosts import Host

START_SECONDS = 60.0
TOKEN = "of-the-administrator"


class Process:
    """`start` and `kill` follow each other as often as one likes."""

    def __init__(self, host: Host, port: int, command: Sequence[str], log: Path) -> None:
        self.host, self.port, self.name = host, port, host.name
        self.url = f"https://{host.address}:{port}"
        self.log = log
        self._command = (*host.command, *command)
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    @property
    def running(self) -> bool:
        """False: it was killed, or has ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process; it is running."""
        assert self._process is not None
        return self._process.pid

    def begin(self) -> None:
        """Starts it; it may take a moment until it answers."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)

    async def answers(self) -> None:
        """Returns when its port is open; AssertionError where it has ended instead."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection(self.host.address, self.port)
                    writer.close()
                    return
                except OSError:
                    assert self.running, f"{self.name} has ended: {self.log.read_text()[-3000:]}"
                    await asyncio.sleep(0.05)

    async def start(self) -> None:
        """As `begin`, and returns when its port is open."""
        self.begin()
        await self.answers()

    def signal(self, number: signal.Signals) -> None:
        """To the process, if there is one."""
        if self.running:
            assert self._process is not None
            self._process.send_signal(number)

    async def kill(self) -> None:
        """At once, as when the power fails; frozen ones as well."""
        if self._process is not None:
            self.kills += self.running
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None


def etcd_command(host: Host, ports: tuple[int, int], cluster: str, folder: Path, flags: Sequence[str]) -> list[str]:
    """Of a member with TLS on both of its ports; `folder` has the certificates, and will have its data."""
    client, peer = (f"https://{host.address}:{port}" for port in ports)
    pair = [f"{kind}{flag}={folder / file}" for kind in ("--", "--peer-") for flag, file in _FILES]
    return [
        "etcd",
        f"--name={host.name}",
        f"--data-dir={folder / host.name}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={cluster}",
        *pair,
        "--client-cert-auth",
        "--peer-client-cert-auth",
        "--unsafe-no-fsync",
        "--heartbeat-interval=100",
        "--election-timeout=1000",
        "--log-level=error",
        *flags,
    ]


_FILES = (("cert-file", "etcd.crt"), ("key-file", "etcd.key"), ("trusted-ca-file", "ca.crt"))


def apiserver_command(host: Host, port: int, servers: Sequence[str], folder: Path, flags: Sequence[str]) -> list[str]:
    """Of an API server on members of etcd with TLS."""
    return [
        sys.executable,
        "-m",
        "pybernetes",
        "kube-apiserver",
        f"--etcd-servers={','.join(servers)}",
        f"--etcd-cafile={folder / 'ca.crt'}",
        f"--etcd-certfile={folder / 'client.crt'}",
        f"--etcd-keyfile={folder / 'client.key'}",
        f"--bind-address={host.address}",
        f"--advertise-address={host.address if not host.address.startswith('127.') else '192.0.2.1'}",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens'}",
        "--authorization-mode=AlwaysAllow",
        "--etcd-compaction-interval=0",
        *flags,
    ]


def trusting(folder: Path) -> ssl.SSLContext:
    """For clients of the API servers."""
    return ssl.create_default_context(cafile=str(folder / "ca.crt"))
