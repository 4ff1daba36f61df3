"""The authenticators in upstream's order (upstream: pkg/kubeapiserver/authenticator/config.go).

Front proxy, client certificate, then the tokens: static, service account, bootstrap, of OpenID Connect issuers, and what a webhook knows.
Whoever comes with nothing is anonymous, where that is allowed; whoever comes with something wrong is refused, even there.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pybernetes.aio.clock import Clock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.wellknown import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED
from pybernetes.component.metrics import Registry
from pybernetes.wire.http import Request

from ..types import Authenticator, Reader
from .bearer import Authenticated, TokenAuthenticator, TokenError, bearer_token
from .bootstraptoken import BootstrapToken
from .credentials import Credentials
from .options import AuthenticationOptions
from .requestheader import RequestHeader
from .serviceaccount import ServiceAccountTokens, TokenMetrics
from .user import ANONYMOUS, User

if TYPE_CHECKING:
    from .oidc.authenticators import JWTAuthenticators
    from .tokencache import TokenCache
    from .webhook import WebhookTokens

_log = logging.getLogger(__name__)

INVALID = "invalid bearer token"
JWT_SECONDS = 10.0  # for which a token of an issuer is not looked at again (TokenSuccessCacheTTL)


@dataclass(frozen=True, slots=True)
class Running:
    """Those among the authenticators that have tasks and connections of their own."""

    jwt: JWTAuthenticators | None = None
    webhook: WebhookTokens | None = None
    caches: Sequence[TokenCache] = ()


class Authenticators:
    """`requests` look at a whole request, `tokens` at its bearer token; `implicit` are the audiences that this server is.

    `service_accounts` is the one among `tokens` that also issues; None where there is none such. `anonymous_paths`: the only ones where who
    comes with nothing is let through; none: all. `running` are those with tasks and connections of their own.
    """

    def __init__(
        self,
        requests: Sequence[Authenticator] = (),
        tokens: Sequence[TokenAuthenticator] = (),
        anonymous: bool = False,
        service_accounts: ServiceAccountTokens | None = None,
        *,
        implicit: Sequence[str] = (),
        anonymous_paths: Container[str] = frozenset(),
        running: Running | None = None,
    ) -> None:
        self._requests, self._tokens, self._anonymous = requests, tokens, anonymous
        self._implicit, self._anonymous_paths = tuple(implicit), anonymous_paths
        self._running = running or Running()
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
                return (await self.token(token)).user
            except TokenError as error:
                _log.debug("a bearer token is not taken: %s", error)
                raise errors.unauthorized() from None
        if refusal is not None:
            raise refusal
        if not self._anonymous or not self._opens(request):
            raise errors.unauthorized()
        return ANONYMOUS

    def _opens(self, request: Request) -> bool:
        return not self._anonymous_paths or unquote(request.raw_path.decode("latin-1")) in self._anonymous_paths

    async def token(self, token: str, audiences: tuple[str, ...] = ()) -> Authenticated:
        """Whose token it is, and for which of the audiences; TokenError."""
        problems = [INVALID]
        for authenticator in self._tokens:
            try:
                answer = await authenticator.token(token, audiences)
            except TokenError as error:
                problems.append(str(error))
                continue
            if isinstance(answer, User):
                answer = self._for_this_server(answer, audiences)
            if answer is not None:
                return Authenticated(_authenticated(answer.user), answer.audiences)
        raise TokenError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")

    def _for_this_server(self, user: User, audiences: tuple[str, ...]) -> Authenticated | None:
        """Of a token that says nothing of audiences (upstream: authenticator/audagnostic.go)."""
        granted = tuple(audience for audience in audiences or self._implicit if audience in self._implicit)
        return Authenticated(user, granted) if granted or not audiences else None

    async def start(self) -> None:
        """Those that ask others begin to."""
        if self._running.jwt is not None:
            self._running.jwt.start()

    async def close(self) -> None:
        """Ends what `start` began, and all connections."""
        running = self._running
        for cache in running.caches:
            await cache.close()
        for one in (running.jwt, running.webhook):
            if one is not None:
                await one.close()


def _authenticated(user: User) -> User:
    """In the group of all who are (upstream: group.AuthenticatedGroupAdder)."""
    if user.name == ANONYMOUS.name or ALL_AUTHENTICATED in user.groups or ALL_UNAUTHENTICATED in user.groups:
        return user
    return replace(user, groups=(*user.groups, ALL_AUTHENTICATED))


def authenticators(
    options: AuthenticationOptions, reader: Reader, clock: Clock, registry: Registry | None = None
) -> Authenticators:
    """Those of the options. `reader` is where accounts, pods, nodes and secrets behind tokens are looked up, `registry` has their metrics."""
    registry, now = registry or Registry(), clock.now
    accounts = None
    if options.service_accounts is not None:
        accounts = ServiceAccountTokens(options.service_accounts, reader, now, TokenMetrics(registry))
    tokens: list[TokenAuthenticator] = list(options.tokens)
    if accounts is not None:
        tokens.append(accounts)
    if options.bootstrap_tokens:
        tokens.append(BootstrapToken(reader, now))
    running = Running()
    if options.jwt is not None or options.webhook is not None:
        running = _outside(options, clock, registry)
        tokens += running.caches
    return Authenticators(
        options.requests,
        tokens,
        options.anonymous,
        accounts,
        implicit=options.api_audiences,
        anonymous_paths=options.anonymous_paths,
        running=running,
    )


def _outside(options: AuthenticationOptions, clock: Clock, registry: Registry) -> Running:
    """Those who ask other servers: they come last, lest tokens that are known here go there. Loaded only where they are configured."""
    from .tokencache import TokenCache, TokenCacheMetrics

    metrics, caches = TokenCacheMetrics(registry), []
    jwt: JWTAuthenticators | None = None
    webhook: WebhookTokens | None = None
    if options.jwt is not None:
        from .oidc.authenticators import JWTAuthenticators

        jwt = JWTAuthenticators(options.jwt, registry, clock)
        caches.append(TokenCache(jwt, JWT_SECONDS, 0.0, metrics, clock))
    if options.webhook is not None:
        from ..reviewclient import ReviewClient
        from .webhook import WebhookTokens

        given = options.webhook
        webhook = WebhookTokens(ReviewClient(given.config, clock), given.version, options.api_audiences)
        caches.append(TokenCache(webhook, given.cache_seconds, given.cache_seconds, metrics, clock))
    return Running(jwt, webhook, caches)
