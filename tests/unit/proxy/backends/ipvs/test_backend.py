"""The kernel follows what services ask for, a change at a time, on a kernel in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.net.ipvsmessages import PERSISTENT, Command, RealServer, Service, VirtualServer
from pybernetes.proxy import sysctl
from pybernetes.proxy.backends import Change, Closing, IPVSOptions, Options
from pybernetes.proxy.backends.iptables import tables as iptables
from pybernetes.proxy.backends.iptables.rules import Options as IPTablesOptions
from pybernetes.proxy.backends.iptables.ruleset import desired
from pybernetes.proxy.backends.ipvs import backend, legacy, rules, sets
from pybernetes.proxy.backends.ipvs.backend import DRAIN_SECONDS, IPVSBackend, Machine
from pybernetes.proxy.backends.ipvs.ruleset import RuleSet
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import ServiceKey, ServicePort

from ...objects import port
from ..randomly import random_ports
from .memory import MemoryDevice, MemoryServers, MemorySets, MemoryTables

PODS = Options("10.244.0.0/16")
WEB = VirtualServer("10.96.20.1", 53, "tcp")
ONE, TWO = RealServer("10.244.0.1", 5353), RealServer("10.244.0.2", 5353)


@pytest.fixture(autouse=True)
def kernel_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Those that were set; connections are the kernel's, and there are none here."""
    values: dict[str, int] = {}

    async def forget(flows: object) -> None:
        return None

    def ensure(name: str, value: int) -> bool:
        values[name] = value
        return True

    monkeypatch.setattr("pybernetes.proxy.conntrack.forget", forget)
    monkeypatch.setattr(sysctl, "ensure", ensure)
    yield values


class Proxy:
    """A backend with a kernel, and what it was told last."""

    def __init__(self, family: str = "IPv4", *, after: Proxy | None = None) -> None:
        self.servers = after.servers if after else MemoryServers()
        self.device = after.device if after else MemoryDevice()
        self.sets = after.sets if after else MemorySets()
        self.tables = after.tables if after else MemoryTables(self.sets)
        self.clock, self.metrics, self.family = VirtualClock(), Metrics(), family
        machine = Machine(self.servers, self.device, self.sets, self.tables)
        self.backend = IPVSBackend(family, machine, self.metrics, self.clock)
        self.services: dict[ServiceKey, list[ServicePort]] = {}
        self.told: dict[ServiceKey, list[ServicePort]] = {}

    def sync(self, *ports: ServicePort, reread: bool = False, options: Options = PODS) -> bool:
        self.services = {}
        for each in ports:
            self.services.setdefault((each.namespace, each.service), []).append(each)
        names = [n for n in {**self.told, **self.services} if self.told.get(n) != self.services.get(n)]
        changes = {n: Change(self.told.get(n, []), self.services.get(n, [])) for n in names}
        good = asyncio.run(self.backend.sync(changes, self.services, options, reread=reread))
        if good:
            self.told = self.services
        return good

    def check(self, options: Options = PODS) -> None:
        """The kernel holds what is desired, and nothing else."""
        others = tuple(sorted(a for a in self.device.others if (":" in a) == (self.family == "IPv6")))
        ruleset = RuleSet(rules.Options(options.cluster_cidr, family=self.family, node_addresses=others))
        held, _ = self.backend._read(asyncio.run(self.sets.save()))
        assert not (differences := ruleset.whole(self.services, held)), differences
        assert not (held.draining - {pair for pair in held.draining if self.servers.connections.get(pair[1])})
        assert iptables.plan(self.tables.chains, ruleset.chains, rules.JUMPS) == ""

    def weights(self, server: VirtualServer = WEB) -> dict[RealServer, int]:
        return {real: use.weight for real, use in self.servers.real[server].items()}


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_many_random_changes_leave_what_is_desired(family: str) -> None:
    chance, proxy = random.Random(f"2026 {family}"), Proxy(family)
    options = Options("10.244.0.0/16" if family == "IPv4" else "fd00:244::/64")
    assert proxy.sync(reread=True, options=options)
    ports: list[ServicePort] = []
    for number in range(300):
        fresh = random_ports(chance, family=family)
        # One service at a time as a rule, all of them now and then.
        name = chance.choice(fresh).service if fresh and number % 10 else ""
        ports = [
            *(p for p in ports if name and p.service != name),
            *(p for p in fresh if not name or p.service == name),
        ]
        assert proxy.sync(*ports, options=options)
        if number % 50 == 0:
            proxy.check(options)
    proxy.check(options)
    assert proxy.sync(options=options)
    proxy.check(options)
    assert not proxy.servers.held and not proxy.device.own


