"""Local ports and the rules that lead to them, on a kernel that is a dict."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.net.programs import ProgramError
from pybernetes.proxy import conntrack
from pybernetes.proxy.backends import Change, Closing, Options, PortRange, Userspace
from pybernetes.proxy.backends.iptables.tables import State
from pybernetes.proxy.backends.userspace.backend import UserspaceBackend
from pybernetes.proxy.backends.userspace.ports import Budget
from pybernetes.proxy.backends.userspace.rules import Place, Rule, portal_rules, repair
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import ServiceKey, ServicePort

from ...objects import port
from ..randomly import random_ports
from .test_rules import BARE, applied, held, printed

OPTIONS = Options(userspace=Userspace("127.0.0.1"))


class Kernel:
    """iptables of one family, which fails when asked to: before it does anything, or after."""

    def __init__(self) -> None:
        self.state: State = BARE
        self.fault, self.reads, self.writes = "", 0, 0

    async def save(self) -> str:
        self.reads += 1
        return printed(self.state)

    async def restore(self, text: str) -> None:
        self.writes += 1
        if self.fault == "physdev" and "physdev" in text:
            raise ProgramError("iptables-restore: Extension physdev revision 0 not supported, missing kernel module?")
        if self.fault == "before":
            raise ProgramError("iptables-restore failed")
        self.state = applied(self.state, text)
        if self.fault == "after":
            raise ProgramError("iptables-restore was killed")


class Setting:
    def __init__(self, options: Options = OPTIONS) -> None:
        self.kernel, self.metrics, self.options = Kernel(), Metrics(), options
        self.backend = self.process()
        self.told: dict[ServiceKey, list[ServicePort]] = {}

    def process(self) -> UserspaceBackend:
        return UserspaceBackend(
            "IPv4", self.kernel, self.metrics, Budget(10), VirtualClock(), lambda family: "192.0.2.7"
        )

    async def sync(self, *ports: ServicePort, reread: bool = False) -> bool:
        services: dict[ServiceKey, list[ServicePort]] = {}
        for each in ports:
            services.setdefault((each.namespace, each.service), []).append(each)
        names = {**self.told, **services}
        changes = {n: Change(self.told.get(n, []), services.get(n, [])) for n in names}
        changes = {n: c for n, c in changes.items() if c.before != c.after}
        good = await self.backend.sync(changes, services, self.options, reread=reread)
        if good:
            self.told = services
        return good

    def rules(self) -> set[Rule]:
        return held(self.kernel.state)

    def local_port(self, name: str) -> int:
        """To which the rules lead."""
        return next(
            int(rule.text.rpartition(":")[2])
            for rule in self.rules()
            if rule.chain == "KUBE-PORTALS-HOST" and f'"px/{name}"' in rule.text
        )


@pytest.fixture(autouse=True)
def no_conntrack(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(flows: object) -> None:
        """The machine's own flows stay."""

    monkeypatch.setattr(conntrack, "forget", forget)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(within())


def listening(number: int) -> bool:
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", number))
        except OSError:
            return True
    return False


def test_a_service_comes_changes_and_goes() -> None:
    async def scenario() -> None:
        setting = Setting()
        web = port("web", "10.244.0.1")
        assert await setting.sync(web)
        number = setting.local_port("web")
        assert listening(number)
        assert setting.rules() == set(portal_rules(web, number, Place("127.0.0.1", "127.0.0.1")))
        writes = setting.kernel.writes
        assert await setting.sync(replace(web, endpoints=()))
        assert setting.kernel.writes == writes, "who is an endpoint is no business of the kernel's"
        assert await setting.sync(replace(web, cluster_ip="10.96.20.2"))
        assert setting.local_port("web") == number and "10.96.20.2/32" in str(setting.rules())
        assert setting.kernel.reads == 1
        assert await setting.sync()
        assert setting.rules() == set() and not listening(number)
        assert isinstance(setting.backend, Closing)
        await setting.backend.close()

    run(scenario)


