"""Ports of the node that lead to pods whose network has no plugin for them (capability portMappings): by our own iptables rules, IPv4."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pybernetes.net.iptables import IPTables

from ...runtime.types import PortMapping
from .. import rules
from ..addresses import Lease
from .arguments import PORT_MAPPINGS
from .cache import Attachment
from .configuration import ConfigurationError, parse_list
from .results import ResultError, pod_addresses, read


def lease_of(attachment: Attachment) -> Lease | None:
    """None where there are no ports, no IPv4 address yet, or a plugin that has the ports lead there."""
    given = attachment.conf.capability_args.get(PORT_MAPPINGS)
    if not given or attachment.result is None or attachment.incomplete or not attachment.is_sandbox:
        return None
    try:
        network = parse_list(attachment.config)
        if PORT_MAPPINGS in network.capabilities:
            return None
        addresses = pod_addresses(read(attachment.result, network.cni_version), attachment.conf.ifname)
        ports = tuple(
            PortMapping(port["containerPort"], port["hostPort"], port["protocol"].upper(), port["hostIP"])
            for port in given
        )
    except (ConfigurationError, ResultError, KeyError, TypeError, AttributeError):
        return None
    address = next((one for one in addresses if ":" not in one), "")
    return Lease(address, attachment.conf.container_id, attachment.pod_uid, ports) if address else None


def restore_input(leases: Sequence[Lease]) -> str:
    """The text for iptables-restore --noflush: two chains as they should be, nobody else's touched."""
    to_pods, back = rules.host_ports(leases)
    chains = [f":{rules.POSTROUTING} - [0:0]", f":{rules.HOST_PORTS} - [0:0]"]
    return "\n".join(["*nat", *chains, *back, *to_pods, "COMMIT", ""])


class HostPorts:
    """The rules of this node. ProgramError."""

    def __init__(self, iptables: IPTables | None = None) -> None:
        self._iptables = iptables or IPTables()
        self._written: list[Lease] | None = None  # None: nobody knows what an earlier kubelet wrote

    async def write(self, leases: Sequence[Lease]) -> None:
        """These pods' ports and no others. Where there never were any, nothing is written at all."""
        fresh = sorted(leases, key=lambda lease: lease.sandbox_id)
        if fresh == self._written:
            return
        jumps = [(table, chain, shlex.split(rule)) for table, chain, rule in rules.JUMPS if table == "nat"]
        if not fresh and self._written is None:
            self._written = []
            if not self._iptables.present or not await self._iptables.has(*jumps[0]):
                return
        await self._iptables.restore(restore_input(fresh))
        for table, chain, rule in jumps:
            await self._iptables.ensure_first(table, chain, rule)
        self._written = fresh
