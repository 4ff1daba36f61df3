"""Deletes bootstrap tokens that have expired (upstream: pkg/controller/bootstrap/tokencleaner.go)."""

from __future__ import annotations

import logging

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import SECRET_TYPE_BOOTSTRAP_TOKEN

from ...common import Key
from ...framework import Context, Controller
from ..tokens import NAMESPACE, expiration

_log = logging.getLogger(__name__)


class TokenCleaner(Controller):
    """One queue of bootstrap token secrets; each comes back until it has ended."""

    name = "token-cleaner-controller"
    account = "token-cleaner"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=10)
        self._secrets = self.informer(
            core.Secret, namespace=NAMESPACE, field_selector=f"type={SECRET_TYPE_BOOTSTRAP_TOKEN}"
        )
        self._secrets.add_handler(self._on_secret)

    def _on_secret(self, old: core.Secret | None, new: core.Secret | None) -> None:
        if new is not None:
            self.enqueue(new)

    async def sync(self, key: Key) -> None:
        """Deletes it when it is time, or comes back."""
        secret = self._secrets.get(key[1], key[0])
        if secret is None:
            return
        try:
            end = expiration(secret)
        except ValueError as error:
            _log.info("bootstrap token %s: %s; treated as expired", key[1], error)
            end = self.now()
        if end is None:
            return
        left = (end - self.now()).total_seconds()
        if left > 0:
            self.look_again(key, left)
            return
        try:
            await self.client.delete(core.Secret, key[1], key[0], uid=secret.metadata.uid)
        except StatusError as error:
            if error.code != 404:
                raise
