"""Gives each node its pod network (upstream: pkg/controller/nodeipam, the range allocator)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core

from ..framework import Again, Context, Controller
from ..options import Options
from .cidrset import Exhausted, Network
from .plan import cidrs_of, sets_of

_log = logging.getLogger(__name__)

WORKERS = 30


class NodeIPAMController(Controller):
    """One queue of nodes; what is given away is kept in memory, and read from the nodes at the start."""

    name = "node-ipam-controller"
    account = "node-controller"
    component = "cidrAllocator"

    def __init__(self, context: Context) -> None:
        super().__init__(context, WORKERS)
        self._sets = sets_of(context.options)
        self._held: dict[str, list[Network]] = {}
        self._nodes = self.informer(core.Node)
        self._nodes.add_handler(self._on_node)

    @classmethod
    def lacks(cls, options: Options) -> str:
        """Which flag it cannot work with; "" if it can."""
        if not options.allocate_node_cidrs:
            return "--allocate-node-cidrs is false"
        if not options.cluster_cidr:
            return "--cluster-cidr is not set"
        if options.cidr_allocator_type != "RangeAllocator":
            return f"--cidr-allocator-type={options.cidr_allocator_type}: only RangeAllocator is there"
        return ""

    def _on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        if new is None:
            assert old is not None
            self._release(old.metadata.name)
        elif new.spec.pod_cidrs:
            self._occupy(new)
        elif new.metadata.deletion_timestamp is None:
            self.queue.add(new.metadata.name)

    def _occupy(self, node: core.Node) -> None:
        """A range that a node has is its own, whoever gave it: it is taken out of what is free."""
        name = node.metadata.name
        try:
            parts = cidrs_of(node)
            if self._held.get(name) == parts:
                return
            self._release(name)
            for cidrs, subnet in zip(self._sets, parts, strict=False):
                cidrs.occupy(subnet)
        except ValueError as error:
            _log.warning("node %s: %s", name, error)
            return
        self._held[name] = parts

    async def sync(self, key: str) -> None:
        """Gives a node without a network one; all nodes that have one were told before."""
        node = self._nodes.get(key)
        if node is None or node.spec.pod_cidrs:
            return
        parts = self._held.get(key)  # from a try whose answer was lost
        if parts is None:
            parts = self._held[key] = self._allocate(node)
        try:
            await self._write(node, [str(subnet) for subnet in parts])
        except StatusError as error:
            self._release(key)
            if error.code != 404:
                self._tell(node, "CIDRAssignmentFailed")
                raise

    def _allocate(self, node: core.Node) -> list[Network]:
        parts: list[Network] = []
        try:
            for cidrs in self._sets:
                parts.append(cidrs.allocate())
        except Exhausted as error:
            for cidrs, subnet in zip(self._sets, parts, strict=False):
                cidrs.release(subnet)
            self._tell(node, "CIDRNotAvailable")
            raise Again(f"failed to allocate cidr from cluster cidr: {error}") from error
        return parts

    def _release(self, name: str) -> None:
        for cidrs, subnet in zip(self._sets, self._held.pop(name, []), strict=False):
            cidrs.release(subnet)

    async def _write(self, node: core.Node, parts: Sequence[str]) -> None:
        patch = {"metadata": {"uid": node.metadata.uid}, "spec": {"podCIDR": parts[0], "podCIDRs": list(parts)}}
        await self.client.patch(core.Node, node.metadata.name, "", patch, type="strategic")

    def _tell(self, node: core.Node, reason: str) -> None:
        name = node.metadata.name
        about = core.ObjectReference(kind="Node", name=name, uid=node.metadata.uid)
        self.recorder.normal(about, reason, f"Node {name} status is now: {reason}")
