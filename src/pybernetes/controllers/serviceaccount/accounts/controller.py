"""Keeps the service account `default` in each namespace (upstream: pkg/controller/serviceaccount/serviceaccounts_controller.go)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta

from ...common import Key, namespace_terminating
from ...framework import Context, Controller

ACCOUNTS = ("default",)


class ServiceAccountsController(Controller):
    """One queue of namespaces; an account that goes away queues its own."""

    name = "serviceaccount-controller"
    account = "service-account-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=1)
        self._namespaces = self.informer(core.Namespace)
        self._accounts = self.informer(core.ServiceAccount)
        self._namespaces.add_handler(self._on_namespace)
        self._accounts.add_handler(self._on_account)

    def _on_namespace(self, old: core.Namespace | None, new: core.Namespace | None) -> None:
        if new is not None:
            self.enqueue(new)

    def _on_account(self, old: core.ServiceAccount | None, new: core.ServiceAccount | None) -> None:
        if new is None and old is not None:
            self.queue.add(("", old.metadata.namespace))

    async def sync(self, key: Key) -> None:
        """Makes what is missing in an active namespace."""
        namespace = self._namespaces.get(key[1])
        if namespace is None or namespace.status.phase != "Active":
            return
        for name in ACCOUNTS:
            if self._accounts.get(name, key[1]) is not None:
                continue
            account = core.ServiceAccount(metadata=meta.ObjectMeta(name=name, namespace=key[1]))
            try:
                await self.client.create(account)
            except StatusError as error:
                if error.code != 409 and not namespace_terminating(error):
                    raise
