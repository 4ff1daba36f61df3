"""Balancers follow the control-plane nodes."""

from __future__ import annotations

from pybernetes.api.types import core_v1, meta_v1
from pybernetes.cluster.assembly.watcher import described
from pybernetes.cluster.assembly.work import hosts_of
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
