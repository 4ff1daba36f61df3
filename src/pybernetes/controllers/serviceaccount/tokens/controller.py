"""Fills secrets of type service-account-token, and deletes them with their account (upstream: pkg/controller/serviceaccount/tokens_controller.go).

Such secrets are made by hand since 1.24; pods get their tokens by TokenRequest. With `token_secrets` each account gets one as before.
"""

from __future__ import annotations

from typing import Any

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import SECRET_TYPE_SERVICE_ACCOUNT_TOKEN

from ...common import Key, clone
from ...framework import Context, Controller
from ...options import Options
from .plan import Content, Signer, account_of, belongs_to, claims_of, filled, listed, needs_token, new_secret

BY_ACCOUNT = "serviceAccount"
ACCOUNT = ""  # the first of a key that names an account; else it is a namespace


class ServiceAccountTokenController(Controller):
    """One queue of secrets of type service-account-token: they are filled, and go with their account."""

    name = "serviceaccount-token-controller"
    account = None  # secrets of every namespace: the manager has that right, and nobody else shall

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.options.concurrent_serviceaccount_token_syncs)
        self._signer = Signer(context.options.service_account_private_key)
        self._accounts = self.informer(core.ServiceAccount)
        self._secrets = self.informer(core.Secret, field_selector=f"type={SECRET_TYPE_SERVICE_ACCOUNT_TOKEN}")
        self._secrets.add_index(BY_ACCOUNT, lambda s: [f"{s.metadata.namespace}/{account_of(s)}"])
        self._accounts.add_handler(self._on_account)
        self._secrets.add_handler(self._on_secret)

    @classmethod
    def lacks(cls, options: Options) -> str:
        """No token can be signed without the private key."""
        return "" if options.service_account_private_key else "--service-account-private-key-file is not set"

    def _on_account(self, old: core.ServiceAccount | None, new: core.ServiceAccount | None) -> None:
        if new is not None and self.context.options.token_secrets:
            self.queue.add((ACCOUNT, new.metadata.namespace, new.metadata.name))
        if old is not None and new is not None and old.metadata.uid == new.metadata.uid:
            return
        account = new if new is not None else old
        assert account is not None
        for secret in self._secrets.by_index(BY_ACCOUNT, f"{account.metadata.namespace}/{account.metadata.name}"):
            self.enqueue(secret)

    def _on_secret(self, old: core.Secret | None, new: core.Secret | None) -> None:
        if new is not None:
            self.enqueue(new)
        elif old is not None and account_of(old):
            self.queue.add((old.metadata.namespace, old.metadata.name, account_of(old)))

    async def sync(self, key: Key | tuple[str, str, str]) -> None:
        """Fills or deletes a secret; takes a deleted one from its account's list."""
        if len(key) == 3 and key[0] == ACCOUNT:
            await self._ensure(key[1], key[2])
            return
        if len(key) == 3:
            await self._forget(*key)
            return
        secret = self._secrets.get(key[1], key[0])
        if secret is None or not account_of(secret):
            return
        account = await self._account(key[0], account_of(secret))
        if account is None or not belongs_to(secret, account):
            meta = secret.metadata
            await self._unless_gone(
                self.client.delete(core.Secret, key[1], key[0], uid=meta.uid, resource_version=meta.resource_version)
            )
            return
        token = self._signer.sign(claims_of(secret, account)) if needs_token(secret) else b""
        desired = filled(secret, account, Content(self.context.options.root_ca, token))
        if desired is not None:
            await self._unless_gone(self.client.update(desired))

    async def _ensure(self, namespace: str, name: str) -> None:
        """A secret for an account that lists none of its own, and its name in the account's list.

        Where the latter fails the secret goes again: another try makes another.
        """
        seen = self._accounts.get(name, namespace)
        if seen is None or listed(seen, self._secrets.by_index(BY_ACCOUNT, f"{namespace}/{name}")):
            return
        live = await self._unless_gone(self.client.get(core.ServiceAccount, name, namespace))
        if live is None or live.metadata.resource_version != seen.metadata.resource_version:
            return  # the informer tells of it soon
        created = await self.client.create(new_secret(live))
        desired = filled(
            created, live, Content(self.context.options.root_ca, self._signer.sign(claims_of(created, live)))
        )
        if desired is not None:
            await self._unless_gone(self.client.update(desired))
        changed = clone(live)
        changed.secrets = [*changed.secrets, core.ObjectReference(name=created.metadata.name)]
        try:
            await self.client.update(changed)
        except StatusError as error:
            await self._unless_gone(self.client.delete(core.Secret, created.metadata.name, namespace))
            if error.code not in (404, 409):
                raise

    async def _account(self, namespace: str, name: str) -> core.ServiceAccount | None:
        """The live one where the informer has none: it may just have been made."""
        account: core.ServiceAccount | None = self._accounts.get(name, namespace)
        if account is None:
            account = await self._unless_gone(self.client.get(core.ServiceAccount, name, namespace))
        return account

    async def _forget(self, namespace: str, secret: str, name: str) -> None:
        account = self._accounts.get(name, namespace)
        if account is None or self._secrets.get(secret, namespace) is not None:
            return
        remaining = [ref for ref in account.secrets if ref.name != secret]
        if len(remaining) != len(account.secrets):
            desired = clone(account)
            desired.secrets = remaining
            await self._unless_gone(self.client.update(desired))
        if self.context.options.token_secrets:
            self.queue.add((ACCOUNT, namespace, name))

    @staticmethod
    async def _unless_gone(request: Any) -> Any:
        try:
            return await request
        except StatusError as error:
            if error.code == 404:
                return None
            raise
