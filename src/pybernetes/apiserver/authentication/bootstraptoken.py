"""Authentication by bootstrap tokens (upstream: plugin/pkg/auth/authenticator/token/bootstrap)."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pybernetes.api import times
from pybernetes.api.wellknown import (
    ALL_AUTHENTICATED,
    BOOTSTRAP_TOKEN_ID_KEY,
    BOOTSTRAP_TOKEN_SECRET_KEY,
    BOOTSTRAP_TOKEN_SECRET_PREFIX,
    SECRET_TYPE_BOOTSTRAP_TOKEN,
)

from ..types import Reader
from .bearer import TokenError
from .user import User

NAMESPACE = "kube-system"
GROUP = "system:bootstrappers"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def groups_of(data: dict[str, str]) -> tuple[str, ...]:
    """Of a secret's data; TokenError for groups that such a token may not give."""
    extra = [group for group in data.get("auth-extra-groups", "").split(",") if group]
    for group in extra:
        if not _EXTRA_GROUP.fullmatch(group):
            raise TokenError(f"bootstrap group {group!r} is invalid (must match {_EXTRA_GROUP.pattern})")
    return (GROUP, *sorted(set(extra) - {GROUP}))


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    """The data of a secret as text; what is no text is left out."""
    decoded = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            decoded[key] = base64.b64decode(value or "").decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return decoded


class BootstrapToken:
    """See `bearer.TokenAuthenticator`."""

    def __init__(self, reader: Reader, now: Callable[[], datetime]) -> None:
        self._reader, self._now = reader, now

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """ID.SECRET, as long as its secret says so."""
        match = _TOKEN.fullmatch(token)
        secret = self._reader.get("", "secrets", NAMESPACE, BOOTSTRAP_TOKEN_SECRET_PREFIX + match[1]) if match else None
        if match is None or secret is None or secret["metadata"].get("deletionTimestamp"):
            return None
        data = decoded(secret)
        good = secret.get("type") == SECRET_TYPE_BOOTSTRAP_TOKEN and data.get(BOOTSTRAP_TOKEN_ID_KEY) == match[1]
        if not good or not hmac.compare_digest(data.get(BOOTSTRAP_TOKEN_SECRET_KEY, "").encode(), match[2].encode()):
            return None
        if self._expired(data.get("expiration", "")) or data.get("usage-bootstrap-authentication") != "true":
            return None
        return User(f"system:bootstrap:{match[1]}", (*groups_of(data), ALL_AUTHENTICATED))

    def _expired(self, text: str) -> bool:
        if not text:
            return False
        try:
            return self._now() >= times.parse_time(text)
        except ValueError:
            return True  # an end that nobody can read has come
