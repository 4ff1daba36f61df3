"""Contexts over real connections on the loopback: what changes on disk is what the next connection sees."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from pybernetes.client import http
from pybernetes.client.kubeconfig import Config
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ReloadingContext, ServerContext
from pybernetes.pki.files import write, write_pair
from pybernetes.wire.http import Request, Response, serve

NOW = datetime.now(UTC)  # ssl looks at the real clock
SERVER = Subject("s", names=("localhost",), server=True, client=False)


def issue(authority: Authority, folder: Path, subject: Subject) -> tuple[Path, Path]:
    paths = folder / f"{subject.common_name}.crt", folder / f"{subject.common_name}.key"
    write_pair(*paths, authority.issue(subject, NOW))
    return paths


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.pem.decode())


async def peers(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[bytes | None, bytes | None]:
    """(the server's certificate as the client has it, the client's as the server has it); ssl.SSLError for a failed handshake."""
    shown: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.set_result(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server)
    try:
        port = listener.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        found = certificate, await shown
        writer.close()
        return found
    finally:
        listener.close()


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., object]:
    runner: Callable[..., object] = request.param
    return runner


def test_a_server_shows_the_certificate_that_is_on_disk(tmp_path: Path, run: Callable[..., object]) -> None:
    async def main() -> None:
        authority = Authority.create("ca", NOW)
        context = ServerContext(*issue(authority, tmp_path, SERVER))
        first, _ = await peers(context, trusting(authority))
        again, _ = await peers(context, trusting(authority))
        issue(authority, tmp_path, SERVER)
        renewed, _ = await peers(context, trusting(authority))
        assert first == again != renewed

    run(main())


def test_authorities_of_clients_are_exchanged_and_not_added_up(tmp_path: Path) -> None:
    async def main() -> None:
        old, new = Authority.create("old", NOW), Authority.create("new", NOW)
        bundle = tmp_path / "clients.crt"
        write(bundle, old.pem)
        context = ServerContext(*issue(old, tmp_path, SERVER), [bundle])
        client = trusting(old)
        client.load_cert_chain(*issue(old, tmp_path, Subject("u")))
        assert (await peers(context, client))[1] is not None
        write(bundle, new.pem)
        with pytest.raises(
            (ssl.SSLError, ConnectionError, EOFError)
        ):  # TLS 1.3 tells the client after its own handshake
            await asyncio.wait_for(read_one(context, client), 60)
        renewed = trusting(old)
        renewed.load_cert_chain(*issue(new, tmp_path, Subject("u")))
        assert (await peers(context, renewed))[1] is not None

    async def read_one(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"x")

        listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server)
        try:
            port = listener.sockets[0].getsockname()[1]
            reader, _ = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
            await reader.readexactly(1)
        finally:
            listener.close()

    asyncio.run(main())


def test_a_client_comes_with_the_certificate_that_is_on_disk(tmp_path: Path, run: Callable[..., object]) -> None:
    async def main() -> None:
        authority = Authority.create("ca", NOW)
        write(tmp_path / "ca.crt", authority.pem)
        server = ServerContext(*issue(authority, tmp_path, SERVER), [tmp_path / "ca.crt"])
        certificate, key = issue(authority, tmp_path, Subject("u"))
        config = Config("https://localhost", ca_data=authority.pem, certificate_file=certificate, key_file=key)
        context = config.ssl_context()
        assert isinstance(context, ReloadingContext)
        _, first = await peers(server, context)
        issue(authority, tmp_path, Subject("u"))
        _, renewed = await peers(server, context)
        assert first is not None and renewed is not None and first != renewed

    run(main())


def test_a_busy_client_takes_a_new_connection_for_a_new_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "FILES_SECONDS", 0.0)

    async def main() -> None:
        authority = Authority.create("ca", NOW)
        write(tmp_path / "ca.crt", authority.pem)
        shown: list[bytes | None] = []

        async def handle(request: Request) -> Response:
            shown.append(request.peer_certificate)
            return Response(200, [], b"")

        context = ServerContext(*issue(authority, tmp_path, SERVER), [tmp_path / "ca.crt"])
        server = await serve(handle, ssl_context=context)
        certificate, key = issue(authority, tmp_path, Subject("u"))
        config = Config("https://localhost", ca_data=authority.pem, certificate_file=certificate, key_file=key)
        client = http.HTTPClient(f"https://localhost:{server.port}", config.ssl_context())
        try:
            await client.request("GET", "/")
            await client.request("GET", "/")
            issue(authority, tmp_path, Subject("u"))
            await client.request("GET", "/")
        finally:
            await client.close()
            await server.stop(0)
        first, again, renewed = shown
        assert None not in (first, renewed) and first == again != renewed

    asyncio.run(main())


def test_a_connection_that_was_busy_while_its_certificate_was_replaced_is_not_used_again(tmp_path: Path) -> None:
    """Else a client that never rests would come with a certificate that has ended."""

    async def main() -> None:
        authority = Authority.create("ca", NOW)
        write(tmp_path / "ca.crt", authority.pem)
        shown: list[bytes | None] = []
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def handle(request: Request) -> Response:
            shown.append(request.peer_certificate)
            if request.raw_path == b"/slow":
                asked.set()
                await go_on.wait()
            return Response(200, [], b"")

        server = await serve(
            handle,
            ssl_context=ServerContext(*issue(authority, tmp_path, SERVER), [tmp_path / "ca.crt"]),
        )
        certificate, key = issue(authority, tmp_path, Subject("u"))
        config = Config("https://localhost", ca_data=authority.pem, certificate_file=certificate, key_file=key)
        client = http.HTTPClient(f"https://localhost:{server.port}", config.ssl_context())
        try:
            slow = asyncio.ensure_future(client.request("GET", "/slow"))
            await asked.wait()
            issue(authority, tmp_path, Subject("u"))
            client.look_at_files()
            go_on.set()
            assert (await slow).status == 200  # it is not cut
            await client.request("GET", "/")
        finally:
            await client.close()
            await server.stop(0)
        assert shown[0] != shown[1]

    asyncio.run(main())


def test_files_that_do_not_fit_leave_the_old_ones(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = Authority.create("ca", NOW)
    certificate, key = issue(authority, tmp_path, SERVER)
    context = ServerContext(certificate, key)
    before = context.current()
    with caplog.at_level(logging.WARNING):
        write(key, authority.issue(SERVER, NOW).key)  # between the two of a renewal
        assert context.current() is before and context.current() is before
    assert len(caplog.records) == 1 and "s.key" in caplog.text
    key.unlink()
    assert context.current() is before
    issue(authority, tmp_path, SERVER)
    assert context.current() is not before


def test_a_pair_in_memory_and_trust_that_comes_later(tmp_path: Path) -> None:
    async def main() -> None:
        authority = Authority.create("ca", NOW)
        context = ServerContext(authority.issue(SERVER, NOW))
        client = trusting(authority)
        client.load_cert_chain(*issue(authority, tmp_path, Subject("u")))
        assert (await peers(context, client))[1] is None
        with pytest.raises(ssl.SSLError):
            context.trust("no certificate")
        assert (await peers(context, client))[1] is None
        context.trust(authority.pem.decode())
        assert (await peers(context, client))[1] is not None

    asyncio.run(main())


def test_the_first_files_must_fit(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ServerContext(tmp_path / "no.crt", tmp_path / "no.key")
