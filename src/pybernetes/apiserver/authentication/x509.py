"""Authentication by client certificate (upstream: apiserver/pkg/authentication/request/x509)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pybernetes.api import errors
from pybernetes.api.wellknown import ALL_AUTHENTICATED
from pybernetes.wire.http import Request

from .user import User

CACHED = 4096  # certificates whose user is remembered


class ClientCertificate:
    """CN is the user, each O a group. TLS has verified the chain; only the time is looked at again.

    `issued` says whether a DER certificate, with the intermediates that came with it, is of the clients' authorities, and is asked each
    time: TLS may trust others too, and authorities change while connections stand. Without it what TLS took is good.
    """

    def __init__(
        self, now: Callable[[], datetime], issued: Callable[[bytes, Sequence[bytes]], bool] | None = None
    ) -> None:
        self._now, self._issued = now, issued
        self._users: dict[bytes, tuple[User | None, datetime]] = {}

    async def authenticate(self, request: Request) -> User | None:
        """None without a certificate; StatusError 401 with one that has expired, or is of none of the authorities."""
        data = request.peer_certificate
        if not data:
            return None
        remembered = self._users.get(data)
        if remembered is None:
            if len(self._users) >= CACHED:
                self._users.clear()
            remembered = self._users[data] = self._read(data)
        user, until = remembered
        if self._now() > until:
            raise errors.unauthorized()
        if self._issued is not None and not self._issued(data, request.peer_intermediates):
            raise errors.unauthorized()
        return user

    def _read(self, data: bytes) -> tuple[User | None, datetime]:
        from cryptography import x509  # only servers with TLS need it

        certificate = x509.load_der_x509_certificate(data)
        until = certificate.not_valid_after_utc
        names = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
        groups = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.ORGANIZATION_NAME)
        name = str(names[0].value) if names else ""
        if not name:
            return None, until
        return User(name, (*(str(group.value) for group in groups), ALL_AUTHENTICATED)), until
