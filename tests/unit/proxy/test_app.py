"""The sync loop on objects in memory and tables that are not there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import types
from pybernetes.api.types import core_v1, networking_v1
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.component import flags
from pybernetes.net.programs import ProgramError
from pybernetes.proxy.app import Pace, ProxyServer
from pybernetes.proxy.backends import Backend, Changes, Options, Services
from pybernetes.proxy.backends.iptables.backend import IPTablesBackend
from pybernetes.proxy.health import ProxyHealth
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.options import FLAGS, kube_proxy_configuration

from .objects import at, service, slice_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Kernel:
    """iptables of one family: remembers what it was told, and fails when asked to."""

    def __init__(self, saved: str = "") -> None:
        self.saved, self.restored, self.reads, self.broken = saved, list[str](), 0, False

    async def save(self) -> str:
        self.reads += 1
        return self.saved

    async def restore(self, text: str) -> None:
        if self.broken:
            raise ProgramError("iptables-restore failed")
        self.restored.append(text)


class Setting:
    """A proxy with everything around it."""

    def __init__(self, *arguments: str, addresses: list[str] | None = None) -> None:
        self.client, self.clock = MemoryClient(), VirtualClock(epoch=NOW)
        self.four, self.six, self.metrics = Kernel(), Kernel(), Metrics()
        self.health = ProxyHealth(60)
        values = flags.parse(
            "kube-proxy", FLAGS, ["--hostname-override=node1", "--cluster-cidr=10.244.0.0/16", *arguments]
        )
        backends = [
            IPTablesBackend("IPv4", self.four, self.metrics),
            IPTablesBackend("IPv6", self.six, self.metrics),
        ]
        self.settings = kube_proxy_configuration(values)
        self.addresses = addresses or []
        self.proxy = self.feeding(*backends)

    def feeding(self, *backends: Backend) -> ProxyServer:
        """A proxy that keeps these."""
        informers = MemoryInformers(self.client)
        return ProxyServer(
            self.settings, informers, backends, self.metrics, self.health, self.clock, lambda: self.addresses
        )

    def sync(self, reread: bool = False) -> bool:
        return asyncio.run(self.proxy.sync(reread))


def test_changes_are_written_once() -> None:
    setting = Setting()
    setting.client.put(service(clusterIP="10.96.20.1"))
    setting.client.put(slice_of("web", at("10.244.0.5")))
    assert not setting.health.queued.keys() ^ {"IPv4", "IPv6"}
    assert setting.sync()
    assert "10.244.0.5:8080" in setting.four.restored[0]
    assert setting.health.queued == {}
    assert setting.sync() and len(setting.four.restored) == 1, "nothing has changed"
    assert setting.four.reads == 1
    setting.client.put(slice_of("web", at("10.244.0.6")))
    assert setting.sync()
    (text,) = setting.four.restored[1:]
    assert "10.244.0.6:8080" in text and "KUBE-POSTROUTING" not in text
    assert text.count("-X KUBE-SEP-") == 1
    setting.client.drop(service(clusterIP="10.96.20.1"))
    assert setting.sync()
    assert setting.four.restored[2].count("-X KUBE-") == 2


def test_the_kernel_is_read_again_when_asked_and_after_a_failure() -> None:
    setting = Setting()
    setting.sync()
    setting.sync(reread=True)
    assert setting.four.reads == 2
    assert len(setting.four.restored) == 2, "everything was gone: it is written again"
    setting.four.broken = True
    setting.client.put(service(clusterIP="10.96.20.1"))
    assert not setting.sync()
    assert setting.metrics.failures.samples[("IPv4",)] == 1
    assert "IPv4" in setting.health.queued
    setting.four.broken = False
    assert setting.sync()
    assert setting.four.reads == 3


def test_ipv6_costs_nothing_until_it_is_used() -> None:
    setting = Setting()
    setting.sync()
    setting.sync(reread=True)
    assert (setting.six.reads, setting.six.restored) == (1, [])
    setting.client.put(service(clusterIP="fd00::1"))
    setting.sync()
    assert "icmp6-port-unreachable" in setting.six.restored[0]
    setting.client.drop(service(clusterIP="fd00::1"))
    setting.sync()
    assert "fd00::1" not in setting.six.restored[1]


def node(**fields: Any) -> core_v1.Node:
    addresses = [{"type": "InternalIP", "address": "192.0.2.7"}, {"type": "Hostname", "address": "node1"}]
    body = {
        "metadata": {"name": "node1", **fields},
        "spec": {"podCIDRs": ["10.7.0.0/24"]},
        "status": {"addresses": addresses},
    }
    return types.decode(types.encode(body), core_v1.Node)


def test_the_zone_of_the_node_counts() -> None:
    setting = Setting()
    setting.client.put(service(clusterIP="10.96.20.1"))
    setting.client.put(slice_of("web", at("10.244.0.5", zones="a"), at("10.244.0.6", zones="b")))
    setting.sync()
    assert "10.244.0.6" in setting.four.restored[0]
    setting.client.put(node(labels={"topology.kubernetes.io/zone": "a"}))
    setting.sync()
    assert len(setting.four.restored) == 2
    assert "-X KUBE-SEP-" in setting.four.restored[1]


def test_addresses_for_node_ports() -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    for flag, expected in (
        ("192.0.2.0/24", ["-d 192.0.2.9/32"]),
        ("primary", ["-d 192.0.2.7/32"]),
        ("0.0.0.0/0", ["--dst-type LOCAL -j KUBE-NODEPORTS"]),
    ):
        setting = Setting(f"--nodeport-addresses={flag}", addresses=["127.0.0.1", "192.0.2.9", "198.51.100.1"])
        setting.client.put(node())
        setting.client.put(service(clusterIP="10.96.20.1", type="NodePort", ports=ports))
        setting.sync()
        lines = [
            line
            for line in setting.four.restored[0].splitlines()
            if line.startswith("-A KUBE-SERVICES") and line.endswith("-j KUBE-NODEPORTS")
        ]
        assert len(lines) == len(expected)
        assert all(part in line for part, line in zip(expected, lines, strict=True))


def test_pods_of_this_node_are_known_by_its_cidr() -> None:
    setting = Setting("--detect-local-mode=NodeCIDR")
    setting.client.put(node())
    setting.client.put(service(clusterIP="10.96.20.1"))
    setting.client.put(slice_of("web", at("10.244.0.5")))
    setting.sync()
    assert "! -s 10.7.0.0/24 -d 10.96.20.1/32" in setting.four.restored[0]


def test_how_long_a_change_took_is_counted() -> None:
    setting = Setting()
    made = slice_of("web", at("10.244.0.5"))
    made.metadata.annotations["endpoints.kubernetes.io/last-change-trigger-time"] = "2026-01-02T00:00:00Z"
    setting.client.put(made)
    old = slice_of("old", at("10.244.0.6"))
    old.metadata.annotations["endpoints.kubernetes.io/last-change-trigger-time"] = "2025-01-02T00:00:00Z"
    setting.client.put(old)
    setting.sync()
    assert sum(setting.metrics.programming.counts[("IPv4",)]) == 1


def test_pace() -> None:
    pace = Pace(1.0, last=100.0)
    moments: list[tuple[float, float]] = [
        (100.0, 0.0),
        (100.0, 0.0),
        (100.0, 1.0),
        (100.5, 0.5),
        (101.0, 0.0),
        (101.25, 0.75),
    ]
    assert [(now, pace.delay(now)) for now, _ in moments] == moments
    assert Pace(0.0).delay(1.0) == 0.0


def test_it_goes_on_after_changes_until_it_is_cancelled() -> None:
    async def scenario(setting: Setting) -> None:
        task = asyncio.ensure_future(setting.proxy.run())
        await setting.clock.settle()
        assert len(setting.four.restored) == 1
        setting.client.put(service(clusterIP="10.96.20.1"))
        await setting.clock.settle()
        assert len(setting.four.restored) == 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario(Setting("--iptables-min-sync-period=0s")))


class Listening:
    """A backend that keeps what it is told, and fails when asked to."""

    family = "IPv4"

    def __init__(self) -> None:
        self.told: list[dict[str, tuple[int, int]]] = []
        self.broken = False

    async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
        self.told.append({name: (len(c.before), len(c.after)) for (_, name), c in changes.items()})
        return not self.broken


def test_a_backend_is_fed_changes_and_those_it_could_not_make_come_again() -> None:
    setting, backend = Setting(), Listening()
    setting.proxy = setting.feeding(backend)
    web, db = service("web", clusterIP="10.96.20.1"), service("db", clusterIP="10.96.20.2")
    for each in (web, db):
        setting.client.put(each)
    assert setting.sync()
    setting.sync()
    backend.broken = True
    setting.client.drop(web)
    assert not setting.sync()
    backend.broken = False
    setting.client.drop(db)
    assert setting.sync()
    setting.client.put(web)
    setting.client.drop(web)
    setting.sync()
    assert backend.told == [{"web": (0, 1), "db": (0, 1)}, {}, {"web": (1, 0)}, {"web": (1, 0), "db": (1, 0)}, {}]


def test_a_slow_sync_is_told_while_it_lasts_and_how_long_it_took(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()

    class Slow(Listening):
        async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
            await setting.clock.sleep(float(len(services)))
            return True

    async def scenario() -> list[str]:
        setting.proxy = setting.feeding(Slow())
        caplog.clear()
        task = asyncio.ensure_future(setting.proxy.sync(False))
        await setting.clock.settle()
        await setting.clock.advance(5.5)
        before = list(caplog.messages)
        await setting.clock.advance(60.0)
        await task
        return [*before, "--", *caplog.messages[len(before) :]]

    for number in range(4):
        setting.client.put(service(f"s{number}", clusterIP=f"10.96.20.{number}"))
    assert asyncio.run(scenario()) == ["--"]
    for number in range(4, 9):
        setting.client.put(service(f"s{number}", clusterIP=f"10.96.20.{number}"))
    before, _, after = asyncio.run(scenario())
    assert before == "Syncing IPv4 rules has been taking more than 5 s"
    assert after.startswith("Syncing IPv4 rules of 9 services took ")


def test_backends_are_told_of_service_cidrs_where_the_server_has_them() -> None:
    setting = Setting()
    given: list[tuple[str, ...]] = []

    class Told(Listening):
        async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
            given.append(options.service_cidrs)
            return True

    body = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16", "fd00:96::/112"]}}
    setting.client.put(types.decode(types.encode(body), networking_v1.ServiceCIDR))
    setting.proxy = setting.feeding(Told())
    assert setting.sync()
    setting.proxy.follow_service_cidrs()
    assert setting.sync()
    assert given == [(), ("10.96.0.0/16",)]
