"""Takes away what flanneld has made on its machine: devices with their routes, and its chains of iptables. It must have stopped."""

from __future__ import annotations

import asyncio
import ipaddress
import re

from pybernetes.net.iptables import IPTables
from pybernetes.net.routes import Router

from .rules import RuleSet, forward, masquerade

DEVICES = re.compile(r"flannel(-v6)?[.\d].*")  # of vxlan: flannel.1; of udp: flannel0


async def clean() -> None:
    """What is not there is no error. ProgramError, LinkError."""
    await asyncio.to_thread(_remove_devices)
    for family, text in (("IPv4", "0.0.0.0/0"), ("IPv6", "::/0")):
        network = ipaddress.ip_network(text)  # any: chains and the jumps to them are the same for all
        iptables = IPTables(family)
        if iptables.present:
            for rules in (masquerade(network, network, False), forward(network)):
                await _remove(iptables, rules)


async def _remove(iptables: IPTables, rules: RuleSet) -> None:
    await iptables.delete(rules.table, rules.parent, rules.jump)
    await iptables.delete_chain(rules.table, rules.chain)


def _remove_devices() -> None:
    with Router() as router:
        for link in router.links():
            if DEVICES.fullmatch(link.name):
                router.delete(link.index)
