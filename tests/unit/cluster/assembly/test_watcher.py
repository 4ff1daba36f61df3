"""Balancers follow the control-plane nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from pybernetes.api.types import core_v1, meta_v1
from pybernetes.client.memory import MemoryClient
from pybernetes.client.rest import RESTClient
from pybernetes.cluster.assembly.probing import Prober
from pybernetes.cluster.assembly.watcher import Follower, described
from pybernetes.cluster.assembly.work import hosts_of
from pybernetes.deploy import objects
from pybernetes.deploy.daemons.model import BALANCER, MASTER, WORKER, Balancer, Host

THIS = Host("m1", "10.0.0.11", (MASTER, BALANCER), "eth0")


def node(name: str, address: str) -> core_v1.Node:
    addresses = [core_v1.NodeAddress(type="Hostname", address=name)]
    if address:
        addresses.append(core_v1.NodeAddress(type="InternalIP", address=address))
    return core_v1.Node(metadata=meta_v1.ObjectMeta(name=name), status=core_v1.NodeStatus(addresses=addresses))


def test_files_name_all_masters_and_this_one_in_any_case() -> None:
    balancer = Balancer(port=8443, virtual_address="10.0.0.10")
    masters = hosts_of([node("m2", "10.0.0.12"), node("nowhere", "")])
    nginx, keepalived = described(balancer, THIS, 6443, masters)
    assert "server 10.0.0.12:6443" in nginx.files[0].text and "server 10.0.0.11:6443" in nginx.files[0].text
    peers = keepalived.files[0].text.partition("unicast_peer {")[2].partition("}")[0].split()
    assert peers == ["10.0.0.12"]
    assert "dev eth0" in keepalived.files[0].text
    assert nginx.reload and keepalived.reload


def test_a_workers_own_balancer_has_the_masters_alone() -> None:
    worker = Host("w1", "10.0.0.21", (WORKER,))
    chosen = Balancer(port=8443, on_nodes=True)
    (nginx,) = described(chosen, worker, 6443, hosts_of([node("m1", "10.0.0.11"), node("m2", "10.0.0.12")]))
    text = nginx.files[0].text
    assert [line.split()[1] for line in text.splitlines() if "max_fails" in line] == [
        "10.0.0.11:6443",
        "10.0.0.12:6443",
    ]
    assert "listen 127.0.0.1:8443;" in text and "0.0.0.0" not in text


def test_a_list_with_this_host_has_it_once() -> None:
    (nginx,) = described(Balancer(port=8443), THIS, 6443, hosts_of([node("m1", "10.0.0.11")]))
    assert nginx.files[0].text.count("server 10.0.0.11:6443") == 1


def test_who_does_not_answer_gets_no_connections_and_may_hold_the_address() -> None:
    balancer = Balancer(port=8443, virtual_address="10.0.0.10")
    masters = hosts_of([node("m1", "10.0.0.11"), node("m2", "10.0.0.12"), node("m3", "10.0.0.13")])
    nginx, keepalived = described(balancer, THIS, 6443, masters, {"m1", "m2"})
    servers = [line for line in nginx.files[0].text.splitlines() if line.startswith("        server ")]
    assert [line.split()[1] for line in servers] == ["10.0.0.13:6443"]
    assert "10.0.0.12" in keepalived.files[0].text


class Silent(Prober):
    """One of the masters does not answer."""

    def __init__(self) -> None:
        super().__init__(6443, None)

    async def look(self, masters: Sequence[Host]) -> frozenset[str]:
        return frozenset(host.name for host in masters if host.name == "m2")


def test_both_lists_and_looks_are_told_and_only_once() -> None:
    async def main() -> list[tuple[list[str], frozenset[str]]]:
        client, told = MemoryClient(), list[tuple[list[str], frozenset[str]]]()
        for one in (node("m1", "10.0.0.11"), node("m2", "10.0.0.12")):
            one.metadata.labels[objects.LABEL_CONTROL_PLANE] = ""
            await client.create(one)
        both = asyncio.Event()

        def changed(masters: Sequence[Host], out: frozenset[str]) -> None:
            told.append(([host.name for host in masters], out))
            if len(told) == 2:
                loop.call_soon_threadsafe(both.set)

        loop = asyncio.get_running_loop()
        running = asyncio.create_task(Follower(cast("RESTClient", client), Silent(), changed).run())
        async with asyncio.timeout(10):
            await both.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return told

    assert asyncio.run(main()) == [(["m1", "m2"], frozenset()), (["m1", "m2"], frozenset({"m2"}))]
