"""A client for each controller under its own service account (--use-service-account-credentials; upstream: DynamicControllerClientBuilder)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pybernetes.api.errors import StatusError
from pybernetes.api.types import authentication_v1 as authentication
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.kubeconfig import Config
from pybernetes.client.types import Client

NAMESPACE = "kube-system"
LIFETIME = timedelta(hours=1)
REFRESH = 0.8  # a token is asked anew when this share of its time is over


@dataclass
class AccountConfig(Config):
    """Authenticates with tokens that the root client asks for; the account is made where it is missing."""

    root: Client | None = None
    account: str = ""
    _token: str = ""
    _until: datetime | None = None
    _lock: asyncio.Lock | None = None

    async def authorization(self, now: datetime) -> str:
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if self._until is None or now >= self._until:
                self._token = await self._ask()
                self._until = now + LIFETIME * REFRESH
        return f"Bearer {self._token}"

    async def _ask(self) -> str:
        assert self.root is not None
        request = authentication.TokenRequest(
            spec=authentication.TokenRequestSpec(expiration_seconds=int(LIFETIME.total_seconds()))
        )
        for _ in range(2):
            try:
                answer = await self.root.create_subresource(
                    core.ServiceAccount, self.account, NAMESPACE, "token", request, authentication.TokenRequest
                )
                return answer.status.token
            except StatusError as error:
                if error.code != 404:
                    raise
                await self._make_account()
        raise ConnectionError(
            f"no token for the service account {NAMESPACE}/{self.account}: it vanishes again and again"
        )

    async def _make_account(self) -> None:
        assert self.root is not None
        try:
            await self.root.create(
                core.ServiceAccount(metadata=meta.ObjectMeta(name=self.account, namespace=NAMESPACE))
            )
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise


class Accounts:
    """Clients by account; `make` builds a client from a config, `close` ends all of them."""

    def __init__(self, root: Client, config: Config, make: Callable[[Config, str], Client]) -> None:
        self._root, self._config, self._make = root, config, make
        self._clients: dict[str, Client] = {}

    def client_for(self, account: str) -> Client:
        """The account's client; its token is asked for at the first request."""
        client = self._clients.get(account)
        if client is None:
            server, config = self._config.server, self._config
            own = AccountConfig(
                server,
                ca_data=config.ca_data,
                ca_file=config.ca_file,
                source=config.source,
                insecure_skip_tls_verify=config.insecure_skip_tls_verify,
                tls_server_name=config.tls_server_name,
                root=self._root,
                account=account,
            )
            client = self._clients[account] = self._make(own, account)
        return client

    async def close(self) -> None:
        """Ends the connections of all clients that were given out."""
        for client in self._clients.values():
            await client.close()
