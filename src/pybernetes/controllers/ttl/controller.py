"""Tells kubelets how long to keep secrets and config maps, by the cluster's size (upstream: pkg/controller/ttl)."""

from __future__ import annotations

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core

from ..common import Key
from ..framework import Context, Controller

ANNOTATION = "node.alpha.kubernetes.io/ttl"
# (fewest nodes, most nodes, seconds): the ranges overlap, so that one node more or less does not change all of them
BOUNDARIES = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10000, 300))


def step_after(step: int, nodes: int) -> int:
    """The boundary that holds, given the one that did."""
    while step > 0 and nodes < BOUNDARIES[step][0]:
        step -= 1
    while step < len(BOUNDARIES) - 1 and nodes > BOUNDARIES[step][1]:
        step += 1
    return step


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
        if new is not None and new.metadata.annotations.get(ANNOTATION) != self._wanted:
            self.enqueue(new)

    @property
    def _wanted(self) -> str:
        return str(BOUNDARIES[self._step][2])

    async def sync(self, key: Key) -> None:
        """Writes the annotation."""
        node = self._nodes.get(key[1])
        if node is None or node.metadata.annotations.get(ANNOTATION) == self._wanted:
            return
        try:
            await self.client.patch(core.Node, key[1], "", {"metadata": {"annotations": {ANNOTATION: self._wanted}}})
        except StatusError as error:
            if error.code != 404:
                raise
