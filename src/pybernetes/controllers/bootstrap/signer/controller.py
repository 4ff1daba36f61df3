"""Signs kube-public/cluster-info with each bootstrap token that may sign (upstream: pkg/controller/bootstrap/bootstrapsigner.go)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import SECRET_TYPE_BOOTSTRAP_TOKEN
from pybernetes.client.types import Object

from ...common import clone
from ...framework import Context, Controller
from ..tokens import KUBECONFIG, NAMESPACE, signed_data

INFO_NAMESPACE, INFO_NAME = "kube-public", "cluster-info"


class BootstrapSigner(Controller):
    """A queue of one thing: the config map."""

    name = "bootstrap-signer-controller"
    account = "bootstrap-signer"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=1)
        self._maps = self.informer(
            core.ConfigMap, namespace=INFO_NAMESPACE, field_selector=f"metadata.name={INFO_NAME}"
        )
        self._secrets = self.informer(
            core.Secret, namespace=NAMESPACE, field_selector=f"type={SECRET_TYPE_BOOTSTRAP_TOKEN}"
        )
        self._maps.add_handler(self._changed)
        self._secrets.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        self.queue.add(INFO_NAME)

    async def sync(self, key: str) -> None:
        """Signs cluster-info with every token that may; writes nothing where the signatures are right."""
        info = self._maps.get(INFO_NAME, INFO_NAMESPACE)
        if info is None or KUBECONFIG not in info.data:
            return
        data = signed_data(info.data, self._secrets.list(), self.now())
        if data == info.data:
            return
        desired = clone(info)
        desired.data = data
        try:
            await self.client.update(desired)
        except StatusError as error:
            if error.code != 404:
                raise
