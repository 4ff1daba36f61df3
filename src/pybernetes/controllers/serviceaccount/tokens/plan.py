"""What a service account's token secret should hold, and the token's signature; pure.

Upstream: pkg/controller/serviceaccount/tokens_controller.go.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types.meta_v1 import ObjectMeta
from pybernetes.api.wellknown import (
    SECRET_TYPE_SERVICE_ACCOUNT_TOKEN,
    SERVICE_ACCOUNT_NAME_KEY,
    SERVICE_ACCOUNT_USERNAME_PREFIX,
)

from ...common import clone

ACCOUNT_UID = "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"
MAX_NAME = (
    50  # of an account in the name of its secret (upstream: what names.SimpleNameGenerator leaves of `NAME-token-`)
)


@dataclass(frozen=True, slots=True)
class Content:
    """What a token secret must hold."""

    root_ca: bytes = b""
    token: bytes = b""


def account_of(secret: core.Secret) -> str:
    """The name of the account it is for."""
    return secret.metadata.annotations.get(SERVICE_ACCOUNT_NAME_KEY, "")


def belongs_to(secret: core.Secret, account: core.ServiceAccount) -> bool:
    """By name, and by uid where it has one."""
    uid = secret.metadata.annotations.get(ACCOUNT_UID, "")
    return account_of(secret) == account.metadata.name and uid in ("", account.metadata.uid)


def claims_of(secret: core.Secret, account: core.ServiceAccount) -> dict[str, str]:
    """The claims of a token that is kept in a secret; it does not expire."""
    namespace, name = account.metadata.namespace, account.metadata.name
    return {
        "iss": ISSUER,
        "kubernetes.io/serviceaccount/namespace": namespace,
        "kubernetes.io/serviceaccount/secret.name": secret.metadata.name,
        "kubernetes.io/serviceaccount/service-account.name": name,
        "kubernetes.io/serviceaccount/service-account.uid": account.metadata.uid,
        "sub": f"{SERVICE_ACCOUNT_USERNAME_PREFIX}{namespace}:{name}",
    }


def listed(account: core.ServiceAccount, secrets: Iterable[core.Secret]) -> bool:
    """Whether the account lists one of its own token secrets."""
    names = {reference.name for reference in account.secrets}
    return any(secret.metadata.name in names and belongs_to(secret, account) for secret in secrets)


def new_secret(account: core.ServiceAccount) -> core.Secret:
    """A token secret that is still empty, and has no name yet."""
    name, namespace = account.metadata.name, account.metadata.namespace
    annotations = {SERVICE_ACCOUNT_NAME_KEY: name, ACCOUNT_UID: account.metadata.uid}
    meta = ObjectMeta(generate_name=f"{name}-token-", namespace=namespace, annotations=annotations)
    return core.Secret(metadata=meta, type=SECRET_TYPE_SERVICE_ACCOUNT_TOKEN)


def needs_token(secret: core.Secret) -> bool:
    return not secret.data.get("token")


def filled(secret: core.Secret, account: core.ServiceAccount, content: Content) -> core.Secret | None:
    """The secret as it should be; None if it is so. `content.token` is used where there is none yet."""
    result = clone(secret)
    if content.root_ca:
        result.data["ca.crt"] = content.root_ca
    if not result.data.get("namespace"):
        result.data["namespace"] = secret.metadata.namespace.encode()
    if needs_token(secret):
        result.data["token"] = content.token
    result.metadata.annotations[SERVICE_ACCOUNT_NAME_KEY] = account.metadata.name
    result.metadata.annotations[ACCOUNT_UID] = account.metadata.uid
    return result if result != secret else None


class Signer:
    """Signs tokens with an RSA or EC key."""

    def __init__(self, pem: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

        self._key: Any = load_pem_private_key(pem, None)
        if isinstance(self._key, rsa.RSAPrivateKey):
            self._algorithm = "RS256"
        elif isinstance(self._key, ec.EllipticCurvePrivateKey):
            self._algorithm = {256: "ES256", 384: "ES384", 521: "ES512"}[self._key.curve.key_size]
        else:
            raise ValueError("the key of service accounts must be RSA or EC")
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._id = base64.urlsafe_b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")

    def sign(self, claims: dict[str, str]) -> bytes:
        """The claims as a JWT, signed with the key that was given."""
        import jwt

        return jwt.encode(claims, self._key, self._algorithm, {"kid": self._id}).encode()
