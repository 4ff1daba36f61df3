"""The authenticators in upstream's order (upstream: pkg/kubeapiserver/authenticator/config.go).

Front proxy, client certificate, then the tokens: static, service account, bootstrap. Whoever comes with nothing is anonymous, where
that is allowed; whoever comes with something wrong is refused, even there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.wire.http import Request

from ..types import Authenticator, Reader
from .bearer import TokenAuthenticator, TokenError, bearer_token
from .bootstraptoken import BootstrapToken
from .credentials import Credentials
from .options import AuthenticationOptions
from .requestheader import RequestHeader
from .serviceaccount import ServiceAccountTokens
from .user import ANONYMOUS, User

INVALID = "invalid bearer token"


class Authenticators:
    """`requests` look at a whole request, `tokens` at its bearer token.

    `service_accounts` is the one among `tokens` that also issues; None where there is none such.
    """

    def __init__(
        self,
        requests: Sequence[Authenticator] = (),
        tokens: Sequence[TokenAuthenticator] = (),
        anonymous: bool = False,
        service_accounts: ServiceAccountTokens | None = None,
    ) -> None:
        self._requests, self._tokens, self._anonymous = requests, tokens, anonymous
        self.service_accounts = service_accounts
        self.credentials = Credentials.of(one for one in requests if isinstance(one, RequestHeader))

    async def authenticate(self, request: Request) -> User:
        """StatusError 401."""
        refusal: StatusError | None = None
        for authenticator in self._requests:
            try:
                user = await authenticator.authenticate(request)
            except StatusError as error:
                refusal = error
                continue
            if user is not None:
                return user
        token = bearer_token(request)
        if token:
            try:
                return await self.token(token)
            except TokenError:
                raise errors.unauthorized() from None
        if refusal is not None:
            raise refusal
        if not self._anonymous:
            raise errors.unauthorized()
        return ANONYMOUS

    async def token(self, token: str, audiences: tuple[str, ...] = ()) -> User:
        """Whose token it is; TokenError."""
        problems = [INVALID]
        for authenticator in self._tokens:
            try:
                user = await authenticator.token(token, audiences)
            except TokenError as error:
                problems.append(str(error))
                continue
            if user is not None:
                return user
        raise TokenError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def authenticators(options: AuthenticationOptions, reader: Reader, now: Callable[[], datetime]) -> Authenticators:
    """Those of the options. `reader` is where accounts, pods, nodes and secrets behind tokens are looked up."""
    accounts = ServiceAccountTokens(options.service_accounts, reader, now) if options.service_accounts else None
    tokens: list[TokenAuthenticator] = list(options.tokens)
    if accounts is not None:
        tokens.append(accounts)
    if options.bootstrap_tokens:
        tokens.append(BootstrapToken(reader, now))
    return Authenticators(options.requests, tokens, options.anonymous, accounts)
