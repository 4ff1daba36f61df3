"""ipsets and iptables of the mode ipvs in a kernel, beside an IPVS in memory: kernels without it have both. `tests/guest` has the rest."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess

import pytest

from pybernetes.net import ipset
from pybernetes.net.iptables import IPTables
from pybernetes.proxy import sysctl
from pybernetes.proxy.backends import Change, Options
from pybernetes.proxy.backends.iptables.tables import parse, plan
from pybernetes.proxy.backends.ipvs import rules
from pybernetes.proxy.backends.ipvs.backend import IPVSBackend, Machine
from pybernetes.proxy.backends.ipvs.ruleset import RuleSet
from pybernetes.proxy.cleanup import remove
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import ServiceKey, ServicePort
from tests.unit.proxy.backends.ipvs.memory import MemoryDevice, MemoryServers
from tests.unit.proxy.backends.randomly import random_ports

from .namespaces import Namespace

CHANGES = 60
# Inside of `randomly`'s source ranges, so that no rule asks for IPVS itself.
NODE_IP = {"IPv4": "192.0.2.2", "IPv6": "2001:db8:1::2"}


def lack() -> str:
    """What this machine lacks, "" if nothing."""
    if shutil.which("ipset") is None:
        return "needs ipset"
    listed = subprocess.run(["ipset", "list", "-n"], capture_output=True, text=True, check=False)
    return f"needs a kernel with ipset ({listed.stderr.strip()})" if listed.returncode else ""


pytestmark = pytest.mark.skipif(bool(lack()), reason=lack())


class Proxy:
    """A backend and what it was told, in the namespace of the thread."""

    def __init__(self, family: str) -> None:
        self.family, self.tables = family, IPTables(family)
        self.device = MemoryDevice(others=set(NODE_IP.values()))
        self.backend = IPVSBackend(family, Machine(MemoryServers(), self.device, ipset, self.tables), Metrics())
        self.services: dict[ServiceKey, list[ServicePort]] = {}
        self.options = Options("10.244.0.0/16" if family == "IPv4" else "fd00:244::/64", node_ip=NODE_IP[family])

    async def sync(self, ports: list[ServicePort], *, reread: bool) -> None:
        services: dict[ServiceKey, list[ServicePort]] = {}
        for each in ports:
            services.setdefault((each.namespace, each.service), []).append(each)
        names = [n for n in {**self.services, **services} if self.services.get(n) != services.get(n)]
        changes = {n: Change(self.services.get(n, []), services.get(n, [])) for n in names}
        self.services = services
        assert await self.backend.sync(changes, services, self.options, reread=reread)

    async def check(self) -> None:
        """The kernel holds what is desired: a proxy that has just read it would change nothing."""
        held, others = self.backend._read(await ipset.save())
        chosen = rules.Options(
            self.options.cluster_cidr, node_ip=self.options.node_ip, family=self.family, node_addresses=others
        )
        ruleset = RuleSet(chosen)
        differences = ruleset.whole(self.services, held)
        assert not differences, differences
        assert plan(parse(await self.tables.save()), ruleset.chains, rules.JUMPS) == ""


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_after_any_changes_the_kernel_holds_what_is_desired(
    family: str, node: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysctl, "ensure", lambda name, value: True)  # there is no /proc/sys/net/ipv4/vs
    chance = random.Random(f"2026 {family}")

    async def scenario() -> None:
        proxy = Proxy(family)
        ports: list[ServicePort] = []
        for number in range(CHANGES):
            fresh = random_ports(chance, family=family)
            # One service at a time as a rule, all of them now and then.
            name = chance.choice(fresh).service if fresh and number % 10 else ""
            ports = [
                *(p for p in ports if name and p.service != name),
                *(p for p in fresh if not name or p.service == name),
            ]
            await proxy.sync(ports, reread=number == 0)
            if number % 10 == 0:
                await proxy.check()
        await proxy.check()
        node.run("ipset flush; iptables -t nat -F KUBE-SERVICES; ip6tables -t nat -F KUBE-SERVICES", check=False)
        await proxy.sync(ports, reread=True)
        await proxy.check()
        node.run("ipset create MINE hash:ip; iptables -A OUTPUT -d 192.0.2.77 -j ACCEPT")
        await remove()
        left = node.run("ipset save; iptables-save; ip6tables-save")
        assert "KUBE-" not in left and "MINE" in left and "192.0.2.77" in left

    node.inside(lambda: asyncio.run(scenario()))
