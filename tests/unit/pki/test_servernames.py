"""Which certificate is shown for which name, and which TLS a port takes."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from pybernetes.pki import servernames, tlspolicy
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import write_pair
from pybernetes.pki.servernames import NamedCertificate

from .test_contexts import NOW, SERVER, issue, trusting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.crt,a.key", NamedCertificate(Path("a.crt"), Path("a.key"))),
        ("a.crt, a.key:*.foo.com,foo.com", NamedCertificate(Path("a.crt"), Path("a.key"), ("*.foo.com", "foo.com"))),
    ],
)
def test_flags(text: str, expected: NamedCertificate) -> None:
    assert servernames.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a.crt", "expected comma separated certificate and key file paths"),
        ("a.crt,", "expected comma separated"),
        ("a,b,c", "expected comma separated"),
        ("a,b:", "empty domain pattern"),
        ("a,b:10.0.0.1", "'10.0.0.1' is an address"),
    ],
)
def test_flags_that_say_nothing(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        servernames.parse(text)


@pytest.mark.parametrize(
    ("name", "certificate"),
    [
        ("foo.com", "exact"),
        ("FOO.com.", "exact"),
        ("a.foo.com", "wild"),
        ("b.a.foo.com", None),
        ("localhost", "own"),
        ("other", None),
        ("", None),
    ],
)
def test_matches(name: str, certificate: str | None) -> None:
    pem = Authority.create("ca", NOW).issue(Subject("s", names=("localhost", "foo.com"), server=True), NOW).certificate
    found = servernames.by_name(
        [((), pem, "own"), (["*.foo.com"], pem, "wild"), (["foo.com"], pem, "exact"), (["foo.com"], pem, "later")]
    )
    assert servernames.match(found, name) == certificate


def shown(context: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[str, str, str]:
    """(common name of the certificate, version, cipher suite); ssl.SSLError for a failed handshake. Without a network."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname=name)
    theirs = context.wrap_bio(there, back, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        for side in tuple(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    subject: Any = (ours.getpeercert() or {})["subject"]
    common = next(value for ((key, value),) in subject if key == "commonName")
    cipher = ours.cipher()
    assert cipher is not None
    return str(common), str(ours.version()), cipher[0]


def test_names_in_a_handshake_and_files_that_change(tmp_path: Path) -> None:
    authority = Authority.create("ca", NOW)
    named = issue(authority, tmp_path, Subject("named", names=("named.example",), server=True))
    context = ServerContext(
        *issue(authority, tmp_path, SERVER), named=[NamedCertificate(*named), NamedCertificate(*named, ("*.x",))]
    )
    client = trusting(authority)
    client.check_hostname = False
    for name, common in (("localhost", "s"), ("named.example", "named"), ("a.x", "named"), ("unknown", "s")):
        assert shown(context, client, name)[0] == common
    write_pair(*named, authority.issue(Subject("renewed", names=("named.example",), server=True), NOW))
    assert shown(context, client, "named.example")[0] == "renewed"


def at_most(version: ssl.TLSVersion) -> tuple[Authority, ssl.SSLContext]:
    authority = Authority.create("ca", NOW)
    client = trusting(authority)
    client.maximum_version = version
    return authority, client


@pytest.mark.parametrize(
    ("version", "suites", "client", "outcome"),
    [
        ("", [], ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("", [], ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        ("VersionTLS13", [], ssl.TLSVersion.TLSv1_2, None),
        ("VersionTLS10", [], ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        ("VersionTLS12", ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"], ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("VersionTLS12", ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"], ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("VersionTLS12", ["TLS_AES_128_GCM_SHA256"], ssl.TLSVersion.TLSv1_2, None),
        ("VersionTLS12", ["TLS_AES_128_GCM_SHA256"], ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
    ],
)  # fmt: skip
def test_versions_and_suites(
    tmp_path: Path, version: str, suites: list[str], client: ssl.TLSVersion, outcome: str | None
) -> None:
    authority, connecting = at_most(client)
    context = ServerContext(*issue(authority, tmp_path, SERVER), policy=tlspolicy.policy(version, suites))
    if outcome is None:
        with pytest.raises(ssl.SSLError):
            shown(context, connecting, "localhost")
    else:
        assert outcome in shown(context, connecting, "localhost")


@pytest.mark.parametrize(
    ("version", "suites", "why"),
    [
        ("TLS12", [], 'unknown tls version "TLS12"'),
        ("", ["AES128-SHA"], "Cipher suite AES128-SHA not supported or doesn't exist"),
        ("", ["TLS_RSA_WITH_RC4_128_SHA"], "Cipher suite TLS_RSA_WITH_RC4_128_SHA not supported or doesn't exist"),
    ],
)
def test_what_there_is_not(version: str, suites: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        tlspolicy.policy(version, suites)


def test_every_suite_is_one_of_openssl() -> None:
    for name in tlspolicy.SUITES:
        tlspolicy.policy("VersionTLS10", [name]).context()
