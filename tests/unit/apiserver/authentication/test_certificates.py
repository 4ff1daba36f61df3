"""Client certificates, and front proxies that say who asks."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.authentication.requestheader import RequestHeader
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.authentication.x509 import ClientCertificate
from pybernetes.pki.bundles import Authorities
from pybernetes.testing.certificates import Authority
from pybernetes.wire.http import Request

from ..fakes import answered

NOW = datetime.now(UTC)
CLIENTS, PROXIES = Authority("clients", NOW), Authority("proxies", NOW)


def der(authority: Authority, name: str, *groups: str) -> bytes:
    pair = authority.client(name, list(groups))
    return x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)


JANE, PROXY, WRONG = der(CLIENTS, "jane", "devs"), der(PROXIES, "proxy"), der(PROXIES, "wrong", "system:masters")


def request(certificate: bytes | None, *headers: tuple[str, str]) -> Request:
    return Request("GET", b"/", b"", headers, peer_certificate=certificate)


def test_names_and_groups() -> None:
    found = answered(ClientCertificate(lambda: NOW).authenticate(request(JANE)))
    assert found == User("jane", ("devs", "system:authenticated"))
    assert answered(ClientCertificate(lambda: NOW).authenticate(request(None))) is None


def test_expired() -> None:
    with pytest.raises(StatusError):
        answered(ClientCertificate(lambda: NOW + timedelta(days=10_000)).authenticate(request(JANE)))


def test_a_front_proxy_s_certificate_is_no_client_s() -> None:
    chain = ClientCertificate(lambda: NOW, Authorities(CLIENTS.pem).issued)
    assert answered(chain.authenticate(request(JANE))) is not None
    with pytest.raises(StatusError, match="Unauthorized"):  # not anonymous: who comes with something wrong is refused
        answered(chain.authenticate(request(WRONG)))


def test_authorities_that_change_are_asked_anew() -> None:
    """A certificate that was let in is not let in for ever."""
    trusted = [CLIENTS]
    chain = ClientCertificate(lambda: NOW, lambda *shown: Authorities(trusted[0].pem).issued(*shown))
    assert answered(chain.authenticate(request(JANE))) is not None
    trusted[0] = PROXIES
    with pytest.raises(StatusError, match="Unauthorized"):
        answered(chain.authenticate(request(JANE)))


HEADERS = (
    ("x-remote-user", "bob"),
    ("x-remote-group", "a"),
    ("x-remote-group", "b"),
    ("x-remote-extra-example.com%2fscope", "s"),
)


def test_front_proxy() -> None:
    proxy = RequestHeader(Authorities(PROXIES.pem).issued, ("proxy",))
    found = answered(proxy.authenticate(request(PROXY, *HEADERS)))
    assert found == User("bob", ("a", "b", "system:authenticated"), "", {"example.com/scope": ("s",)})
    assert answered(proxy.authenticate(request(PROXY))) is None
    assert answered(proxy.authenticate(request(JANE, *HEADERS))) is None
    assert answered(proxy.authenticate(request(None, *HEADERS))) is None


@pytest.mark.parametrize(
    ("names", "certificate", "trusted"),
    [((), PROXY, True), (("proxy",), PROXY, True), (("proxy",), WRONG, False), ((), JANE, False)],
)
def test_whose_word_is_taken(names: tuple[str, ...], certificate: bytes, trusted: bool) -> None:
    proxy = RequestHeader(Authorities(PROXIES.pem).issued, names)
    assert (answered(proxy.authenticate(request(certificate, *HEADERS))) is not None) is trusted
