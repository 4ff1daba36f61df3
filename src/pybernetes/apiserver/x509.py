"""Authentication by client certificate (upstream: apiserver/pkg/authentication/request/x509)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pybernetes.api import errors
from pybernetes.wire.http import Request

from .types import User

CACHED = 4096  # certificates whose user is remembered


class ClientCertificate:
    """CN is the user, each O a group. TLS has verified the chain; only the time is looked at again."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._known: dict[bytes, tuple[User, datetime]] = {}

    def authenticate(self, request: Request) -> User | None:
        """None without a certificate; StatusError 401 with one that has expired."""
        data = request.peer_certificate
        if not data:
            return None
        found = self._known.get(data)
        if found is None:
            if len(self._known) >= CACHED:
                self._known.clear()
            found = self._known[data] = _read(data)
        user, until = found
        if self._now() > until:
            raise errors.unauthorized()
        return user if user.name else None


def _read(data: bytes) -> tuple[User, datetime]:
    from cryptography import x509  # only servers with TLS need it

    certificate = x509.load_der_x509_certificate(data)
    names = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    groups = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.ORGANIZATION_NAME)
    listed = tuple(str(group.value) for group in groups)
    name = str(names[0].value) if names else ""
    return User(name, (*listed, "system:authenticated")), certificate.not_valid_after_utc
