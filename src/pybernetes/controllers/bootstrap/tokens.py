"""Bootstrap tokens as secrets of kube-system; pure (upstream: k8s.io/cluster-bootstrap)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from pybernetes.api.times import parse_time
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import (
    BOOTSTRAP_TOKEN_ID_KEY,
    BOOTSTRAP_TOKEN_SECRET_KEY,
    BOOTSTRAP_TOKEN_SECRET_PREFIX,
    SECRET_TYPE_BOOTSTRAP_TOKEN,
)

NAMESPACE = "kube-system"
SIGNATURE = "jws-kubeconfig-"
KUBECONFIG = "kubeconfig"
_ID = re.compile(r"[a-z0-9]{6}")


def text(secret: core.Secret, key: str) -> str:
    """A value of its data; "" where it is absent or no text."""
    return secret.data.get(key, b"").decode("utf-8", "replace")


def expiration(secret: core.Secret) -> datetime | None:
    """When it ends; None: never. ValueError for what is no time."""
    value = text(secret, "expiration")
    return parse_time(value) if value else None


def signing_token(secret: core.Secret, now: datetime) -> tuple[str, str] | None:
    """(id, secret) of a token that may sign and has not expired."""
    token_id, token_secret = text(secret, BOOTSTRAP_TOKEN_ID_KEY), text(secret, BOOTSTRAP_TOKEN_SECRET_KEY)
    if secret.type != SECRET_TYPE_BOOTSTRAP_TOKEN or not _ID.fullmatch(token_id) or not token_secret:
        return None
    if (
        secret.metadata.name != BOOTSTRAP_TOKEN_SECRET_PREFIX + token_id
        or text(secret, "usage-bootstrap-signing") != "true"
    ):
        return None
    try:
        end = expiration(secret)
    except ValueError:
        return None
    return (token_id, token_secret) if end is None or now < end else None


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
