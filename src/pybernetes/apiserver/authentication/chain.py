"""The authenticators in upstream's order (upstream: pkg/kubeapiserver/authenticator/config.go).

Front proxy, client certificate, then the tokens: static, service account, bootstrap. Whoever comes with nothing is anonymous, where
that is allowed; whoever comes with something wrong is refused, even there.
"""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.wire.http import Request

from ..types import Authenticator
from .bearer import TokenAuthenticator, TokenError, bearer_token
from .user import ANONYMOUS, User

INVALID = "invalid bearer token"


class Authenticators:
    """`requests` look at a whole request, `tokens` at its bearer token."""

    def __init__(
        self, requests: Sequence[Authenticator], tokens: Sequence[TokenAuthenticator] = (), anonymous: bool = False
    ) -> None:
        self._requests, self._tokens, self._anonymous = requests, tokens, anonymous

    def authenticate(self, request: Request) -> User:
        """StatusError 401."""
        refusal: StatusError | None = None
        for authenticator in self._requests:
            try:
                user = authenticator.authenticate(request)
            except StatusError as error:
                refusal = error
                continue
            if user is not None:
                return user
        token = bearer_token(request)
        if token:
            try:
                return self.token(token)
            except TokenError:
                raise errors.unauthorized() from None
        if refusal is not None:
            raise refusal
        if not self._anonymous:
            raise errors.unauthorized()
        return ANONYMOUS

    def token(self, token: str, audiences: tuple[str, ...] = ()) -> User:
        """Whose token it is; TokenError."""
        problems = [INVALID]
        for authenticator in self._tokens:
            try:
                user = authenticator.token(token, audiences)
            except TokenError as error:
                problems.append(str(error))
                continue
            if user is not None:
                return user
        raise TokenError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
