"""The pods' network on a bridge of the node: what a pod's worker uses (upstream: kubenet, CNI's bridge plugin)."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import shlex
from collections.abc import Awaitable, Callable, Container
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pybernetes.api.types import core_v1 as core
from pybernetes.net.iptables import IPTables
from pybernetes.net.links import LinkError
from pybernetes.net.programs import ProgramError

from ..machine import config
from ..runtime.types import RuntimeFailure, Sandbox
from . import links, rules
from .addresses import AddressBook, Lease, gateway
from .followed import FollowedSubnetFile

logger = logging.getLogger(__name__)

DEFAULT_BRIDGE = "pyb0"
INTERFACE_PREFIX = "pyb"  # of the host's ends, so that the clean-up knows them


def host_interface(sandbox_id: str) -> str:
    """The host's end of a sandbox's veth: a name of at most 15 characters that follows from its id."""
    return INTERFACE_PREFIX + hashlib.sha256(sandbox_id.encode()).hexdigest()[:11]


async def _iptables(work: Awaitable[None]) -> None:
    try:
        await work
    except ProgramError as error:
        raise RuntimeFailure(f"pods need iptables for masquerade and host ports: {error}") from error


class BridgeNetwork:
    """Implements interfaces.PodNetwork. Pods wait until `set_range` has told the node's range."""

    def __init__(
        self,
        state_dir: str,
        sandbox_pid: Callable[[str], Awaitable[int]],
        *,
        bridge: str = DEFAULT_BRIDGE,
        cluster_cidr: str = "",
        mtu: int = 0,
        subnet_file: Path | None = None,
    ) -> None:
        """With a `subnet_file` of flannel's the range, the MTU and who masquerades are what it says, whatever `set_range` tells."""
        self._book = AddressBook(Path(state_dir) / "network")
        self._sandbox_pid = sandbox_pid
        self._cluster_cidr, self._mtu = cluster_cidr, mtu
        self._links, self._iptables = links.Links(bridge), IPTables()
        # One thread: netlink's answers are waited for, and a namespace is entered by a thread.
        self._thread = ThreadPoolExecutor(1, "netlink")
        self._lock = asyncio.Lock()
        self._ready = False
        self.cidr = ""
        self._file = FollowedSubnetFile(subnet_file) if subnet_file is not None else None
        self._masquerades, self._pods_network = True, ""

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        except LinkError as error:
            raise RuntimeFailure(str(error)) from error

    def set_range(self, cidr: str) -> None:
        """The node's podCIDR. Another one than before makes the bridge's address anew."""
        if cidr != self.cidr and self._file is None:
            self.cidr, self._ready = cidr, False

    def _look_at_file(self) -> None:
        """What the subnet file says now counts for pods from now on; the others keep what they have. Without a file nothing."""
        if self._file is None or not self._file.changed():
            return
        said = self._file.content
        if said is None or said.subnet is None or said.network is None:
            return
        if self.cidr:
            logger.warning(
                "%s has changed: pods get addresses of %s, MTU %d", self._file.path, said.subnet.network, said.mtu
            )
        self.cidr, self._mtu, self._ready = str(said.subnet.network), said.mtu, False
        self._masquerades, self._pods_network = not said.ip_masq, str(said.network)

    @property
    def problem(self) -> str:
        """Why pods cannot have a network yet, "" where they can."""
        self._look_at_file()
        if self.cidr:
            return ""
        missing = self._file.problem if self._file is not None else "the node has no podCIDR yet"
        return f"network plugin is not ready: {missing}"

    async def _prepare(self) -> None:
        """Bridge and rules, once for a range."""
        async with self._lock:
            self._look_at_file()
            if self._ready:
                return
            if not self.cidr:
                raise RuntimeFailure(self.problem)
            if not self._mtu:
                self._mtu = await self._in_thread(links.default_mtu)
            prefix = ipaddress.ip_network(self.cidr).prefixlen
            await self._in_thread(self._links.ensure_bridge, gateway(self.cidr), prefix, self._mtu)
            await self._write_rules()
            for table, chain, rule in rules.JUMPS:
                await _iptables(self._iptables.ensure_first(table, chain, shlex.split(rule)))
            self._ready = True

    async def _write_rules(self) -> None:
        pods_network = self._cluster_cidr or self._pods_network
        text = rules.restore_input(self.cidr, pods_network, list(self._book.leases.values()), self._masquerades)
        await _iptables(self._iptables.restore(text))

    async def setup(self, sandbox: Sandbox, pod: core.Pod) -> tuple[str, ...]:
        await self._prepare()
        held = self._book.leases.get(sandbox.id)
        if held is not None:
            return (held.address,)
        pid = sandbox.pid or await self._sandbox_pid(sandbox.id)
        lease = self._book.lease(self.cidr, sandbox.id, pod.metadata.uid, config.port_mappings(pod))
        prefix = ipaddress.ip_network(self.cidr).prefixlen
        try:
            await self._in_thread(
                self._links.connect,
                pid,
                host_interface(sandbox.id),
                lease.address,
                prefix,
                gateway(self.cidr),
                self._mtu,
            )
            if lease.ports:
                async with self._lock:
                    await self._write_rules()
        except (RuntimeFailure, OSError):
            self._book.release(sandbox.id)
            raise
        return (lease.address,)

    async def teardown(self, sandbox_id: str, pod: core.Pod) -> None:
        await self.release(sandbox_id)

    async def release(self, sandbox_id: str) -> None:
        """The address is free again; what is gone already is no error."""
        await self._in_thread(self._links.disconnect, host_interface(sandbox_id))
        lease = self._book.release(sandbox_id)
        if lease is not None and lease.ports and self._ready:
            async with self._lock:
                await self._write_rules()

    async def keep_only(self, sandbox_ids: Container[str], busy: Container[str]) -> None:
        """Frees the addresses of sandboxes that are no more, but for those of pods (uids) that are just being set up."""
        for lease in list(self._book.leases.values()):
            if lease.sandbox_id in sandbox_ids or lease.pod_uid in busy:
                continue
            logger.info("address %s of a sandbox that is gone is free again", lease.address)
            await self.release(lease.sandbox_id)

    def leases(self) -> list[Lease]:
        return list(self._book.leases.values())

    def close(self) -> None:
        """Pods keep their network."""
        self._thread.submit(self._links.close)
        self._thread.shutdown(wait=True)
