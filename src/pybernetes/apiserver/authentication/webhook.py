"""Tokens that a server outside knows, asked by TokenReview (upstream: apiserver/plugin/pkg/authenticator/token/webhook)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ..resource import Object
from ..reviewclient import ReviewClient, ReviewFailed
from .bearer import Authenticated, TokenError
from .user import User

_log = logging.getLogger(__name__)

VERSIONS = ("v1", "v1beta1")


class WebhookTokens:
    """See `bearer.TokenAuthenticator`. `implicit` are the audiences of this server; `close` when done."""

    def __init__(self, client: ReviewClient, version: str, implicit: Sequence[str]) -> None:
        self._client, self._implicit = client, tuple(implicit)
        self._api_version = f"authentication.k8s.io/{version}"

    async def token(self, token: str, audiences: tuple[str, ...]) -> Authenticated | None:
        """None where the server knows no such token, or it is for others."""
        audiences = audiences or self._implicit
        spec: Object = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
        review = {"kind": "TokenReview", "apiVersion": self._api_version, "spec": spec}
        try:
            answered = await self._client.create(review)
        except ReviewFailed as error:
            _log.error("Failed to make webhook authenticator request: %s", error)
            raise TokenError(str(error), lasting=False) from None
        status: Mapping[str, Any] = answered.get("status") or {}
        granted: tuple[str, ...] = ()
        if audiences:
            given = _texts(status.get("audiences")) or self._implicit
            granted = tuple(audience for audience in audiences if audience in given)
            if not granted:
                return None
        if status.get("authenticated") is not True:
            if why := status.get("error"):
                raise TokenError(str(why), lasting=False)
            return None
        return Authenticated(_user(status.get("user")), granted)

    async def close(self) -> None:
        """Ends all connections."""
        await self._client.close()


def _user(given: Any) -> User:
    """TokenError for what is no UserInfo."""
    info = {} if given is None else given
    name = info.get("username", "") if isinstance(info, dict) else None
    uid = info.get("uid", "") if isinstance(info, dict) else None
    extra = info.get("extra") or {} if isinstance(info, dict) else None
    if not isinstance(name, str) or not isinstance(uid, str) or not isinstance(extra, dict):
        raise TokenError("the user of the TokenReview is no UserInfo", lasting=False)
    return User(name, _texts(info.get("groups")), uid, {str(key): _texts(values) for key, values in extra.items()})


def _texts(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise TokenError(f"the TokenReview has {given!r:.80} in place of a list of texts", lasting=False)
    return tuple(given)
