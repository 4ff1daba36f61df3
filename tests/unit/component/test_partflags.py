"""Groups of flags that parts share, and what they ask for."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import Config
from pybernetes.component import clientflags, flags, leaderflags, servingflags
from pybernetes.component.clientflags import Clients
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.metrics import Registry
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import write, write_pair
from pybernetes.wire.http import Request, Response, serve
from tests.ports import free_port

NOW = datetime.now(UTC)
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


def test_a_port_follows_its_files(tmp_path: Path) -> None:
    """Its certificate and the authorities of its clients: by overlap, old and new are both taken, then the new one alone."""
    old, new = Authority.create("old", NOW), Authority.create("new", NOW)
    server = Subject("s", names=("localhost",), server=True, client=False)
    crt, key, clients_ca = tmp_path / "s.crt", tmp_path / "s.key", tmp_path / "ca.crt"

    async def main(port: int) -> None:
        write(clients_ca, old.pem)
        write_pair(crt, key, old.issue(server, NOW))
        arguments = [f"--secure-port={port}", "--bind-address=127.0.0.1", f"--client-ca-file={clients_ca}"]
        arguments += ["--master=http://127.0.0.1:9", f"--tls-cert-file={crt}", f"--tls-private-key-file={key}"]
        given, registry = values(*arguments), Registry()

        async def status(client: Authority, server: Authority) -> int:
            """401 for a certificate that is none here; 500 where the API server, which is away, would be asked what one may."""
            pair = client.issue(Subject("u"), NOW)
            config = Config(f"https://localhost:{port}", ca_data=server.pem, certificate=pair.certificate, key=pair.key)
            http = HTTPClient(config.server, config.ssl_context(), address=("127.0.0.1", port))
            try:
                return (await http.request("GET", "/metrics", timeout=5)).status
            finally:
                await http.close()

        async with AsyncExitStack() as stack:
            await servingflags.serve(stack, given, Clients(stack, given, "part", registry), registry, None)
            assert await status(old, old) == 500
            write(clients_ca, old.pem + new.pem)
            write_pair(crt, key, new.issue(server, NOW))
            assert [await status(old, new), await status(new, new)] == [500, 500]
            write(clients_ca, new.pem)
            assert await status(new, new) == 500
            with pytest.raises(ConnectionError):
                await status(old, new)
            with pytest.raises(ConnectionError):
                await status(new, old)

    asyncio.run(main(free_port()))


def test_a_parts_client_follows_the_files_of_its_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all parts alike: certificate and key, and the authorities of the API server."""
    monkeypatch.setattr("pybernetes.client.http.FILES_SECONDS", 0.0)
    old, new = Authority.create("old", NOW), Authority.create("new", NOW)
    subject = Subject("s", names=("localhost",), server=True, client=False)
    shown: list[bytes | None] = []

    async def handle(request: Request) -> Response:
        shown.append(request.peer_certificate)
        return Response(200, [], b"{}")

    async def main() -> None:
        write(tmp_path / "ca.crt", old.pem)
        write(tmp_path / "clients.crt", old.pem + new.pem)
        write_pair(tmp_path / "s.crt", tmp_path / "s.key", old.issue(subject, NOW))
        write_pair(tmp_path / "u.crt", tmp_path / "u.key", old.issue(Subject("u"), NOW))
        context = ServerContext(tmp_path / "s.crt", tmp_path / "s.key", [tmp_path / "clients.crt"])
        server = await serve(handle, ssl_context=context)
        (tmp_path / "config").write_text(f"""
current-context: c
clusters: [{{name: k, cluster: {{server: "https://localhost:{server.port}", certificate-authority: ca.crt}}}}]
users: [{{name: u, user: {{client-certificate: u.crt, client-key: u.key}}}}]
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
""")
        async with AsyncExitStack() as stack:
            stack.push_async_callback(server.stop, 0)
            given = values(f"--kubeconfig={tmp_path / 'config'}")
            client = Clients(stack, given, "part", Registry()).client()
            await client.raw("GET", "/")
            await client.raw("GET", "/")
            write_pair(tmp_path / "u.crt", tmp_path / "u.key", new.issue(Subject("u"), NOW))
            await client.raw("GET", "/")
            write(tmp_path / "ca.crt", old.pem + new.pem)
            write_pair(tmp_path / "s.crt", tmp_path / "s.key", new.issue(subject, NOW))
            await client.raw("GET", "/")
        first, again, renewed, last = shown
        assert None not in shown and first == again != renewed == last

    asyncio.run(main())
