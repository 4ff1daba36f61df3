"""Who is taken for whom, as the command line decides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..types import Authenticator
from .bearer import TokenAuthenticator
from .serviceaccount import TokenOptions

if TYPE_CHECKING:
    from pybernetes.client.kubeconfig import Config

    from .oidc.authenticators import JWTOptions


@dataclass(frozen=True, kw_only=True)
class TokenWebhookOptions:
    """Of the flags --authentication-token-webhook-*."""

    config: Config
    version: str = "v1beta1"
    cache_seconds: float = 120.0


@dataclass(frozen=True)
class AuthenticationOptions:
    """`requests` look at whole requests (front proxy, certificates) and are asked in their order, before all tokens;
    `tokens` know tokens of their own, and are asked before service accounts and bootstrap tokens."""

    requests: Sequence[Authenticator] = ()
    tokens: Sequence[TokenAuthenticator] = ()
    service_accounts: TokenOptions | None = None  # None: no such tokens are issued or taken
    bootstrap_tokens: bool = False
    jwt: JWTOptions | None = None  # tokens of OpenID Connect issuers
    webhook: TokenWebhookOptions | None = None  # who is asked for tokens that nobody else knows
    audiences: Sequence[str] = ()  # for whom a token must be to be good here; (): as of the service accounts'
    anonymous: bool = False  # whether who comes with nothing is let through, as system:anonymous
    anonymous_paths: frozenset[str] = frozenset()  # to these alone; none: to all
    # What extension API servers must know to authenticate as this one does, by keys of their ConfigMap; asked again, for files change.
    published: Callable[[], Mapping[str, str]] = dict

    @property
    def api_audiences(self) -> tuple[str, ...]:
        """For whom a token must be to be good here."""
        if self.audiences or self.service_accounts is None:
            return tuple(self.audiences)
        return self.service_accounts.api_audiences
