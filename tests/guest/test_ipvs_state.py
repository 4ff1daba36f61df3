"""IPVS, ipsets, kube-ipvs0 and iptables in a kernel: they hold what was asked for, by whatever way it came there."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from pybernetes.net import ipset
from pybernetes.net import ipvsmessages as ipvs
from pybernetes.net.dummy import DummyDevice
from pybernetes.net.iptables import IPTables
from pybernetes.net.ipvs import IPVS
from pybernetes.net.ipvsmessages import RealServer, VirtualServer
from pybernetes.proxy import cleanup
from pybernetes.proxy.backends import IPVS_DEVICE, BackendError, Change, IPVSOptions, Options
from pybernetes.proxy.backends.iptables.backend import IPTablesBackend
from pybernetes.proxy.backends.iptables.tables import parse, plan
from pybernetes.proxy.backends.ipvs.backend import IPVSBackend, Machine, check_scheduler
from pybernetes.proxy.backends.ipvs.rules import JUMPS
from pybernetes.proxy.backends.ipvs.ruleset import Plan, RuleSet
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import Endpoint, ServiceKey, ServicePort
from tests.netns.namespaces import Namespace
from tests.unit.proxy.backends.randomly import random_ports
from tests.unit.proxy.objects import port

CHANGES = {"IPv4": 200, "IPv6": 40}
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh", "fo", "ovf")


class Proxy:
    """A backend and what it was told, in the namespace of the thread."""

    def __init__(self, family: str = "IPv4", options: Options | None = None) -> None:
        self.family = family
        self.machine = Machine(IPVS(), DummyDevice(IPVS_DEVICE), ipset, IPTables(family))
        self.backend = IPVSBackend(family, self.machine, Metrics())
        self.services: dict[ServiceKey, list[ServicePort]] = {}
        self.options = options or Options("10.244.0.0/16" if family == "IPv4" else "fd00:244::/64")

    async def sync(self, ports: list[ServicePort], *, reread: bool) -> None:
        services: dict[ServiceKey, list[ServicePort]] = {}
        for each in ports:
            services.setdefault((each.namespace, each.service), []).append(each)
        names = [n for n in {**self.services, **services} if self.services.get(n) != services.get(n)]
        changes = {n: Change(self.services.get(n, []), services.get(n, [])) for n in names}
        self.services = services
        assert await self.backend.sync(changes, services, self.options, reread=reread)

    async def difference(self) -> tuple[Plan, str]:
        """What a proxy that has just read the kernel would change, of IPVS and of iptables."""
        saved = await ipset.save()
        held, _ = self.backend._read(saved)
        assert self.backend._rules is not None
        ruleset = RuleSet(self.backend._rules.options)
        differences = ruleset.whole(self.services, held)
        saved_rules = await self.machine.tables.save()
        return differences, plan(parse(saved_rules), ruleset.chains, JUMPS)

    async def check(self) -> None:
        differences, text = await self.difference()
        assert not differences, differences
        assert text == ""


def inside(node: Namespace, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    node.inside(lambda: asyncio.run(scenario()))


def test_what_someone_took_away_comes_back_and_what_he_added_goes(node: Namespace) -> None:
    harm = [
        "ipset flush KUBE-CLUSTER-IP",
        "ipset add KUBE-NODE-PORT-TCP 31999",
        "ip link del kube-ipvs0",
        "ip addr add 10.96.99.99/32 dev kube-ipvs0",
        "iptables -t nat -F KUBE-SERVICES",
        "iptables -F INPUT",
    ]

    async def scenario() -> None:
        proxy = Proxy()
        ports = random_ports(random.Random(7))
        await proxy.sync(ports, reread=True)
        for command in harm:
            node.run(command)
            await proxy.sync(ports, reread=True)
            await proxy.check()
        proxy.machine.servers.flush()  # type: ignore[attr-defined]
        await proxy.sync(ports, reread=True)
        await proxy.check()

    inside(node, scenario)


def test_another_process_takes_over_what_the_first_has_left(node: Namespace) -> None:
    async def scenario() -> None:
        first, second = Proxy(), Proxy()
        ports = random_ports(random.Random(3))
        await first.sync(ports, reread=True)
        await second.sync(random_ports(random.Random(4)), reread=True)
        await second.check()

    inside(node, scenario)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_kernel_has_the_scheduler(scheduler: str, node: Namespace) -> None:
    async def scenario() -> None:
        await check_scheduler(scheduler)
        proxy = Proxy(options=Options("10.244.0.0/16", ipvs=IPVSOptions(scheduler=scheduler)))
        await proxy.sync([port("web", "10.244.0.1", affinity_seconds=60)], reread=True)
        await proxy.check()
        assert {each.scheduler for each in IPVS().services().values()} == {scheduler}

    inside(node, scenario)


def test_a_scheduler_that_the_kernel_has_not_is_refused(node: Namespace) -> None:
    async def scenario() -> None:
        with pytest.raises(BackendError, match=r"can.t use the IPVS proxier: .*No such file or directory"):
            await check_scheduler("roundrobin")

    inside(node, scenario)


def test_settings_of_the_kernel(node: Namespace) -> None:
    async def scenario() -> None:
        flags = IPVSOptions(strict_arp=True, tcp_timeout=901, tcp_fin_timeout=121, udp_timeout=301)
        await Proxy(options=Options(ipvs=flags)).sync([port()], reread=True)

    inside(node, scenario)
    wanting = {
        "net.ipv4.vs.conntrack": 1,
        "net.ipv4.vs.expire_nodest_conn": 1,
        "net.ipv4.vs.expire_quiescent_template": 1,
        "net.ipv4.ip_forward": 1,
        "net.ipv4.conf.all.arp_ignore": 1,
        "net.ipv4.conf.all.arp_announce": 2,
    }
    for name, value in wanting.items():
        assert node.run(f"sysctl -n {name}") == f"{value}\n", name


def test_excluded_virtual_servers_stay(node: Namespace) -> None:
    mine, other = VirtualServer("203.0.113.7", 80, "tcp"), VirtualServer("203.0.114.7", 80, "tcp")

    async def scenario() -> None:
        servers = IPVS()
        servers.apply([ipvs.new_service(server, ipvs.Service("rr")) for server in (mine, other)])
        servers.apply([ipvs.new_dest(mine, RealServer("10.0.0.1", 80), 5)])
        flags = IPVSOptions(exclude_cidrs=("203.0.113.0/24",))
        await Proxy(options=Options(ipvs=flags)).sync([port()], reread=True)
        assert mine in servers.services() and other not in servers.services()
        assert [use.weight for use in servers.destinations(mine).values()] == [5]

    inside(node, scenario)


def test_from_iptables_to_ipvs_and_back_and_away(node: Namespace) -> None:
    async def scenario() -> None:
        ports = random_ports(random.Random(5))
        services: dict[ServiceKey, list[ServicePort]] = {}
        for each in ports:
            services.setdefault((each.namespace, each.service), []).append(each)
        options = Options("10.244.0.0/16")

        async def by_iptables() -> str:
            await cleanup.remove(shared=False, but="iptables")
            backend = IPTablesBackend("IPv4", IPTables("IPv4"), Metrics())
            changes = {key: Change([], own) for key, own in services.items()}
            assert await backend.sync(changes, services, options, reread=True)
            return node.run("iptables-save | grep -v '^[:#]' | sort")

        first = await by_iptables()
        await cleanup.remove(shared=False, but="ipvs")
        proxy = Proxy()
        await proxy.sync(ports, reread=True)
        await proxy.check()
        saved = node.run("iptables-save")
        assert not any(word in saved for word in ("KUBE-SVC-", "KUBE-SEP-", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES"))
        assert await by_iptables() == first
        assert "kube-ipvs0" not in node.run("ip link") and "KUBE-" not in node.run("ipset save")
        assert IPVS().services() == {}
        again = Proxy()
        await again.sync(ports, reread=True)
        node.run("iptables -A OUTPUT -d 192.0.2.77 -j ACCEPT; ipset create MINE hash:ip")
        await cleanup.remove()
        saved = node.run("iptables-save; ip6tables-save; ipset save; ip link")
        assert "KUBE-" not in saved and "kube-ipvs0" not in saved
        assert "192.0.2.77" in saved and "MINE" in saved
        assert IPVS().services() == {}

    inside(node, scenario)


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_packets_reach_a_real_server(family: str, node: Namespace) -> None:
    """From this node to itself; what comes from elsewhere is `test_ipvs_packets`'."""
    four = family == "IPv4"
    address, own = ("10.96.0.10", "192.0.2.2") if four else ("fd00:96::10", "2001:db8:ffff::2")
    kind = socket.AF_INET if four else socket.AF_INET6
    web = replace(port("web", cluster_ip=address), endpoints=(Endpoint(own, 8080, True),))

    async def scenario() -> None:
        await Proxy(family).sync([web], reread=True)

    inside(node, scenario)
    with node.socket(family=kind) as server, node.socket(family=kind) as client:
        server.bind((own, 8080))
        server.listen()
        for each in (server, client):
            each.settimeout(20.0)
        client.connect((address, 53))
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"here")
            assert client.recv(10) == b"here"


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_after_any_changes_the_kernel_holds_what_is_desired(family: str, node: Namespace) -> None:
    chance = random.Random(f"2026 {family}")

    async def scenario() -> None:
        proxy = Proxy(family)
        ports: list[ServicePort] = []
        for number in range(CHANGES[family]):
            fresh = random_ports(chance, family=family)
            # One service at a time as a rule, all of them now and then.
            name = chance.choice(fresh).service if fresh and number % 10 else ""
            ports = [
                *(p for p in ports if name and p.service != name),
                *(p for p in fresh if not name or p.service == name),
            ]
            await proxy.sync(ports, reread=number == 0)
            if number % 20 == 0:
                await proxy.check()
        await proxy.check()

    inside(node, scenario)
