"""Rules for ports of the node that no plugin has lead to pods."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pybernetes.kubelet.network.addresses import Lease
from pybernetes.kubelet.network.cni.hostports import HostPorts
from pybernetes.kubelet.runtime.types import PortMapping
from pybernetes.net.iptables import IPTables


class Tables(IPTables):
    """What was restored, and which jumps there are."""

    def __init__(self) -> None:
        self.restored: list[str] = []
        self.jumps: list[Sequence[str]] = []

    @property
    def present(self) -> bool:
        return True

    async def restore(self, text: str) -> None:
        self.restored.append(text)

    async def has(self, table: str, chain: str, rule: Sequence[str]) -> bool:
        return [table, chain, *rule] in self.jumps

    async def ensure_first(self, table: str, chain: str, rule: Sequence[str]) -> None:
        self.jumps.append([table, chain, *rule])


def test_rules() -> None:
    lease = Lease("10.0.0.2", "s", "u", (PortMapping(80, 8080),))

    async def work() -> None:
        tables = Tables()
        ports = HostPorts(tables)
        await ports.write([])
        assert tables.restored == []  # a node without such pods has no such chains
        await ports.write([lease])
        await ports.write([lease])
        (text,) = tables.restored
        assert text.startswith("*nat\n:PYBERNETES-POSTROUTING") and text.endswith("COMMIT\n")
        assert "--dport 8080" in text and "-j DNAT --to-destination 10.0.0.2:80" in text and "filter" not in text
        assert [jump[1] for jump in tables.jumps] == ["POSTROUTING", "PREROUTING", "OUTPUT"]
        await HostPorts(tables).write([])  # the next kubelet: what was written before goes
        assert "DNAT" not in tables.restored[-1] and len(tables.restored) == 2

    asyncio.run(work())
