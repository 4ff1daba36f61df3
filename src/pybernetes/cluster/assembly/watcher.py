"""Has a host's balancer know all control-plane hosts, as they come and go: their Nodes are watched, files written, daemons told.

Those whose API servers do not answer get no connections meanwhile. What is written stays where the API cannot be asked; an empty list,
which would cut everybody off, is never written.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.client.rest import RESTClient
from pybernetes.client.types import WatchEvent
from pybernetes.deploy import objects, types
from pybernetes.deploy.configuration import Configuration, defaulted
from pybernetes.deploy.daemons.balancer import WATCHER, balancers
from pybernetes.deploy.daemons.model import MASTER, Balancer, Cluster, Daemon, Host

from .probing import PROBE_SECONDS, Prober
from .runner import write_files
from .work import hosts_of

_log = logging.getLogger(__name__)

WATCH_SECONDS = 300
RETRY_SECONDS = 2.0
RELOAD_SECONDS = 20.0


# Told: all masters, and the names of those that are out of service.
Changed = Callable[[Sequence[Host], frozenset[str]], None]


def described(
    balancer: Balancer, this: Host, port: int, masters: Sequence[Host], out: Collection[str] = ()
) -> list[Daemon]:
    """The balancer's daemons before these masters; pure. This host is one of them, whatever the list says.

    Those that are `out` of service get no connections, but stay who may hold the virtual address.
    """
    hosts = [this if host.name == this.name else host for host in masters]
    if this not in hosts:
        hosts.append(this)
    hosts = [replace(host, roles=without_master(host)) if host.name in out else host for host in hosts]
    endpoint = types.APIEndpoint(bind_port=port)
    init = types.InitConfiguration(local_api_endpoint=endpoint)
    cluster = Cluster(
        defaulted(Configuration(init, types.ClusterConfiguration()), this.name, this.address), tuple(hosts), balancer
    )
    return [daemon for daemon in balancers(cluster, this) if daemon.name != WATCHER]


def without_master(host: Host) -> tuple[str, ...]:
    """Its other roles."""
    return tuple(role for role in host.roles if role != MASTER)


def bring_about(daemons: Sequence[Daemon]) -> None:
    """Writes what has changed and tells who reads it. A daemon that does not run reads it when it starts."""
    for daemon in daemons:
        if not write_files(daemon):
            continue
        done = subprocess.run(
            daemon.reload, capture_output=True, text=True, timeout=RELOAD_SECONDS, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            _log.warning(
                "%s has new files and could not be told: %s", daemon.name, (done.stderr or done.stdout).strip()
            )
        else:
            _log.info("%s knows other masters now", daemon.name)


class Follower:
    """What is known of the masters: `changed` is called, in a thread, whenever that is another list or others are out of service."""

    def __init__(self, client: RESTClient, prober: Prober, changed: Changed) -> None:
        self._client, self._prober, self._changed = client, prober, changed
        self._masters: Sequence[Host] = ()
        self._out: frozenset[str] = frozenset()
        self._telling = asyncio.Lock()  # files are written by one at a time

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._probe())

    async def _watch(self) -> None:
        while True:
            try:
                await self._round()
            except (StatusError, ConnectionError, TimeoutError, OSError) as error:
                _log.warning("the masters cannot be watched, what is written stays: %s", error or type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _round(self) -> None:
        """A list, and what follows it until the server ends the watch."""
        selector = objects.LABEL_CONTROL_PLANE
        listed = await self._client.list(core_v1.Node, label_selector=selector)
        nodes = {node.metadata.name: node for node in listed.items}
        await self._tell(hosts_of(list(nodes.values())), self._out)
        watched = self._client.watch(
            core_v1.Node,
            resource_version=listed.resource_version,
            label_selector=selector,
            timeout_seconds=WATCH_SECONDS,
        )
        async for event in watched:
            if not isinstance(event, WatchEvent):
                continue
            name = event.object.metadata.name
            if event.type == "DELETED":
                nodes.pop(name, None)
            else:
                nodes[name] = event.object
            await self._tell(hosts_of(list(nodes.values())), self._out)

    async def _probe(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            out = await self._prober.look(self._masters)
            for name in out ^ self._out:
                _log.warning("the API server of %s is %s", name, "out of service" if name in out else "back again")
            await self._tell(self._masters, out)
            await asyncio.sleep(max(began + PROBE_SECONDS - loop.time(), 0))

    async def _tell(self, masters: Sequence[Host], out: frozenset[str]) -> None:
        """Nodes report every few seconds: only another list of hosts, or others that do not answer, are news."""
        async with self._telling:
            if not masters or (list(masters), out) == (list(self._masters), self._out):
                return
            self._masters, self._out = masters, out
            await asyncio.to_thread(self._changed, masters, out)


async def follow(client: RESTClient, port: int, context: ssl.SSLContext | None, changed: Changed) -> None:
    """Until cancelled; `changed` gets the masters, at first and whenever something happened to one of them. API servers are at `port`."""
    prober = Prober(port, context)
    try:
        await Follower(client, prober, changed).run()
    finally:
        await prober.close()
