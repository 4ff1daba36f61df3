"""Authentication by bootstrap tokens (upstream: plugin/pkg/auth/authenticator/token/bootstrap)."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Callable, Mapping
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

_log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
GROUP = "system:bootstrappers"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def groups_of(data: dict[str, str]) -> tuple[str, ...]:
    """Of a secret's data; TokenError for groups that such a token may not give."""
    given = data.get("auth-extra-groups", "")
    extra = given.split(",") if given else []
    for group in extra:
        if not _EXTRA_GROUP.fullmatch(group):
            raise TokenError(f"bootstrap group {group!r} is invalid (must match {_EXTRA_GROUP.pattern})")
    return (GROUP, *sorted(set(extra) - {GROUP}))


def decoded(secret: Mapping[str, Any]) -> dict[str, str]:
    """The data of a secret as text; what is no text is left out."""
    decoded = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            decoded[key] = base64.b64decode(value or "").decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return decoded


def refusal(secret: Mapping[str, Any] | None, token_id: str, token_secret: str, now: datetime) -> str:
    """Why the token is not one of this Secret, "" where it is; in upstream's words, which are for the server's log alone."""
    if secret is None:
        return "there is no secret of this token"
    data = decoded(secret)
    if secret["metadata"].get("deletionTimestamp"):
        return "it is deleted and awaiting removal"
    if secret.get("type") != SECRET_TYPE_BOOTSTRAP_TOKEN:
        return f"it has an invalid type, expected {SECRET_TYPE_BOOTSTRAP_TOKEN}"
    if not data.get(BOOTSTRAP_TOKEN_SECRET_KEY):
        return f"it has no value for {BOOTSTRAP_TOKEN_SECRET_KEY}"
    if not hmac.compare_digest(data[BOOTSTRAP_TOKEN_SECRET_KEY].encode(), token_secret.encode()):
        return f"its value for key {BOOTSTRAP_TOKEN_SECRET_KEY} does not match"
    if data.get(BOOTSTRAP_TOKEN_ID_KEY) != token_id:
        return f"its value for key {BOOTSTRAP_TOKEN_ID_KEY} does not match"
    if _expired(data.get("expiration", ""), now):
        return "it is expired"
    if data.get("usage-bootstrap-authentication") != "true":
        return "it is not marked usage-bootstrap-authentication"
    return ""


def _expired(text: str, now: datetime) -> bool:
    if not text:
        return False
    try:
        return now >= times.parse_time(text)
    except ValueError:
        return True  # an end that nobody can read has come


class BootstrapToken:
    """See `bearer.TokenAuthenticator`."""

    def __init__(self, reader: Reader, now: Callable[[], datetime]) -> None:
        self._reader, self._now = reader, now

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """ID.SECRET, as long as its secret says so. The log says why not, for who asks may be anybody."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        name = BOOTSTRAP_TOKEN_SECRET_PREFIX + match[1]
        secret = self._reader.get("", "secrets", NAMESPACE, name)
        why = refusal(secret, match[1], match[2], self._now())
        if why or secret is None:
            _log.debug("bootstrap token %s was refused: %s", match[1], why)
            return None
        return User(f"system:bootstrap:{match[1]}", (*groups_of(decoded(secret)), ALL_AUTHENTICATED))
