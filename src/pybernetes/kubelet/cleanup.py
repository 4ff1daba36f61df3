"""Takes away everything that a kubelet has made on its machine: what `pybernetes down` calls once the kubelet has stopped."""

from __future__ import annotations

import asyncio
import logging
import shlex
from pathlib import Path

from pybernetes.net.iptables import IPTables
from pybernetes.net.programs import ProgramError

from . import safepath
from .interfaces import RuntimeService
from .network import links, rules
from .network.bridge import DEFAULT_BRIDGE
from .node import cgroups
from .runtime.docker import DockerRuntime
from .runtime.types import RuntimeFailure
from .volumes import mount

logger = logging.getLogger(__name__)

AT_ONCE = 8


def clean(docker_endpoint: str, root_dir: str, bridge: str = DEFAULT_BRIDGE) -> None:
    """Removes containers, interfaces, chains, mounts, cgroups and pods' directories. What is not there is no error.

    A Docker that does not answer is logged; the rest goes all the same.
    """
    asyncio.run(_clean(docker_endpoint, Path(root_dir), bridge))


async def _clean(docker_endpoint: str, root: Path, bridge: str) -> None:
    runtime = DockerRuntime(docker_endpoint)
    driver = "cgroupfs"
    try:
        driver = await runtime.cgroup_driver()
        await _remove_containers(runtime)
    except RuntimeFailure as error:
        logger.warning("containers are left: %s", error)
    finally:
        await runtime.close()
    await _remove_network(bridge)
    mount.unmount_below(root)
    for name in ("pods", "network"):
        try:
            safepath.remove_tree(root, (name,))
        except OSError as error:
            logger.warning("%s is left: %s", root / name, error)
    if driver == "cgroupfs":
        cgroups.remove_tree(cgroups.PodCgroups(driver).paths("kubepods"))


async def _remove_containers(runtime: RuntimeService) -> None:
    """Containers first: a sandbox holds their network."""
    sandboxes, containers = await runtime.list()
    gate = asyncio.Semaphore(AT_ONCE)

    async def remove(uid: str) -> None:
        async with gate:
            await runtime.remove_container(uid)

    for group in ([c.id for c in containers], [s.id for s in sandboxes]):
        await asyncio.gather(*(remove(uid) for uid in group))


async def _remove_network(bridge: str) -> None:
    def remove_links() -> None:
        host = links.Links(bridge)
        try:
            for name in host.members():
                host.disconnect(name)
            host.remove_bridge()
        finally:
            host.close()

    await asyncio.to_thread(remove_links)
    iptables = IPTables()
    try:
        for table, chain, rule in rules.JUMPS:
            await iptables.delete(table, chain, shlex.split(rule))
        for table, chain in rules.CHAINS:
            await iptables.delete_chain(table, chain)
    except ProgramError as error:
        logger.warning("iptables rules are left: %s", error)
