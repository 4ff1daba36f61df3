"""What a peer shows behind its certificate reaches whoever judges it, on both kinds of event loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pybernetes.client.http import HTTPClient
from pybernetes.pki.bundles import Authorities
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import write, write_pair
from pybernetes.wire.http import Request, Response, serve

NOW = datetime.now(UTC)  # ssl looks at the real clock


def below(root: Authority, authority: Authority) -> bytes:
    """The authority's certificate, signed by the root, PEM."""
    own = authority.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(root.certificate.subject)
        .public_key(own.public_key())
        .serial_number(7)
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
    )
    return root.sign(builder).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("shown", ["chain", "leaf", "nothing"])
def test_intermediates(run: Callable[..., object], shown: str, tmp_path: Path) -> None:
    root, between = Authority.create("root", NOW), Authority.create("between", NOW)
    serving = Subject("s", addresses=("127.0.0.1",), server=True, client=False)
    write_pair(tmp_path / "s.crt", tmp_path / "s.key", root.issue(serving, NOW))
    write(tmp_path / "ca.crt", root.pem)
    middle = below(root, between)
    seen: list[tuple[bytes | None, tuple[bytes, ...]]] = []

    async def answer(request: Request) -> Response:
        seen.append((request.peer_certificate, request.peer_intermediates))
        return Response(200, [], b"")

    async def main() -> None:
        context = ssl.create_default_context(cadata=root.pem.decode())
        if shown != "nothing":
            pair = (between if shown == "chain" else root).issue(Subject("jane"), NOW)
            write(tmp_path / "pair.pem", pair.certificate + (middle if shown == "chain" else b"") + pair.key)
            context.load_cert_chain(tmp_path / "pair.pem")
        server = await serve(
            answer, ssl_context=ServerContext(tmp_path / "s.crt", tmp_path / "s.key", [tmp_path / "ca.crt"])
        )
        client = HTTPClient(f"https://127.0.0.1:{server.port}", context)
        try:
            await client.request("GET", "/")
        finally:
            await client.close()
            await server.stop(0)

    run(main())
    ((certificate, behind),) = seen
    if certificate is None:
        assert shown == "nothing" and behind == ()
        return
    assert Authorities(root.pem).issued(certificate, behind)
    assert Authorities(root.pem).issued(certificate) is (shown == "leaf")
