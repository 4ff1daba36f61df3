"""The table follows what services ask for, a change at a time, on a table in memory."""

from __future__ import annotations

import asyncio
import random

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.proxy.backends import Change, Options
from pybernetes.proxy.backends.nftables import rules
from pybernetes.proxy.backends.nftables.backend import STALE_SECONDS, NFTablesBackend
from pybernetes.proxy.backends.nftables.listing import read
from pybernetes.proxy.backends.nftables.ruleset import MANY_CHAINS, RuleSet
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import ServiceKey, ServicePort

from ...objects import port
from ..randomly import random_ports
from .memory import MemoryTable

PODS = Options("10.244.0.0/16")


@pytest.fixture(autouse=True)
def nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are the kernel's; there is none here."""

    async def forget(flows: object) -> None:
        return None

    monkeypatch.setattr("pybernetes.proxy.conntrack.forget", forget)


class Proxy:
    """A backend with a table, and what it was told last."""

    def __init__(self, family: str = "IPv4") -> None:
        self.table, self.clock, self.metrics = MemoryTable(), VirtualClock(), Metrics()
        self.family, self.services = family, dict[ServiceKey, list[ServicePort]]()
        self.told: dict[ServiceKey, list[ServicePort]] = {}
        self.backend = NFTablesBackend(family, self.table, self.metrics, lambda: self.table.generation, self.clock)

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

    def difference(self, options: Options = PODS) -> list[str]:
        chosen = rules.Options(options.cluster_cidr, family=self.family)
        script = RuleSet(chosen).whole(self.services, read(self.table.text().splitlines()), first=False)
        script.flushed = [c for c in script.flushed if c not in script.stale or self.table.chains[c]]
        return list(script.lines(chosen))


def test_a_thousand_random_changes_leave_what_is_desired() -> None:
    chance, proxy = random.Random(2026), Proxy()
    assert proxy.sync(reread=True)
    ports: list[ServicePort] = []
    for number in range(1000):
        fresh = random_ports(chance)
        # One service at a time as a rule, all of them now and then.
        name = chance.choice(fresh).service if fresh and number % 10 else ""
        ports = [
            *(p for p in ports if name and p.service != name),
            *(p for p in fresh if not name or p.service == name),
        ]
        assert proxy.sync(*ports)
        asyncio.run(proxy.clock.advance(0.4))
        if number % 50 == 0:
            assert proxy.difference() == []
    assert proxy.difference() == []
    asyncio.run(proxy.clock.advance(STALE_SECONDS))
    assert proxy.sync() and proxy.difference() == []
    asyncio.run(proxy.clock.advance(STALE_SECONDS))
    assert proxy.sync(port("last", "10.244.0.1"))
    left = [name for name in (*proxy.table.chains, *proxy.table.sets) if "/" in name]
    assert {name.split("px/")[1].split("/")[0] for name in left} == {"last"}


def test_a_change_costs_what_changed() -> None:
    proxy = Proxy()
    many = [port(f"s{n}", "10.244.0.1", "10.244.0.2", cluster_ip=f"10.96.1.{n}") for n in range(100)]
    assert proxy.sync(*many, reread=True)
    many[7] = port("s7", "10.244.0.1", "10.244.0.3", cluster_ip="10.96.1.7")
    assert proxy.sync(*many)
    commands = proxy.table.applied[-1]
    new, old = (rules.endpoint_name(many[7], e) for e in (many[7].endpoints[1], port("x", "10.244.0.2").endpoints[0]))
    service = rules.chain_name("service", many[7])
    assert commands[0] == f"add chain ip kube-proxy endpoint-{new}"
    assert [c for c in commands if c.startswith("flush")] == [
        f"flush chain ip kube-proxy {service}",
        f"flush chain ip kube-proxy endpoint-{old}",
    ]
    assert len(commands) == 7
    count = len(proxy.table.applied)
    assert proxy.sync(*many) and len(proxy.table.applied) == count, "nothing has changed"


def test_the_kernel_is_read_only_where_someone_has_changed_it() -> None:
    proxy = Proxy()
    web = port("web", "10.244.0.1")
    assert proxy.sync(web, reread=True)
    applied = len(proxy.table.applied)
    assert proxy.sync(web, reread=True) and len(proxy.table.applied) == applied
    proxy.table.chains[rules.SERVICES].clear()  # by another program, so the kernel counts it
    proxy.table.generation += 1
    assert proxy.sync(web) and proxy.table.chains[rules.SERVICES] == [], "nobody asked"
    assert proxy.sync(web, reread=True) and len(proxy.table.chains[rules.SERVICES]) == 2


def test_what_was_refused_comes_with_the_next_attempt() -> None:
    proxy = Proxy()
    assert proxy.sync(port("web", "10.244.0.1"), reread=True)
    proxy.table.broken = True
    assert not proxy.sync(port("web", "10.244.0.2"))
    assert 'kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"} 1' in (
        proxy.metrics.registry.text()
    )
    proxy.table.broken = False
    assert proxy.sync(port("web", "10.244.0.2"), reread=True)
    assert proxy.difference() == []


def test_another_time_out_of_affinity_makes_the_sets_anew() -> None:
    proxy = Proxy()
    assert proxy.sync(port("web", "10.244.0.1", affinity_seconds=60), reread=True)
    assert proxy.sync(port("web", "10.244.0.1", affinity_seconds=90))
    (declared,) = [d for name, d in proxy.table.sets.items() if name.startswith("affinity-")]
    assert "timeout 90s" in declared and proxy.difference() == []


def test_a_family_without_services_is_left_alone() -> None:
    proxy = Proxy("IPv6")
    assert proxy.sync(reread=True) and not proxy.table.exists
    web = port("web", "fd00:244::1", cluster_ip="fd00:96::1")
    assert proxy.sync(web) and proxy.table.exists and proxy.difference(PODS) == []


def test_other_options_are_brought_into_all_rules() -> None:
    proxy = Proxy()
    web = port("web", "10.244.0.1", node_port=30080)
    assert proxy.sync(web, reread=True)
    assert proxy.sync(web, options=Options("10.200.0.0/16", node_port_addresses=("10.78.0.2", "127.0.0.1")))
    assert any("ip saddr != 10.200.0.0/16" in r for r in proxy.table.chains[rules.chain_name("service", web)])
    assert list(proxy.table.elements[rules.NODE_PORT_IPS]) == ["10.78.0.2"], "not on the loopback"
    assert "@nodeport-ips" in proxy.table.chains[rules.SERVICES][1]


def test_many_new_chains_come_in_parts_of_which_each_can_be_the_last() -> None:
    """The memory's table refuses what leads to nothing; a proxy that ended in between has left nothing that is wrong."""
    proxy = Proxy()
    many = [
        port(
            f"s{n}",
            *(f"10.244.{n}.{k}" for k in range(1, 11)),
            cluster_ip=f"10.96.1.{n}",
            affinity_seconds=60 * (n % 2),
        )
        for n in range(MANY_CHAINS // 10)
    ]
    assert proxy.sync(*many, reread=True)
    assert len(proxy.table.applied) > 2 and proxy.difference() == []
    ended = Proxy()
    for commands in proxy.table.applied[:-1]:
        assert not any(c.startswith("add element") for c in commands), "nobody finds it yet"
        asyncio.run(ended.table.apply(commands))
    assert ended.sync(*many, reread=True) and ended.difference() == []
    again = [command for commands in ended.table.applied[len(proxy.table.applied) - 1 :] for command in commands]
    assert not any("endpoint-" in command for command in again), "what is there is not written again"
