"""Tells kubelets how long to keep secrets and config maps, by the cluster's size (upstream: pkg/controller/ttl)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core

from ..common import Key
from ..framework import Context, Controller
from .plan import BOUNDARIES, step_after

ANNOTATION = "node.alpha.kubernetes.io/ttl"


class TTLController(Controller):
    """One queue of nodes. A node keeps its value until it is looked at again, as upstream's does."""

    name = "ttl-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=5)
        self._count = 0
        self._step = 0
        self._nodes = self.informer(core.Node)
        self._nodes.add_handler(self._on_node)

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        self._count += (new is not None) - (old is not None)
        self._step = step_after(self._step, self._count)
        if new is not None and new.metadata.annotations.get(ANNOTATION) != self._desired:
            self.enqueue(new)

    @property
    def _desired(self) -> str:
        return str(BOUNDARIES[self._step][2])

    async def sync(self, key: Key) -> None:
        """Writes the annotation of one node, where it has another."""
        node = self._nodes.get(key[1])
        if node is None or node.metadata.annotations.get(ANNOTATION) == self._desired:
            return
        try:
            await self.client.patch(core.Node, key[1], "", {"metadata": {"annotations": {ANNOTATION: self._desired}}})
        except StatusError as error:
            if error.code != 404:
                raise
