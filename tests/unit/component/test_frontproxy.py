"""Who is believed to ask for others."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest

from pybernetes.component.frontproxy import PublishedIdentities
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.wire.http import Request

NOW = datetime.now(UTC)
PROXIES, CLIENTS = Authority.create("proxies", NOW), Authority.create("clients", NOW)
DATA = {
    "client-ca-file": CLIENTS.pem.decode(),
    "requestheader-client-ca-file": PROXIES.pem.decode(),
    "requestheader-allowed-names": '["front-proxy-client"]',
    "requestheader-username-headers": '["X-Remote-User"]',
    "requestheader-group-headers": '["X-Remote-Group"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
}
HEADERS = [("x-remote-user", "jane"), ("x-remote-group", "a"), ("x-remote-group", "b"), ("x-remote-extra-a%2Fb", "c")]


def certificate(authority: Authority, name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(authority.issue(Subject(name), NOW).certificate.decode())


def request(shown: bytes | None, headers: list[tuple[str, str]] = HEADERS) -> Request:
    return Request("GET", b"/", b"", headers, peer_certificate=shown)


def test_a_proxy_says_who_asks() -> None:
    identities = PublishedIdentities()
    proxy = certificate(PROXIES, "front-proxy-client")
    assert identities.user(request(proxy)) is None  # nothing is published yet
    assert identities.read(DATA).count("BEGIN CERTIFICATE") == 2
    user = identities.user(request(proxy))
    assert user is not None
    assert (user.name, user.groups, user.extra) == ("jane", ("a", "b", "system:authenticated"), {"a/b": ["c"]})


@pytest.mark.parametrize(
    ("shown", "headers"),
    [
        (None, HEADERS),
        (certificate(CLIENTS, "front-proxy-client"), HEADERS),
        (certificate(PROXIES, "another"), HEADERS),
        (certificate(PROXIES, "front-proxy-client"), HEADERS[1:]),
    ],
)
def test_who_is_not_believed(shown: bytes | None, headers: list[tuple[str, str]]) -> None:
    identities = PublishedIdentities()
    identities.read(DATA)
    assert identities.user(request(shown, headers)) is None


def test_a_proxys_certificate_makes_nobody_a_user() -> None:
    identities = PublishedIdentities()
    identities.read(DATA)
    assert identities.issued(certificate(CLIENTS, "jane"))
    assert not identities.issued(certificate(PROXIES, "front-proxy-client"))


@pytest.mark.parametrize(
    "bad", [{"requestheader-client-ca-file": "no PEM"}, {"requestheader-allowed-names": '{"a": 1}'}]
)
def test_what_cannot_be_read_changes_nothing(bad: dict[str, str]) -> None:
    identities = PublishedIdentities()
    identities.read(DATA)
    with pytest.raises(ValueError):
        identities.read({**DATA, **bad})
    assert identities.user(request(certificate(PROXIES, "front-proxy-client"))) is not None