def test_a_change_costs_what_changes() -> None:
    proxy = Proxy()
    many = [port(f"s{n}", "10.244.0.1", cluster_ip=f"10.97.0.{n}") for n in range(200)]
    assert proxy.sync(*many, reread=True)
    listings, restores, rewritten = proxy.servers.listings, proxy.sets.restores, len(proxy.tables.restores)
    proxy.servers.commands.clear()
    assert proxy.sync(*many[1:], replace(many[0], endpoints=port("x", "10.244.0.2").endpoints))
    assert proxy.servers.commands == [
        "adding real server 10.244.0.2:5353 to 10.97.0.0:53/tcp",
        "deleting real server 10.244.0.1:5353 of 10.97.0.0:53/tcp",
    ]
    assert (proxy.servers.listings, proxy.sets.restores, len(proxy.tables.restores)) == (listings, restores, rewritten)
    assert proxy.sync(*many[1:], many[0], port("new", cluster_ip="10.97.1.1"))
    assert proxy.servers.listings == listings and len(proxy.tables.restores) == rewritten
    proxy.check()


def test_a_reading_asks_for_real_servers_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells them a virtual server at a time: many are not all asked for at each sync period. All else is, and nothing is forgotten."""
    monkeypatch.setattr(backend, "ASKED_AT_ONCE", 20)
    proxy, asked = Proxy(), []
    many = [port(f"s{n}", "10.244.0.1", "10.244.0.2", cluster_ip=f"10.97.0.{n}") for n in range(100)]
    assert proxy.sync(*many, reread=True)
    destinations = proxy.servers.destinations
    monkeypatch.setattr(proxy.servers, "destinations", lambda server: asked.append(server) or destinations(server))
    for real in proxy.servers.real.values():
        del real[TWO]
    gone = next(iter(proxy.servers.held))
    del proxy.servers.held[gone], proxy.servers.real[gone]
    moved = replace(many[99], endpoints=port("x", "10.244.0.3").endpoints)  # a change that comes with a reading
    assert proxy.sync(*many[:99], moved, reread=True)
    assert gone in proxy.servers.held and 0 < len(asked) < 60
    assert proxy.weights(VirtualServer("10.97.0.99", 53, "tcp")) == {RealServer("10.244.0.3", 5353): 1}
    for _ in range(5):
        assert proxy.sync(*many[:99], moved, reread=True)
    assert set(asked) == set(proxy.servers.held)
    monkeypatch.setattr(backend, "ASKED_AT_ONCE", 1000)
    proxy.check()


def test_over_tcp_a_real_server_stays_until_its_last_connection_has_ended() -> None:
    proxy = Proxy()
    assert proxy.sync(port("web", "10.244.0.1", "10.244.0.2"), reread=True)
    proxy.servers.connections[ONE] = 1
    assert proxy.sync(port("web", "10.244.0.2"))
    assert proxy.weights() == {ONE: 0, TWO: 1}
    proxy.servers.connections.clear()
    asyncio.run(proxy.clock.advance(DRAIN_SECONDS))
    assert proxy.sync(port("web", "10.244.0.2"))
    assert proxy.weights() == {TWO: 1}


def test_a_leaving_real_server_that_comes_back_gets_its_weight() -> None:
    proxy = Proxy()
    assert proxy.sync(port("web", "10.244.0.1", "10.244.0.2"), reread=True)
    proxy.servers.connections[ONE] = 1
    assert proxy.sync(port("web", "10.244.0.2"))
    assert proxy.sync(port("web", "10.244.0.1", "10.244.0.2"))
    assert proxy.weights() == {ONE: 1, TWO: 1}
    proxy.servers.connections.clear()
    assert proxy.sync(port("web", "10.244.0.1", "10.244.0.2"), reread=True)
    assert proxy.weights() == {ONE: 1, TWO: 1}


@pytest.mark.parametrize("protocol", ["udp", "sctp"])
def test_without_tcp_a_real_server_goes_at_once(protocol: str) -> None:
    proxy = Proxy()
    assert proxy.sync(port("web", "10.244.0.1", "10.244.0.2", protocol=protocol), reread=True)
    proxy.servers.connections[ONE] = 1
    assert proxy.sync(port("web", "10.244.0.2", protocol=protocol))
    assert proxy.weights(replace(WEB, protocol=protocol)) == {TWO: 1}


def test_the_next_process_goes_on_with_real_servers_that_were_leaving() -> None:
    first = Proxy()
    assert first.sync(port("web", "10.244.0.1", "10.244.0.2"), reread=True)
    first.servers.connections[ONE] = 1
    assert first.sync(port("web", "10.244.0.2"))
    second = Proxy(after=first)
    assert second.sync(port("web", "10.244.0.2"), reread=True)
    assert second.weights() == {ONE: 0, TWO: 1}
    first.servers.connections.clear()
    assert second.sync(port("web", "10.244.0.2"), reread=True)
    assert second.weights() == {TWO: 1}


def test_what_someone_did_is_undone_when_the_kernel_is_read() -> None:
    proxy, chance = Proxy(), random.Random(1)
    ports = random_ports(chance)
    assert proxy.sync(*ports, reread=True)
    stranger = VirtualServer("203.0.113.7", 80, "tcp")
    proxy.servers.held[stranger], proxy.servers.real[stranger] = Service("rr"), {}
    proxy.servers.held[next(iter(proxy.servers.held))] = Service("lc")
    proxy.device.own = {"10.96.99.99"}
    proxy.sets.held["KUBE-CLUSTER-IP"] = {"10.96.99.99,tcp:1": None}
    del proxy.sets.held["KUBE-HEALTH-CHECK-NODE-PORT"]
    proxy.tables.chains["nat"]["KUBE-SERVICES"].clear()
    proxy.tables.chains["filter"]["KUBE-IPVS-FILTER"].clear()
    proxy.tables.chains["filter"]["KUBE-NODE-PORT"].clear()
    assert proxy.sync(*ports, reread=True)
    proxy.check()
    assert stranger not in proxy.servers.held


def test_excluded_virtual_servers_stay() -> None:
    proxy, stranger = Proxy(), VirtualServer("203.0.113.7", 80, "tcp")
    proxy.servers.held[stranger], proxy.servers.real[stranger] = Service("wrr"), {}
    options = replace(PODS, ipvs=IPVSOptions(exclude_cidrs=("203.0.113.0/24",)))
    assert proxy.sync(port(), reread=True, options=options)
    assert proxy.servers.held == {stranger: Service("wrr"), WEB: Service("rr")}


def test_another_scheduler_and_affinity_change_the_virtual_server() -> None:
    proxy = Proxy()
    assert proxy.sync(port("web", "10.244.0.1"), reread=True)
    assert proxy.sync(port("web", "10.244.0.1", affinity_seconds=60))
    assert proxy.servers.held == {WEB: Service("rr", PERSISTENT, 60)}
    assert proxy.sync(port("web", "10.244.0.1"), options=replace(PODS, ipvs=IPVSOptions("lc")))
    assert proxy.servers.held == {WEB: Service("lc")}
    assert proxy.weights() == {ONE: 1}


def test_a_new_address_of_the_node_serves_node_ports_after_the_next_reading() -> None:
    proxy, service = Proxy(), port("web", "10.244.0.1", node_port=30053)
    assert proxy.sync(service, reread=True)
    proxy.device.others.add("192.0.2.3")
    assert proxy.sync(service, reread=True)
    assert {s.address for s in proxy.servers.held if s.port == 30053} == {"192.0.2.2", "192.0.2.3"}
    proxy.check()


def test_after_a_refusal_everything_is_read_again(caplog: pytest.LogCaptureFixture) -> None:
    proxy = Proxy()
    assert proxy.sync(port("web", "10.244.0.1"), reread=True)
    proxy.tables.broken = True
    balancer = port("lb", "10.244.0.1", cluster_ip="10.96.20.2", ingress_ips=("203.0.113.2",))
    assert not proxy.sync(port("web", "10.244.0.1"), balancer)
    assert "Failed to sync IPv4 ipvs rules: iptables-restore failed" in caplog.text
    proxy.tables.broken = False
    assert proxy.sync(port("web", "10.244.0.1"), balancer)
    proxy.check()


def test_settings_of_the_kernel(kernel_settings: dict[str, int]) -> None:
    proxy = Proxy()
    ipvs = IPVSOptions(strict_arp=True, tcp_timeout=900, udp_timeout=30.5)
    assert proxy.sync(reread=True, options=replace(PODS, ipvs=ipvs))
    assert kernel_settings["net/ipv4/vs/conntrack"] == kernel_settings["net/ipv4/vs/expire_nodest_conn"] == 1
    assert kernel_settings["net/ipv4/vs/expire_quiescent_template"] == kernel_settings["net/ipv4/ip_forward"] == 1
    assert (kernel_settings["net/ipv4/conf/all/arp_ignore"], kernel_settings["net/ipv4/conf/all/arp_announce"]) == (
        1,
        2,
    )
    assert proxy.servers.timeouts == (900, 0, 30)


@pytest.mark.parametrize(
    ("kernel", "value"), [((4, 0), None), ((4, 19), 0), ((5, 8), 0), ((5, 9), None), ((6, 1), None)]
)
def test_connections_are_reused_by_older_kernels(
    kernel: tuple[int, int], value: int | None, kernel_settings: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybernetes.proxy.backends.ipvs.backend.kernel_version", lambda: kernel)
    assert Proxy().sync(reread=True)
    assert kernel_settings.get("net/ipv4/vs/conn_reuse_mode") == value
    assert not any("arp" in name for name in kernel_settings)


def test_a_setting_that_is_refused_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sysctl, "ensure", lambda name, value: "ip_forward" not in name)
    proxy = Proxy()
    assert not proxy.sync(port(), reread=True)
    assert "can't set sysctl net/ipv4/ip_forward" in caplog.text
    assert not proxy.servers.held


def test_without_ipv6_services_nothing_of_it_is_touched() -> None:
    proxy = Proxy("IPv6")
    assert proxy.sync(reread=True) and proxy.sync(reread=True)
    assert not proxy.sets.held and not proxy.tables.restores and not proxy.device.there
    assert proxy.sync(port("six", cluster_ip="fd00:96::1"))
    proxy.check()


def test_source_ranges_hold_before_anything_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, apply = Proxy(), MemoryServers.apply
    assert proxy.sync(port("web", "10.244.0.1"), reread=True)
    seen: list[list[str]] = []

    def applied(servers: MemoryServers, commands: Sequence[Command]) -> None:
        seen.append(list(proxy.tables.chains["filter"]["KUBE-PROXY-FIREWALL"]))
        apply(servers, commands)

    monkeypatch.setattr(MemoryServers, "apply", applied)
    ranges = {"ingress_ips": ("203.0.113.2",), "source_ranges": ("10.0.0.0/8",)}
    assert proxy.sync(port("web", "10.244.0.1"), port("lb", "10.244.0.1", cluster_ip="10.96.20.2", **ranges))
    assert len(seen[0]) == 1 and seen[0][0].endswith("-j KUBE-SOURCE-RANGES-FIREWALL")


def test_a_service_is_never_of_source_ranges_while_none_is_there() -> None:
    entries = [sets.Entry(sets.LOAD_BALANCER_FW, "a"), sets.Entry(sets.SOURCE_CIDR, "b")]
    assert [line.split()[-1] for line in sets.changes("add", entries, "IPv4")] == ["b", "a"]
    assert [line.split()[-1] for line in sets.changes("del", reversed(entries), "IPv4")] == ["a", "b"]


def test_its_connections_to_the_kernel_end_with_it() -> None:
    proxy = Proxy()
    assert isinstance(proxy.backend, Closing)
    asyncio.run(proxy.backend.close())
    assert proxy.servers.closed and proxy.device.closed


def by_iptables(ports: list[ServicePort], tables: MemoryTables) -> None:
    """As the mode iptables leaves it."""
    current = iptables.parse(asyncio.run(tables.save()))
    asyncio.run(tables.restore(iptables.plan(current, desired(ports, IPTablesOptions("10.244.0.0/16")).tables)))


def unordered(tables: MemoryTables) -> dict[tuple[str, str], list[str]]:
    """Without what belongs to the kubelet as well."""
    return {
        (table, chain): sorted(rule for rule in rules if "KUBE-FIREWALL" not in rule)
        for table, chains in tables.chains.items()
        for chain, rules in chains.items()
        if chain != "KUBE-FIREWALL"
    }


def test_what_the_mode_iptables_has_left_goes() -> None:
    proxy, ports = Proxy(), random_ports(random.Random(2))
    by_iptables(ports, proxy.tables)
    before = {(table, chain) for table, chains in proxy.tables.chains.items() for chain in chains}
    assert ("filter", "KUBE-EXTERNAL-SERVICES") in before
    assert proxy.sync(*ports, reread=True)
    proxy.check()
    fresh = Proxy()
    assert fresh.sync(*ports, reread=True)
    assert unordered(proxy.tables) == unordered(fresh.tables)


def test_the_mode_iptables_finds_nothing_of_this_one() -> None:
    proxy, ports = Proxy(), random_ports(random.Random(2))
    assert proxy.sync(*ports, reread=True)
    asyncio.run(proxy.tables.restore(legacy.of_ipvs(proxy.tables.chains, "IPv4")))
    text = asyncio.run(proxy.tables.save())
    assert "--match-set" not in text
    assert not any(chain in text for chain in ("KUBE-IPVS", "KUBE-LOAD-BALANCER", "KUBE-NODE-PORT", "KUBE-SOURCE"))
    by_iptables(ports, proxy.tables)
    fresh = MemoryTables(MemorySets())
    by_iptables(ports, fresh)
    assert unordered(proxy.tables) == unordered(fresh)
    assert legacy.of_ipvs(proxy.tables.chains, "IPv4") == ""