@pytest.mark.parametrize("fault", ["before", "after"])
def test_what_the_kernel_refuses_comes_again(fault: str) -> None:
    async def scenario() -> None:
        setting = Setting()
        assert await setting.sync(port("web"), port("db", cluster_ip="10.96.20.2"))
        before, number = setting.rules(), setting.local_port("web")
        setting.kernel.fault = fault
        assert not await setting.sync(port("dns", cluster_ip="10.96.20.3"))
        assert setting.metrics.failures.samples[("IPv4",)] == 1
        assert listening(number), "rules may still lead there"
        if fault == "before":
            assert setting.rules() == before
        setting.kernel.fault = ""
        assert await setting.sync(port("db", cluster_ip="10.96.20.2"))
        assert {rule.text.split('"')[1] for rule in setting.rules()} == {"px/db"}
        assert not listening(number)
        await setting.backend.close()

    run(scenario)


def test_ports_of_other_programs_are_left_to_them_until_they_are_free(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        setting = Setting()
        with socket.socket() as theirs:
            theirs.bind(("0.0.0.0", 0))
            theirs.listen(1)
            number = theirs.getsockname()[1]
            web = port("web", node_port=number, external_ips=("127.0.0.1", "198.51.100.7"))
            web = replace(web, port=number)
            assert await setting.sync(web)
            shown = str(setting.rules())
            assert "KUBE-NODEPORT-HOST" not in shown and "127.0.0.1/32" not in shown and "198.51.100.7/32" in shown
            assert f"can't open node port {number}/tcp for px/web" in caplog.text
            assert f"can't open 127.0.0.1 {number}/tcp for px/web" in caplog.text
        assert await setting.sync(replace(web, external_ips=()), reread=True)
        assert "KUBE-NODEPORT-HOST" in str(setting.rules())
        with socket.socket() as late, pytest.raises(OSError, match="Address already in use"):
            late.bind(("0.0.0.0", number))
        await setting.sync()
        with socket.socket() as late:
            late.bind(("0.0.0.0", number))
        await setting.backend.close()

    run(scenario)


def test_a_kernel_without_physdev_serves_all_the_same() -> None:
    async def scenario() -> None:
        setting = Setting()
        setting.kernel.fault = "physdev"
        web = port("web", external_ips=("198.51.100.7",))
        assert not await setting.sync(web)
        assert await setting.sync(web)
        assert "198.51.100.7/32" in str(setting.rules()) and "10.96.20.1/32" in str(setting.rules())
        await setting.backend.close()

    run(scenario)


def test_a_range_of_ports_that_is_used_up_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]

    async def scenario() -> None:
        setting = Setting(Options(userspace=Userspace("127.0.0.1", PortRange(free, 1))))
        web, db = port("web"), port("db", cluster_ip="10.96.20.2")
        assert await setting.sync(web)
        assert setting.local_port("web") == free
        assert await setting.sync(web, db)
        assert "failed to allocate proxy port for service px/db" in caplog.text
        assert await setting.sync(db, reread=True)
        assert await setting.sync(db, reread=True)
        assert setting.local_port("db") == free
        await setting.backend.close()

    run(scenario)


def test_after_any_changes_and_faults_and_in_another_process_the_kernel_holds_what_is_desired() -> None:
    chance = random.Random(2026)

    async def scenario() -> None:
        setting = Setting(replace(OPTIONS, node_port_addresses=None))
        for _ in range(150):
            ports = [replace(p, node_port=0) for p in random_ports(chance)]
            what = chance.random()
            setting.kernel.fault = "before" if what < 0.1 else "after" if what < 0.2 else ""
            if 0.2 <= what < 0.3:
                await setting.backend.close()
                setting.backend, setting.told = setting.process(), {}
            good = await setting.sync(*ports, reread=what < 0.4)
            if not good:
                assert setting.kernel.fault
                continue
            portals = setting.backend._portals
            assert {p.full_name for p in ports if p.protocol != "sctp"} == {name for name, _ in portals}
            desired = {rule for portal in portals.values() for rule in portal.rules}
            assert setting.rules() == desired and repair(setting.kernel.state, desired) == ""
            assert all(listening(p.relay.port) for (_, protocol), p in portals.items() if protocol == "tcp")
        await setting.backend.close()

    run(scenario)
