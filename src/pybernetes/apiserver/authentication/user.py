"""Who asks: what authentication finds out, and authorization, admission and the stamps of objects go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pybernetes.api.wellknown import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS_USER, SYSTEM_PRIVILEGED_GROUP


@dataclass(frozen=True, slots=True)
class User:
    """Who asks (authentication/v1 UserInfo). `groups` has system:authenticated or system:unauthenticated already."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"  # in extra: by which token somebody came


def credential_id(token_id: str) -> str:
    """Of a token with such a jti (upstream: authentication/token/jwt)."""
    return f"JTI={token_id}"


ANONYMOUS = User(ANONYMOUS_USER, (ALL_UNAUTHENTICATED,))
LOOPBACK = User("system:apiserver", (SYSTEM_PRIVILEGED_GROUP, ALL_AUTHENTICATED))
