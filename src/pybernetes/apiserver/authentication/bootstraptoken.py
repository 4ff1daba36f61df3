"""Authentication by bootstrap tokens (upstream: plugin/pkg/auth/authenticator/token/bootstrap)."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import bootstraptokens as tokens
from pybernetes.api.wellknown import (
    ALL_AUTHENTICATED,
    BOOTSTRAP_TOKEN_ID_KEY,
    BOOTSTRAP_TOKEN_SECRET_KEY,
    SECRET_TYPE_BOOTSTRAP_TOKEN,
)

from ..types import Reader
from .user import User

_log = logging.getLogger(__name__)


def groups_of(data: Mapping[str, str]) -> tuple[str, ...]:
    """Of a secret's data, which `refusal` has looked at."""
    given = data.get(tokens.EXTRA_GROUPS_KEY, "")
    return tuple(sorted({tokens.DEFAULT_GROUP, *(given.split(",") if given else ())}))


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
    if tokens.has_expired(data.get(tokens.EXPIRATION_KEY, ""), now):
        return "it is expired"
    if data.get(tokens.USAGE_AUTHENTICATION_KEY) != "true":
        return f"it is not marked {tokens.USAGE_AUTHENTICATION_KEY}"
    groups = data.get(tokens.EXTRA_GROUPS_KEY, "")
    problems = [tokens.group_problem(group) for group in groups.split(",")] if groups else []
    if any(problems):
        return f"it has an invalid value for key {tokens.EXTRA_GROUPS_KEY}: {next(filter(None, problems))}"
    return ""


class BootstrapToken:
    """See `bearer.TokenAuthenticator`."""

    def __init__(self, reader: Reader, now: Callable[[], datetime]) -> None:
        self._reader, self._now = reader, now

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """ID.SECRET, as long as its secret says so. The log says why not, for who asks may be anybody."""
        parts = tokens.split(token)
        if parts is None:
            return None
        secret = self._reader.get("", "secrets", tokens.NAMESPACE, tokens.secret_name(parts[0]))
        why = refusal(secret, *parts, self._now())
        if why or secret is None:
            _log.debug("bootstrap token %s was refused: %s", parts[0], why)
            return None
        return User(f"{tokens.USER_PREFIX}{parts[0]}", (*groups_of(decoded(secret)), ALL_AUTHENTICATED))
