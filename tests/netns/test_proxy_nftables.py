"""The table kube-proxy in a kernel: it holds what was asked for, by whatever way it came there, and nothing of anybody else."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from pybernetes.net.nftables import NFTables, generation
from pybernetes.proxy.backends import Change, Options
from pybernetes.proxy.backends.nftables import rules
from pybernetes.proxy.backends.nftables.backend import NFTablesBackend
from pybernetes.proxy.backends.nftables.listing import Listing, read
from pybernetes.proxy.backends.nftables.rules import TABLE
from pybernetes.proxy.backends.nftables.ruleset import RuleSet, Script
from pybernetes.proxy.cleanup import remove
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import ServiceKey, ServicePort, service_ports
from tests.unit.proxy.backends.iptables.test_rules import CASES, KUBERNETES, options, typed
from tests.unit.proxy.backends.randomly import random_ports
from tests.unit.proxy.objects import port

from .namespaces import Namespace

pytestmark = pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft (the package nftables)")

Kept = dict[ServiceKey, list[ServicePort]]


class Proxy:
    """A backend and what it was told, in the namespace of the thread."""

    def __init__(self, family: str = "IPv4", chosen: Options | None = None) -> None:
        self.table, self.family = NFTables(family, TABLE), family
        self.backend = NFTablesBackend(family, self.table, Metrics())
        self.services: Kept = {}
        self.options = chosen or Options("10.244.0.0/16" if family == "IPv4" else "fd00:244::/64")

    async def sync(self, ports: list[ServicePort], *, reread: bool) -> None:
        services: Kept = {}
        for each in ports:
            services.setdefault((each.namespace, each.service), []).append(each)
        names = [n for n in {**self.services, **services} if self.services.get(n) != services.get(n)]
        changes = {n: Change(self.services.get(n, []), services.get(n, [])) for n in names}
        self.services = services
        assert await self.backend.sync(changes, services, self.options, reread=reread)

    async def listing(self) -> Listing:
        chosen = rules.Options(
            **{name: getattr(self.options, name) for name in Options.__dataclass_fields__}, family=self.family
        )
        kinds = {name: " ".join((line.split()[0], name)) for name, line in rules.containers(chosen).items()}
        output = await self.table.listing(list(kinds.values()))
        assert output is not None
        with output:
            return read(output)

    async def difference(self) -> Script:
        """What a proxy that has just read the kernel would change; chains that wait to be deleted are none of it."""
        chosen = rules.Options(
            **{name: getattr(self.options, name) for name in Options.__dataclass_fields__}, family=self.family
        )
        script = RuleSet(chosen).whole(self.services, await self.listing(), first=False)
        script.flushed = [chain for chain in script.flushed if chain not in script.stale]
        return script


def inside(node: Namespace, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    node.inside(lambda: uvloop.run(scenario()))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_kernel_prints_what_was_asked_for(path: Path, node: Namespace) -> None:
    case = yaml.safe_load(path.read_text())
    services, slices = typed(KUBERNETES + case["objects"], path.stem)
    flags = options(case.get("proxy_flags", ["--cluster-cidr=10.244.0.0/16"]))
    own = {name: getattr(flags, name) for name in Options.__dataclass_fields__}

    async def scenario() -> None:
        proxy = Proxy(chosen=Options(**{**own, "service_cidrs": ("10.96.0.0/16", "10.98.0.0/15")}))
        await proxy.sync(service_ports(services, slices, "node1"), reread=True)
        assert (await proxy.listing()).chains
        script = await proxy.difference()
        assert list(script.lines(rules.Options())) == []

    inside(node, scenario)


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_after_any_changes_the_kernel_holds_what_is_desired(family: str, node: Namespace) -> None:
    chance = random.Random(f"2026 {family}")

    async def scenario() -> None:
        proxy = Proxy(family)
        for number in range(30):
            await proxy.sync(random_ports(chance, family=family), reread=number == 0)
            script = await proxy.difference()
            assert list(script.lines(rules.Options(family=family))) == []

    inside(node, scenario)


def test_what_someone_took_away_comes_back_and_his_own_tables_stay(node: Namespace) -> None:
    chance = random.Random(7)
    harm = [
        "flush map ip kube-proxy service-ips",
        "flush chain ip kube-proxy services",
        "add rule ip kube-proxy services drop",
        "add element ip kube-proxy cluster-ips { 10.96.0.99 }",
        "flush chain ip kube-proxy nat-output; delete chain ip kube-proxy nat-output",
        "add chain ip kube-proxy service-X-a/b/tcp/",
        "delete table ip kube-proxy",
    ]

    async def scenario() -> None:
        node.run("nft add table inet mine; nft add chain inet mine theirs; nft add rule inet mine theirs accept")
        proxy = Proxy()
        await proxy.sync(random_ports(chance), reread=True)
        theirs = node.run("nft list table inet mine")
        for command in harm:
            node.run(f"nft '{command}'")
            await proxy.sync([port for own in proxy.services.values() for port in own], reread=True)
            assert list((await proxy.difference()).lines(rules.Options())) == [], command
        count = generation()
        await proxy.sync([port for own in proxy.services.values() for port in own], reread=True)
        assert generation() == count, "nothing was wrong"
        assert node.run("nft list table inet mine") == theirs
        await remove()
        assert node.run("nft list tables") == "table inet mine\n"

    inside(node, scenario)


def test_another_process_takes_over_what_the_first_has_left(node: Namespace) -> None:
    """With chains of an older version among it; who is stuck to an endpoint stays so."""
    chance = random.Random(3)

    async def scenario() -> None:
        first, second = Proxy(), Proxy()
        ports = [p for p in random_ports(chance) if p.affinity_seconds and p.endpoints]
        await first.sync(ports, reread=True)
        affinity = next(name for name in (await first.listing()).timeouts if name.startswith("affinity-"))
        node.run(f"nft 'add element ip kube-proxy {affinity} {{ 192.0.2.1 }}'")
        node.run("nft 'add chain ip kube-proxy filter-prerouting { type filter hook prerouting priority -110 ; }'")
        node.run(
            "nft 'add chain ip kube-proxy firewall-old; add rule ip kube-proxy filter-prerouting jump firewall-old'"
        )
        await second.sync(ports, reread=True)
        assert list((await second.difference()).lines(rules.Options())) == []
        chains = (await second.listing()).chains
        assert not {"filter-prerouting", "firewall-old"} & chains.keys()
        assert "192.0.2.1" in node.run(f"nft list set ip kube-proxy {affinity}")

    inside(node, scenario)


def test_source_ranges_that_touch_each_other_and_the_end(node: Namespace) -> None:
    async def scenario() -> None:
        proxy = Proxy()
        for ranges in (
            ("10.0.0.0/24", "10.0.1.0/25", "10.9.0.0/16"),
            ("10.0.0.0/25", "10.0.0.128/25"),
            ("0.0.0.0/2", "192.0.0.0/2"),
            ("203.0.113.7/32", "192.0.2.1/32"),
            ("0.0.0.0/0", "10.0.0.0/8"),
        ):
            web = port("web", "10.244.0.1", ingress_ips=("198.51.100.7",), source_ranges=ranges)
            await proxy.sync([web], reread=False)
            script = await proxy.difference()
            assert list(script.lines(rules.Options())) == [], ranges

    inside(node, scenario)


def test_the_kernels_refusal_names_the_command(node: Namespace) -> None:
    async def scenario() -> None:
        await Proxy().sync([], reread=True)
        with pytest.raises(OSError, match="No such file or directory: add rule ip kube-proxy nowhere drop"):
            NFTables("IPv4", TABLE).send(["add chain ip kube-proxy here", "add rule ip kube-proxy nowhere drop"])
        assert "here" not in node.run("nft list table ip kube-proxy"), "all or nothing"

    inside(node, scenario)
