"""Authentication by client certificate (upstream: apiserver/pkg/authentication/request/x509)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from pybernetes.api import errors
from pybernetes.api.wellknown import ALL_AUTHENTICATED
from pybernetes.wire.http import Request

from .user import User

CACHED = 4096  # certificates whose user is remembered


class ClientCertificate:
    """CN is the user, each O a group. TLS has verified the chain; only the time is looked at again.

    `issued` is given where TLS also trusts other authorities: it says whether a DER certificate is of the clients' one.
    """

    def __init__(self, now: Callable[[], datetime], issued: Callable[[bytes], bool] | None = None) -> None:
        self._now, self._issued = now, issued
        self._known: dict[bytes, tuple[User | None, datetime]] = {}

    async def authenticate(self, request: Request) -> User | None:
        """None without a certificate; StatusError 401 with one that has expired."""
        data = request.peer_certificate
        if not data:
            return None
        found = self._known.get(data)
        if found is None:
            if len(self._known) >= CACHED:
                self._known.clear()
            found = self._known[data] = self._read(data)
        user, until = found
        if self._now() > until:
            raise errors.unauthorized()
        return user

    def _read(self, data: bytes) -> tuple[User | None, datetime]:
        from cryptography import x509  # only servers with TLS need it

        certificate = x509.load_der_x509_certificate(data)
        until = certificate.not_valid_after_utc
        names = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
        groups = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.ORGANIZATION_NAME)
        name = str(names[0].value) if names else ""
        if not name or (self._issued is not None and not self._issued(data)):
            return None, until
        return User(name, (*(str(group.value) for group in groups), ALL_AUTHENTICATED)), until


def issued_by(authorities: bytes, names: Collection[str] = ()) -> Callable[[bytes], bool]:
    """Whether a DER certificate is signed by one of the PEM authorities, and its CN one of the names (none: any).

    ValueError for what is no PEM certificate.
    """
    from cryptography import x509

    trusted = x509.load_pem_x509_certificates(authorities)
    known: dict[bytes, bool] = {}

    def check(data: bytes) -> bool:
        if data not in known:
            if len(known) >= CACHED:
                known.clear()
            known[data] = _check(x509.load_der_x509_certificate(data), trusted, names)
        return known[data]

    return check


def _check(certificate: object, trusted: Iterable[object], names: Collection[str]) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    assert isinstance(certificate, x509.Certificate)
    found = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    if names and (not found or found[0].value not in names):
        return False
    for authority in trusted:
        assert isinstance(authority, x509.Certificate)
        try:
            certificate.verify_directly_issued_by(authority)
            return True
        except (ValueError, TypeError, InvalidSignature):
            continue
    return False
