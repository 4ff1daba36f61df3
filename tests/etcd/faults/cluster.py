"""Members of etcd and API servers on them, with certificates, in a folder; all ended in the end."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.files import write, write_pair

from ..server import free_ports
from .hosts import Host
from .processes import TOKEN, Process, apiserver_command, etcd_command

CONTROL_SECONDS = 10.0


class Cluster:
    """Its parts, and etcdctl."""

    def __init__(
        self, folder: Path, members: Sequence[Process], servers: Sequence[Process], authority: Authority
    ) -> None:
        self.folder, self.members, self.servers, self.authority = folder, members, servers, authority

    def control(self, *arguments: str, endpoints: Sequence[Process] = (), check: bool = True) -> str:
        """What etcdctl says."""
        done = subprocess.run(
            [*self.control_command(endpoints), *arguments],
            capture_output=True, text=True, env=_environment(), timeout=60, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"etcdctl {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def control_command(self, endpoints: Sequence[Process] = ()) -> list[str]:
        """etcdctl with all that it needs to know."""
        urls = ",".join(member.url for member in endpoints or self.members)
        files = [f"--{flag}={self.folder / file}" for flag, file in _FILES]
        return ["etcdctl", f"--endpoints={urls}", *files, f"--command-timeout={CONTROL_SECONDS:.0f}s"]

    def leader(self) -> Process:
        """The member that leads. AssertionError where there is none."""
        for member in self.members:
            status = self.control("endpoint", "status", "-w", "json", endpoints=[member], check=False)
            for one in json.loads(status or "[]"):
                if one["Status"].get("leader") == one["Status"]["header"]["member_id"]:
                    return member
        raise AssertionError("nobody leads")


_FILES = (("cacert", "ca.crt"), ("cert", "client.crt"), ("key", "client.key"))


def _environment() -> dict[str, str]:
    return {**os.environ, "ETCDCTL_API": "3"}


def write_certificates(folder: Path, addresses: Sequence[str], now: datetime | None = None) -> Authority:
    """For members, API servers and their clients; and who may ask the API servers."""
    now = now or datetime.now(UTC)
    authority = Authority.create("bad-days", now)
    write(folder / "ca.crt", authority.pem, 0o644)
    both = Subject("etcd", addresses=sorted(set(addresses)), server=True)
    for name, subject in (("etcd", both), ("server", both), ("client", Subject("kube-apiserver-etcd-client"))):
        write_pair(folder / f"{name}.crt", folder / f"{name}.key", authority.issue(subject, now))
    write(folder / "tokens", f'{TOKEN},admin,1,"system:masters"\n'.encode())
    return authority


@asynccontextmanager
async def cluster(
    folder: Path,
    hosts: Sequence[Host],
    members: int = 3,
    etcd_flags: Sequence[str] = (),
    server_flags: Sequence[str] = (),
) -> AsyncIterator[Cluster]:
    """The first `members` hosts have etcd, the others API servers; all answer."""
    authority = write_certificates(folder, [host.address for host in hosts])
    ports = free_ports(2 * members + len(hosts))
    pairs = [(ports.pop(), ports.pop()) for _ in range(members)]
    together = ",".join(
        f"{host.name}=https://{host.address}:{peer}" for host, (_, peer) in zip(hosts, pairs, strict=False)
    )
    etcds = [
        Process(host, pair[0], etcd_command(host, pair, together, folder, etcd_flags), folder / f"{host.name}.log")
        for host, pair in zip(hosts, pairs, strict=False)
    ]
    urls = [one.url for one in etcds]
    servers = [
        Process(host, port, apiserver_command(host, port, urls, folder, server_flags), folder / f"{host.name}.log")
        for host, port in zip(hosts[members:], ports, strict=False)
    ]
    async with AsyncExitStack() as stack:
        for one in (*etcds, *servers):
            stack.push_async_callback(one.kill)
        await asyncio.gather(*(one.start() for one in etcds))
        for one in servers:
            one.begin()
        for one in servers:
            await one.answers()
        yield Cluster(folder, etcds, servers, authority)
