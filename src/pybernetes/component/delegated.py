"""Authentication and authorization that a part leaves to the API server (upstream: apiserver/pkg/authentication/authenticatorfactory).

A client certificate signed by --client-ca-file is checked here, a bearer token by TokenReview, what one may by SubjectAccessReview.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from pybernetes.api.errors import StatusError
from pybernetes.api.types import authentication_v1 as authentication
from pybernetes.api.types import authorization_v1 as authorization
from pybernetes.api.wellknown import ALL_AUTHENTICATED
from pybernetes.client.types import Client
from pybernetes.wire.http import Request

T = TypeVar("T")

TOKEN_SECONDS = 120.0  # upstream's cacheTTL of delegated answers: tokens, allowed, denied
ALLOWED_SECONDS = 300.0
DENIED_SECONDS = 30.0
CACHE_ENTRIES = 1024


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)


Issued = Callable[[bytes, Sequence[bytes]], bool]
CertificateUser = Callable[[bytes, Sequence[bytes]], UserInfo | None]


def certificate_user(now: Callable[[], datetime], issued: Issued | None = None) -> CertificateUser:
    """CN is the user, each O a group; None for one that has expired. TLS has verified the chain.

    `issued` says of a certificate and its intermediates (DER) whether an authority stands for it still: connections live long.
    """

    def read(data: bytes, intermediates: Sequence[bytes] = ()) -> UserInfo | None:
        if issued is not None and not issued(data, intermediates):
            return None
        from cryptography import x509  # only where somebody comes with a certificate

        certificate = x509.load_der_x509_certificate(data)
        names = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
        groups = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.ORGANIZATION_NAME)
        if not names or now() > certificate.not_valid_after_utc:
            return None
        return UserInfo(str(names[0].value), (*(str(group.value) for group in groups), ALL_AUTHENTICATED))

    return read


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request wants. With a `path` it is a non-resource request, else one of a resource."""

    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    version: str = "v1"


class Guard(Protocol):
    """Says who asks, and whether they may."""

    async def authenticate(self, request: Request) -> UserInfo | None:
        """None: nobody that is known. ConnectionError where the API server cannot be asked."""
        ...

    async def authorize(self, user: UserInfo, ask: Ask) -> str | None:
        """None if allowed, else the reason for the refusal ("" where there is none)."""
        ...


class DelegatedGuard:
    """See `Guard`; `certificate_user` reads a verified client certificate (DER), None where certificates are not taken."""

    def __init__(
        self,
        client: Client,
        monotonic: Callable[[], float],
        certificate_user: CertificateUser | None = None,
    ) -> None:
        self._client, self._monotonic, self._certificate_user = client, monotonic, certificate_user
        self._cache: dict[Hashable, tuple[float, Any]] = {}

    async def authenticate(self, request: Request) -> UserInfo | None:
        if self._certificate_user is not None and request.peer_certificate is not None:
            user = self._certificate_user(request.peer_certificate, request.peer_intermediates)
            if user is not None:
                return user
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        key = ("token", hashlib.sha256(token.encode()).digest())
        return await self._cached(key, lambda: self._review(token), lambda _: TOKEN_SECONDS)

    async def authorize(self, user: UserInfo, ask: Ask) -> str | None:
        return await self._cached(
            (user, ask),
            lambda: self._access(user, ask),
            lambda refusal: ALLOWED_SECONDS if refusal is None else DENIED_SECONDS,
        )

    async def _cached(self, key: Hashable, ask: Callable[[], Awaitable[T]], lifetime: Callable[[T], float]) -> T:
        now = self._monotonic()
        cached = self._cache.get(key)
        if cached is not None and cached[0] > now:
            answer: T = cached[1]
            return answer
        decision = await ask()
        if len(self._cache) >= CACHE_ENTRIES:
            self._cache = {k: v for k, v in self._cache.items() if v[0] > now}
            while len(self._cache) >= CACHE_ENTRIES:
                del self._cache[next(iter(self._cache))]
        self._cache[key] = (now + lifetime(decision), decision)
        return decision

    async def _review(self, token: str) -> UserInfo | None:
        review = authentication.TokenReview(spec=authentication.TokenReviewSpec(token=token))
        try:
            answer = await self._client.create(review)
        except StatusError as error:
            raise ConnectionError(f"TokenReview was refused: {error}") from error
        user = answer.status.user
        if not answer.status.authenticated or user is None:
            return None
        return UserInfo(user.username, tuple(user.groups), user.uid, dict(user.extra))

    async def _access(self, user: UserInfo, ask: Ask) -> str | None:
        spec = authorization.SubjectAccessReviewSpec(
            user=user.name, groups=list(user.groups), uid=user.uid, extra=user.extra
        )
        if ask.path:
            spec.non_resource_attributes = authorization.NonResourceAttributes(path=ask.path, verb=ask.verb)
        else:
            spec.resource_attributes = authorization.ResourceAttributes(
                verb=ask.verb,
                group=ask.group,
                version=ask.version,
                resource=ask.resource,
                subresource=ask.subresource,
                name=ask.name,
                namespace=ask.namespace,
            )
        try:
            answer = await self._client.create(authorization.SubjectAccessReview(spec=spec))
        except StatusError as error:
            raise ConnectionError(f"SubjectAccessReview was refused: {error}") from error
        return None if answer.status.allowed else answer.status.reason
