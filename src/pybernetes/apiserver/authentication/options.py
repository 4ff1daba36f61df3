"""Who is taken for whom, as the command line decides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..types import Authenticator
from .bearer import TokenAuthenticator
from .serviceaccount import TokenOptions


@dataclass(frozen=True)
class AuthenticationOptions:
    """`requests` look at whole requests (front proxy, certificates) and are asked in their order, before all tokens;
    `tokens` know tokens of their own, and are asked before service accounts and bootstrap tokens."""

    requests: Sequence[Authenticator] = ()
    tokens: Sequence[TokenAuthenticator] = ()
    service_accounts: TokenOptions | None = None  # None: no such tokens are issued or taken
    bootstrap_tokens: bool = False
    anonymous: bool = False  # whether who comes with nothing is let through, as system:anonymous
    # What extension API servers must know to authenticate as this one does, by keys of their ConfigMap; asked again, for files change.
    published: Callable[[], Mapping[str, str]] = dict
