"""Bearer tokens: the header, and what those who know tokens promise (upstream: apiserver/.../request/bearertoken, token/union)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Protocol

from pybernetes.wire import websocket
from pybernetes.wire.http import Request

from .user import User

SCHEME = "bearer "
PROTOCOL = "base64url.bearer.authorization.k8s.io."


class TokenError(Exception):
    """A token that is one's own, and wrong; the text is for TokenReview, the request just gets 401.

    `lasting`: the same token is wrong the next time, too, as it is not where somebody could not be asked.
    """

    def __init__(self, why: str, lasting: bool = True) -> None:
        super().__init__(why)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Whose a token is, and for which of those that were asked for it is meant (upstream: authenticator.Response)."""

    user: User
    audiences: tuple[str, ...]


class TokenAuthenticator(Protocol):
    """Says whose a token is."""

    async def token(self, token: str, audiences: tuple[str, ...]) -> Authenticated | User | None:
        """None: not one of these tokens. TokenError for a bad one. `audiences`: for one of whom it must be; (): this server.

        A User alone where the tokens say nothing of whom they are meant for, which is then this server.
        """
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
