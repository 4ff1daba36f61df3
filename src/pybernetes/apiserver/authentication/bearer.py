"""Bearer tokens: the header, and what those who know tokens promise (upstream: apiserver/.../request/bearertoken, token/union)."""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

from pybernetes.wire import websocket
from pybernetes.wire.http import Request

from .user import User

SCHEME = "bearer "
PROTOCOL = "base64url.bearer.authorization.k8s.io."


class TokenError(Exception):
    """A token that is one's own, and wrong; the text is for TokenReview, the request just gets 401."""


class TokenAuthenticator(Protocol):
    """Says whose a token is."""

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """None: not one of these tokens. TokenError for a bad one. `audiences`: for one of whom it must be; (): this server."""
        ...


def bearer_token(request: Request) -> str:
    """Empty where there is none. Browsers can give no headers to a WebSocket: there it may be one of the protocols."""
    header = request.header("authorization")
    if header is not None:
        return header[len(SCHEME) :].strip() if header[: len(SCHEME)].lower() == SCHEME else ""
    protocols = request.header("sec-websocket-protocol")
    for protocol in protocols.split(",") if protocols and _is_websocket(request) else ():
        if protocol.strip().startswith(PROTOCOL):
            return _decoded(protocol.strip()[len(PROTOCOL) :])
    return ""


def _is_websocket(request: Request) -> bool:
    """Whether it asks for an upgrade to one (upstream: httpstream/wsstream IsWebSocketRequest)."""
    connection = ",".join(request.header_values("connection")).lower().split(",")
    return websocket.asked(request) and "upgrade" in map(str.strip, connection)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text  # no token that anybody knows
