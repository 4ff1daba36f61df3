"""Has a host's balancer know all control-plane hosts, as they come and go: their Nodes are watched, files written, daemons told.

What is written stays where the API cannot be asked; an empty list, which would cut everybody off, is never written.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable, Sequence

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1
from pybernetes.client.rest import RESTClient
from pybernetes.client.types import WatchEvent
from pybernetes.deploy import objects, types
from pybernetes.deploy.configuration import Configuration, defaulted
from pybernetes.deploy.daemons.balancer import WATCHER, balancers
from pybernetes.deploy.daemons.model import Balancer, Cluster, Daemon, Host

from .runner import write_files
from .work import hosts_of

_log = logging.getLogger(__name__)

WATCH_SECONDS = 300
RETRY_SECONDS = 2.0
RELOAD_SECONDS = 20.0


def described(balancer: Balancer, this: Host, port: int, masters: Sequence[Host]) -> list[Daemon]:
    """The balancer's daemons before these masters; pure. This host is one of them, whatever the list says."""
    hosts = [this if host.name == this.name else host for host in masters]
    if this not in hosts:
        hosts.append(this)
    endpoint = types.APIEndpoint(bind_port=port)
    init = types.InitConfiguration(local_api_endpoint=endpoint)
    cluster = Cluster(
        defaulted(Configuration(init, types.ClusterConfiguration()), this.name, this.address), tuple(hosts), balancer
    )
    return [daemon for daemon in balancers(cluster, this) if daemon.name != WATCHER]


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


async def watch(client: RESTClient, changed: Callable[[Sequence[Host]], None]) -> None:
    """Until cancelled; `changed` gets the masters, at first and whenever something happened to one of them."""
    while True:
        try:
            await _round(client, changed)
        except (StatusError, ConnectionError, TimeoutError, OSError) as error:
            _log.warning("the masters cannot be watched, what is written stays: %s", error or type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)


async def _round(client: RESTClient, changed: Callable[[Sequence[Host]], None]) -> None:
    """A list, and what follows it until the server ends the watch."""
    selector = objects.LABEL_CONTROL_PLANE
    found = await client.list(core_v1.Node, label_selector=selector)
    nodes = {node.metadata.name: node for node in found.items}
    hosts = await _tell(nodes, (), changed)
    watched = client.watch(
        core_v1.Node, resource_version=found.resource_version, label_selector=selector, timeout_seconds=WATCH_SECONDS
    )
    async for event in watched:
        if not isinstance(event, WatchEvent):
            continue
        name = event.object.metadata.name
        if event.type == "DELETED":
            nodes.pop(name, None)
        else:
            nodes[name] = event.object
        hosts = await _tell(nodes, hosts, changed)


async def _tell(
    nodes: dict[str, core_v1.Node], before: Sequence[Host], changed: Callable[[Sequence[Host]], None]
) -> Sequence[Host]:
    """Nodes report every few seconds: only another list of hosts is news."""
    hosts = hosts_of(list(nodes.values()))
    if hosts and list(hosts) != list(before):
        await asyncio.to_thread(changed, hosts)
    return hosts or before
