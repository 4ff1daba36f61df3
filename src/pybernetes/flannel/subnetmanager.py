"""Leases through the API server: a node's podCIDR and annotations (upstream: pkg/subnet/kube/kube.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1
from pybernetes.client.types import Client, Informers, present

from .annotations import Annotations, changes, lease_of, own_lease, said
from .config import NetworkConfig
from .lease import Attributes, Lease, LeaseError

_log = logging.getLogger(__name__)

SYNC_SECONDS = 600.0  # upstream's nodeControllerSyncTimeout
POLL_SECONDS, POLL_END_SECONDS = 3.0, 30.0  # for the own node, and for its annotations to be taken


class SubnetError(Exception):
    """There is no lease to be had; one line for the user."""


async def node_name(environment: Mapping[str, str], client: Client) -> str:
    """NODE_NAME, or where the pod of POD_NAME and POD_NAMESPACE runs. SubnetError."""
    if environment.get("NODE_NAME"):
        return environment["NODE_NAME"]
    name, namespace = environment.get("POD_NAME", ""), environment.get("POD_NAMESPACE", "")
    if not name or not namespace:
        raise SubnetError("env variables POD_NAME and POD_NAMESPACE must be set")
    try:
        pod = await client.get(core_v1.Pod, name, namespace)
    except (StatusError, ConnectionError, TimeoutError) as error:
        raise SubnetError(f"error retrieving pod spec for '{namespace}/{name}': {error}") from error
    if not pod.spec.node_name:
        raise SubnetError(f"node name not present in pod spec '{namespace}/{name}'")
    return pod.spec.node_name


class KubeSubnetManager:
    """Collects the changes of other nodes' leases; `run` of the informers brings them."""

    def __init__(
        self, client: Client, informers: Informers, node: str, names: Annotations, config: NetworkConfig, clock: Clock
    ) -> None:
        self._client, self._names, self._config, self._clock = client, names, config, clock
        self.node_name = node
        self._informers = informers
        self._nodes = informers.informer(core_v1.Node)
        self._nodes.add_handler(self._on_node)
        self._pending: dict[str, Lease | None] = {}  # by node: of several changes the last one counts
        self._changed = asyncio.Event()

    def _on_node(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        name = present(old, new).metadata.name
        if new is None:
            self._put(name, None)
            return
        if old is not None and said(old, self._names) == said(new, self._names):
            return  # heartbeats
        try:
            lease = lease_of(new, self._names)
        except LeaseError as error:
            _log.info('Error turning node "%s" to lease: %s', name, error)
            return
        if lease is not None:
            self._put(name, lease)

    def _put(self, name: str, lease: Lease | None) -> None:
        self._pending[name] = lease
        self._changed.set()

    def take(self) -> dict[str, Lease | None]:
        """What has changed since the last call; at first all there is."""
        pending, self._pending = self._pending, {}
        self._changed.clear()
        return pending

    async def wait(self) -> None:
        """Returns when there is something to take."""
        await self._changed.wait()

    async def wait_synced(self) -> None:
        """Returns after the first list. SubnetError where none comes."""
        try:
            async with self._clock.timeout(SYNC_SECONDS):
                await self._informers.wait_synced()
        except TimeoutError:
            raise SubnetError("error waiting for nodeController to sync state: context deadline exceeded") from None

    async def own_node(self) -> core_v1.Node:
        """As the cache has it; waits for one that registers late. SubnetError."""
        end = self._clock.monotonic() + POLL_END_SECONDS
        while True:
            node = self._nodes.get(self.node_name)
            if node is not None:
                return node
            if self._clock.monotonic() >= end:
                raise SubnetError(f'timeout contacting kube-api, there is no node "{self.node_name}"')
            await self._clock.sleep(POLL_SECONDS)

    async def acquire(self, attributes: Attributes) -> Lease:
        """Writes the annotations, where they are not so already. SubnetError."""
        node = await self.own_node()
        try:
            lease = own_lease(node, attributes, self._config)
        except LeaseError as error:
            raise SubnetError(str(error)) from None
        written = changes(node.metadata.annotations, attributes, self._names)
        if written:
            await self._annotate(written)
        return lease

    async def _annotate(self, written: dict[str, str]) -> None:
        end = self._clock.monotonic() + POLL_END_SECONDS
        while True:
            try:
                await self._patch({"metadata": {"annotations": written}})
                return
            except (StatusError, ConnectionError, TimeoutError) as error:
                if self._clock.monotonic() >= end:
                    raise SubnetError(
                        f'timeout contacting kube-api, failed to patch node "{self.node_name}". Error: {error}'
                    ) from error
                _log.warning('Failed to patch node "%s": %s', self.node_name, error)
            await self._clock.sleep(POLL_SECONDS)

    async def tell_available(self) -> None:
        """The condition that lets the scheduler use the node. What goes wrong is logged."""
        try:
            await self._patch({"status": {"conditions": [condition(self._clock.now())]}})
        except (StatusError, ConnectionError, TimeoutError) as error:
            _log.error("CompleteLease execute error err: %s", error)

    async def _patch(self, patch: dict[str, object]) -> None:
        """Through the status, which is all that flannel's role may write; it takes annotations, too."""
        await self._client.patch(core_v1.Node, self.node_name, "", patch, type="strategic", subresource="status")


def condition(now: datetime) -> dict[str, str]:
    """NetworkUnavailable is False."""
    return {
        "type": "NetworkUnavailable",
        "status": "False",
        "lastHeartbeatTime": format_time(now),
        "lastTransitionTime": format_time(now),
        "reason": "FlannelIsUp",
        "message": "Flannel is running on this node",
    }
