"""Groups of flags that parts share, and what they ask for."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pybernetes.component import clientflags, flags, leaderflags, servingflags
from pybernetes.component.clientflags import Clients
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.metrics import Registry

FLAGS = (*clientflags.client_flags(30), *leaderflags.leader_flags("part"), *servingflags.serving_flags(0))
FILE = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://file:1'}}]\n"
FILE += "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"


def values(*arguments: str) -> dict[str, Any]:
    return flags.parse("part", FLAGS, arguments)


@pytest.mark.parametrize(
    ("arguments", "flag", "server"),
    [
        (["--kubeconfig=FILE"], "kubeconfig", "http://file:1"),
        (["--kubeconfig=FILE", "--master=http://m"], "kubeconfig", "http://m"),
        (["--master=http://m"], "kubeconfig", "http://m"),
        (["--master=http://m"], "authentication-kubeconfig", "http://m"),
        (["--master=http://m", "--kubeconfig=FILE"], "authentication-kubeconfig", "http://m"),
        (["--master=http://m", "--authentication-kubeconfig=FILE"], "authentication-kubeconfig", "http://file:1"),
    ],
)
def test_where_the_server_is(tmp_path: Path, arguments: list[str], flag: str, server: str) -> None:
    path = tmp_path / "config"
    path.write_text(FILE)
    given = values(*(argument.replace("FILE", str(path)) for argument in arguments))
    assert clientflags.config(given, flag).server == server


def test_a_file_of_no_use_is_told_by_its_flag() -> None:
    with pytest.raises(UsageError, match="--kubeconfig: "):
        clientflags.config(values("--kubeconfig=/does/not/exist"))


def test_only_leases_are_locks() -> None:
    leaderflags.check(values())
    with pytest.raises(UsageError, match="--leader-elect-resource-lock=endpoints: only leases are there"):
        leaderflags.check(values("--leader-elect-resource-lock=endpoints"))


def test_without_an_election_work_begins_at_once() -> None:
    async def main() -> list[str]:
        done: list[str] = []

        async def work() -> None:
            done.append("work")

        async with AsyncExitStack() as stack:
            given, registry = values("--leader-elect=false", "--master=http://127.0.0.1:9"), Registry()
            elector = leaderflags.elector(given, Clients(stack, given, "part", registry), registry)
            await leaderflags.lead(elector, work)
        return done

    assert asyncio.run(main()) == ["work"]


def test_a_lost_lease_ends_the_part() -> None:
    class Lost:
        async def run(self, lead: Any) -> None:
            await lead()

    async def work() -> None:
        pass

    with pytest.raises(Failure, match="leaderelection lost"):
        asyncio.run(leaderflags.lead(Lost(), work))  # type: ignore[arg-type]  # all of an elector that counts here


def test_a_port_that_is_taken_is_named() -> None:
    async def main(port: int) -> None:
        async with AsyncExitStack() as stack:
            given, registry = values("--master=http://127.0.0.1:9", f"--port={port}"), Registry()
            await servingflags.serve(stack, given, Clients(stack, given, "part", registry), registry, None)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Failure, match=r"in use: is --secure-port=0 or --port=\d+ in use\?"):
            asyncio.run(main(taken.getsockname()[1]))
