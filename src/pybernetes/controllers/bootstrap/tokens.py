"""Bootstrap tokens as secrets of kube-system; pure (upstream: k8s.io/cluster-bootstrap)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from pybernetes.api import bootstraptokens as tokens
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import (
    BOOTSTRAP_TOKEN_ID_KEY,
    BOOTSTRAP_TOKEN_SECRET_KEY,
    SECRET_TYPE_BOOTSTRAP_TOKEN,
)

NAMESPACE = tokens.NAMESPACE
SIGNATURE = "jws-kubeconfig-"
KUBECONFIG = "kubeconfig"


def text(secret: core.Secret, key: str) -> str:
    """A value of its data; "" where it is absent or no text."""
    return secret.data.get(key, b"").decode("utf-8", "replace")


def expiration(secret: core.Secret) -> datetime | None:
    """When it ends; None: never. ValueError for what is no time."""
    return tokens.expiration(text(secret, tokens.EXPIRATION_KEY))


def signing_token(secret: core.Secret, now: datetime) -> tuple[str, str] | None:
    """(id, secret) of a token that may sign and has not expired."""
    token_id, token_secret = text(secret, BOOTSTRAP_TOKEN_ID_KEY), text(secret, BOOTSTRAP_TOKEN_SECRET_KEY)
    if secret.type != SECRET_TYPE_BOOTSTRAP_TOKEN or not tokens.is_id(token_id) or not token_secret:
        return None
    if secret.metadata.name != tokens.secret_name(token_id) or text(secret, tokens.USAGE_SIGNING_KEY) != "true":
        return None
    expired = tokens.has_expired(text(secret, tokens.EXPIRATION_KEY), now)
    return None if expired else (token_id, token_secret)


def detached_signature(content: str, token_id: str, token_secret: str) -> str:
    """A JWS (HS256) whose payload is left out: header..signature."""
    header = _encode(json.dumps({"alg": "HS256", "kid": token_id}, separators=(",", ":")).encode())
    signed = f"{header}.{_encode(content.encode())}".encode()
    return f"{header}..{_encode(hmac.new(token_secret.encode(), signed, hashlib.sha256).digest())}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed_data(data: Mapping[str, str], secrets: Iterable[core.Secret], now: datetime) -> dict[str, str]:
    """The data of cluster-info with just the signatures of today's tokens."""
    result = {key: value for key, value in data.items() if not key.startswith(SIGNATURE)}
    content = data.get(KUBECONFIG)
    if content is None:
        return result
    for token_id, token_secret in filter(None, (signing_token(secret, now) for secret in secrets)):
        result[SIGNATURE + token_id] = detached_signature(content, token_id, token_secret)
    return result
