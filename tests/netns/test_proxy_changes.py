"""Every mode after a thousand changes, and after its process was killed in the middle of one: the kernel holds what is desired."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import uvloop

from pybernetes.net.iptables import IPTables
from pybernetes.net.nftables import NFTables
from pybernetes.proxy.backends import Backend, Change, Closing, Userspace, mode
from pybernetes.proxy.backends.iptables import rules as iptables_rules
from pybernetes.proxy.backends.iptables.ruleset import desired
from pybernetes.proxy.backends.iptables.tables import parse, plan
from pybernetes.proxy.backends.nftables import rules as nftables_rules
from pybernetes.proxy.backends.nftables.listing import read
from pybernetes.proxy.backends.nftables.ruleset import RuleSet
from pybernetes.proxy.backends.userspace.backend import UserspaceBackend
from pybernetes.proxy.backends.userspace.rules import repair
from pybernetes.proxy.cleanup import remove
from pybernetes.proxy.metrics import Metrics
from pybernetes.proxy.model import Endpoint
from tests.unit.proxy.objects import port

from .changing import CHANGES_A_SYNC, OPTIONS, Services, changed, sync
from .namespaces import Namespace

CHANGES, KILLS = 1000, 3
THEIRS = "*nat\\n:MINE - [0:0]\\n-A MINE -j RETURN\\n-A OUTPUT -j MINE\\nCOMMIT\\n*filter\\n-A INPUT -i nowhere -j DROP\\nCOMMIT\\n"
FLAGS = {name: getattr(OPTIONS, name) for name in OPTIONS.__dataclass_fields__}


async def iptables_differs(services: Services, backend: Backend) -> str:
    ports = [port for own in services.values() for port in own]
    return plan(parse(await IPTables().save()), desired(ports, iptables_rules.Options(**FLAGS)).tables)


async def nftables_differs(services: Services, backend: Backend) -> str:
    chosen = nftables_rules.Options(**FLAGS)
    kinds = [" ".join((line.split()[0], name)) for name, line in nftables_rules.containers(chosen).items()]
    output = await NFTables("IPv4", nftables_rules.TABLE).listing(kinds)
    assert output is not None
    with output:
        script = RuleSet(chosen).whole(services, read(output), first=False)
    script.flushed = [chain for chain in script.flushed if chain not in script.stale]  # they wait to be deleted
    return "\n".join(script.lines(chosen))


async def userspace_differs(services: Services, backend: Backend) -> str:
    assert isinstance(backend, UserspaceBackend)
    portals = backend._portals.values()
    assert {p.port for p in portals} == {p for own in services.values() for p in own if p.protocol != "sctp"}
    return repair(parse(await IPTables().save()), (rule for portal in portals for rule in portal.rules))


Differs = Callable[[Services, Backend], Awaitable[str]]
MODES: dict[str, Differs] = {"iptables": iptables_differs, "userspace": userspace_differs}
if shutil.which("nft"):
    MODES["nftables"] = nftables_differs
every_mode = pytest.mark.parametrize("name", MODES)


def own_rules(node: Namespace) -> list[str]:
    """Those that are somebody else's."""
    return [line for line in node.run("iptables-save").splitlines() if "MINE" in line or "nowhere" in line]


async def finished(node: Namespace, backend: Backend) -> None:
    if isinstance(backend, Closing):
        await backend.close()
    await remove()
    saved = node.run("iptables-save")
    assert "KUBE-" not in saved


@every_mode
def test_a_thousand_changes(name: str, node: Namespace) -> None:
    chance = random.Random(f"2026 {name}")
    node.run(f"printf '{THEIRS}' | iptables-restore --noflush")
    theirs = own_rules(node)
    assert len(theirs) == 4

    async def scenario() -> None:
        backend = (await mode(name).backends(Metrics()))[0]
        services = Services()
        for number in range(CHANGES // CHANGES_A_SYNC):
            following = changed(services, chance)
            assert await sync(backend, services, following, reread=number == 0)
            services = following
            if number % 10 == 9:
                assert await MODES[name](services, backend) == "", number
        assert own_rules(node) == theirs
        await finished(node, backend)
        assert own_rules(node) == theirs

    node.inside(lambda: uvloop.run(scenario()))


@every_mode
def test_a_successor_repairs_what_a_killed_one_has_left(name: str, node: Namespace) -> None:
    chance = random.Random(f"2027 {name}")
    node.run(f"printf '{THEIRS}' | iptables-restore --noflush")
    theirs = own_rules(node)

    def killed(seed: int) -> None:
        """After some syncs, and then somewhere within one."""
        command = ["ip", "netns", "exec", node.name, sys.executable, "-m", "tests.netns.changing", name, str(seed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 5)):
                assert process.stdout.readline() == "True\n"
            time.sleep(chance.random() * 0.1)
            process.kill()

    async def scenario() -> None:
        for number in range(KILLS):
            killed(number)
            backend = (await mode(name).backends(Metrics()))[0]
            services = changed(changed(Services(), chance), chance)
            assert await sync(backend, Services(), services, reread=True)
            assert await MODES[name](services, backend) == "", number
            assert own_rules(node) == theirs
            if isinstance(backend, Closing):
                await backend.close()
        await finished(node, backend)

    node.inside(lambda: uvloop.run(scenario()))


def test_userspace_over_ipv6(node: Namespace) -> None:
    """As the kernel prints it, and with packets: of this node to a cluster IP."""
    node.run("ip addr add 2001:db8::7/128 dev lo nodad; ip -6 route add fd00:96::/112 dev lo")
    web = port("web", cluster_ip="fd00:96::10", port=80, node_port=30080)
    dns = port("dns", cluster_ip="fd00:96::11", port=53, protocol="udp")

    async def scenario() -> None:
        async def named(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"here")
            writer.close()

        server = await asyncio.start_server(named, "::1", 0)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as answering:
            answering.bind(("::1", 0))
            answering.setblocking(False)
            loop = asyncio.get_running_loop()

            def answer() -> None:
                data, relay = answering.recvfrom(100)
                answering.sendto(data + b"!", relay)

            loop.add_reader(answering, answer)
            at = {"tcp": server.sockets[0].getsockname()[1], "udp": answering.getsockname()[1]}
            ports = [replace(p, endpoints=(Endpoint("::1", at[p.protocol], True),)) for p in (web, dns)]
            services = {(p.namespace, p.service): [p] for p in ports}
            backend = (await mode("userspace").backends(Metrics()))[1]
            chosen = replace(OPTIONS, node_ip="2001:db8::7", userspace=Userspace())
            try:
                changes = {name: Change([], own) for name, own in services.items()}
                assert await backend.sync(changes, services, chosen, reread=True)
                assert isinstance(backend, UserspaceBackend)
                rules = [rule for portal in backend._portals.values() for rule in portal.rules]
                assert len(rules) == 7 and repair(parse(await IPTables("IPv6").save()), rules) == ""
                for address, number in (("fd00:96::10", 80), ("2001:db8::7", 30080), ("::1", 30080)):
                    reader, writer = await asyncio.open_connection(address, number)
                    assert await reader.read(-1) == b"here"
                    writer.close()
                with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
                    asking.setblocking(False)
                    asking.connect(("fd00:96::11", 53))
                    asking.send(b"?")
                    assert await loop.sock_recv(asking, 100) == b"?!"
            finally:
                server.close()
                loop.remove_reader(answering)
                await finished(node, backend)

    async def within() -> None:
        async with asyncio.timeout(60):
            await scenario()

    node.inside(lambda: uvloop.run(within()))
