"""What gives leases; and leases through the API server: a node's podCIDR and annotations (upstream: pkg/subnet/kube/kube.go)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1
from pybernetes.client.types import Client, Informers, present

from .annotations import Annotations, changes, lease_of, own_lease, said, stored_mac
from .config import NetworkConfig
from .lease import Attributes, Lease, LeaseError

_log = logging.getLogger(__name__)

SYNC_SECONDS = 600.0  # upstream's nodeControllerSyncTimeout
POLL_SECONDS, POLL_END_SECONDS = 3.0, 30.0  # for the own node, and for its annotations to be taken


class SubnetError(Exception):
    """There is no lease to be had; one line for the user."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of this host from before, or from its administrator; "" for what is not."""

    mac: str = ""
    public_ip: str = ""
    mac_v6: str = ""
    public_ipv6: str = ""


class SubnetManager(Protocol):
    """Who gives this host its lease, and tells of the others'. All may raise SubnetError."""

    async def run(self) -> None:
        """Keeps the lease and hears of others, until cancelled; SubnetError where the lease is lost."""
        ...

    async def stored(self) -> Stored:
        """Waits until it can be told."""
        ...

    async def acquire(self, attributes: Attributes) -> Lease:
        """This host's lease; the others are told its attributes."""
        ...

    def take(self) -> dict[str, Lease | None]:
        """What has changed since the last call, by node; at first all there is. None: a lease is no more."""
        ...

    async def wait(self) -> None:
        """Returns when there is something to take."""
        ...

    async def tell_available(self) -> None:
        """This host's network is there."""
        ...


class Pending:
    """Changes of leases until they are taken; of several of one node the last one counts."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease | None] = {}
        self._changed = asyncio.Event()

    def put(self, name: str, lease: Lease | None) -> None:
        self._leases[name] = lease
        self._changed.set()

    def take(self) -> dict[str, Lease | None]:
        leases, self._leases = self._leases, {}
        self._changed.clear()
        return leases

    async def wait(self) -> None:
        await self._changed.wait()


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
    """See `SubnetManager`. A lease is the node's podCIDR, and lasts as long as the node."""

    def __init__(
        self, client: Client, informers: Informers, node: str, names: Annotations, config: NetworkConfig, clock: Clock
    ) -> None:
        self._client, self._names, self._config, self._clock = client, names, config, clock
        self.node_name = node
        self._informers = informers
        self._nodes = informers.informer(core_v1.Node)
        self._nodes.add_handler(self._on_node)
        self._pending = Pending()

    def _on_node(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        name = present(old, new).metadata.name
        if new is None:
            self._pending.put(name, None)
            return
        if old is not None and said(old, self._names) == said(new, self._names):
            return  # heartbeats
        try:
            lease = lease_of(new, self._names, self._config.ipv6_network is not None)
        except LeaseError as error:
            _log.info('Error turning node "%s" to lease: %s', name, error)
            return
        if lease is not None:
            self._pending.put(name, lease)

    def take(self) -> dict[str, Lease | None]:
        return self._pending.take()

    async def wait(self) -> None:
        await self._pending.wait()

    async def run(self) -> None:
        await self._informers.run()

    async def stored(self) -> Stored:
        await self.wait_synced()
        node = await self.own_node()
        told, names = node.metadata.annotations, self._names
        return Stored(
            stored_mac(node, names.backend_data),
            told.get(names.node_public_ip, ""),
            stored_mac(node, names.backend_v6_data),
            told.get(names.node_public_ipv6, ""),
        )

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
