"""Takes away everything that a kubelet has made on its machine: what `pybernetes down` calls once the kubelet has stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from pybernetes.net.iptables import IPTables
from pybernetes.net.programs import ProgramError

from . import safepath
from .interfaces import RuntimeService
from .network import links, rules
from .network.bridge import DEFAULT_BRIDGE
from .network.cni.directory import PLUGIN_DIRS
from .network.cni.network import CNINetwork
from .node import cgroups
from .runtime.types import Container, RuntimeFailure, Sandbox
from .volumes import mount

logger = logging.getLogger(__name__)

AT_ONCE = 8
POD_LOGS_DIR = "/var/log/pods"
# A runtime that is removing a container already says so at once, and is done some time later; processes that were killed
# are in their cgroup until the kernel has let go of them.
TRIES, PAUSE_SECONDS = 50, 0.1


async def clean(
    runtime: RuntimeService,
    root_dir: str,
    bridge: str = DEFAULT_BRIDGE,
    pod_logs_dir: str = POD_LOGS_DIR,
    plugin_dirs: Sequence[str] = PLUGIN_DIRS,
) -> None:
    """Removes containers, interfaces, chains, mounts, cgroups, pods' directories and links to their logs. What is not there is no error.

    A runtime that does not answer is logged; the rest goes all the same. The runtime is the caller's to close.
    """
    root, driver = Path(root_dir), "cgroupfs"
    try:
        driver = await runtime.cgroup_driver()
        await _remove_attachments(runtime, plugin_dirs)
        await _remove_containers(runtime)
    except RuntimeFailure as error:
        logger.warning("containers are left: %s", error)
    await asyncio.to_thread(remove_links_to_nothing, pod_logs_dir)
    await _remove_network(bridge)
    mount.unmount_below(root)
    for name in ("pods", "network"):
        try:
            safepath.remove_tree(root, (name,))
        except OSError as error:
            logger.warning("%s is left: %s", root / name, error)
    if driver == "cgroupfs":
        await _remove_cgroups(cgroups.PodCgroups(driver).paths("kubepods"))


def remove_links_to_nothing(folder: str) -> None:
    """Of logs whose container is gone, as where a kubelet ended between the two; with the folders that are empty then.

    Links that lead somewhere are another kubelet's.
    """
    if not os.path.isdir(folder):
        return
    emptied = set[str]()
    for path, names, files, descriptor in os.fwalk(folder, topdown=False):
        for name in files:
            try:
                os.stat(name, dir_fd=descriptor)
            except FileNotFoundError:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)
                emptied.add(path)
            except OSError as error:  # a link that leads in a circle: none of ours
                logger.debug("%s/%s stays: %s", path, name, error)
        for name in names:
            if f"{path}/{name}" in emptied:
                with contextlib.suppress(OSError):  # others' files are in it
                    os.rmdir(name, dir_fd=descriptor)
                    emptied.add(path)


async def _remove_attachments(runtime: RuntimeService, plugin_dirs: Sequence[str]) -> None:
    """What CNI's plugins made for the sandboxes, where the cache is in its usual place."""
    network = CNINetwork(runtime.sandbox_pid, bin_dirs=plugin_dirs)
    try:
        sandboxes, _ = await runtime.list()
        await network.remove({sandbox.id for sandbox in sandboxes})
    finally:
        await network.close()


async def _remove_cgroups(paths: list[Path]) -> None:
    for _ in range(TRIES):
        cgroups.remove_tree(paths)
        if not any(path.is_dir() for path in paths):
            return
        await asyncio.sleep(PAUSE_SECONDS)
    logger.warning("cgroups are left: %s", ", ".join(str(path) for path in paths if path.is_dir()))


async def _remove_containers(runtime: RuntimeService) -> None:
    """Returns when none is left."""
    for _ in range(TRIES):
        sandboxes, containers = await runtime.list()
        if not sandboxes and not containers:
            return
        with contextlib.suppress(RuntimeFailure):  # it is tried again, and the last try is the next list's to judge
            await _remove(runtime, sandboxes, containers)
        await asyncio.sleep(PAUSE_SECONDS)
    raise RuntimeFailure(f"{len(sandboxes)} sandboxes and {len(containers)} containers are not to be removed")


async def _remove(runtime: RuntimeService, sandboxes: Sequence[Sandbox], containers: Sequence[Container]) -> None:
    """Containers first: a sandbox holds their network."""
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
