"""Packets between pods of three hosts, and what flannel has written in the kernel, in files and in nodes."""

from __future__ import annotations

import json
import re
import shutil
import signal
from ipaddress import IPv4Network
from typing import Any
from urllib.parse import urlencode

import pytest
import uvloop

from pybernetes.api import types
from pybernetes.api.types import core_v1
from pybernetes.client.http import HTTPClient

from .flannelhosts import (
    HOSTS,
    SERVER,
    WAIT_SECONDS,
    Hosts,
    Monitor,
    ask,
    etcd_server,
    eventually,
    hosts,
    set_mtu,
    true,
)

__all__ = ["hosts"]


def test_vxlan(hosts: Hosts) -> None:
    hosts.configure({"Type": "vxlan"})
    hosts.start_all()
    eventually(hosts.all_reach_all)

    # What the host tells: file, annotations, condition.
    assert hosts.subnet_file(1).read_text() == (
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )
    node = hosts.node(1)
    mac = re.search(r"link/ether (\S+)", hosts.kernel(1)["link"])
    assert mac is not None and {
        name.partition("/")[2]: value
        for name, value in node.metadata.annotations.items()
        if name.startswith("flannel.alpha.coreos.com/")
    } == {
        "backend-data": f'{{"VNI":1,"VtepMAC":"{mac[1]}"}}',
        "backend-type": "vxlan",
        "kube-subnet-manager": "true",
        "public-ip": "10.79.0.1",
    }
    eventually(
        lambda: true(
            [(c.type, c.status, c.reason, c.message) for c in hosts.node(1).status.conditions]
            == [("NetworkUnavailable", "False", "FlannelIsUp", "Flannel is running on this node")]
        )
    )

    # As large as the MTU allows: 28 bytes are IP and UDP.
    set_mtu(hosts, 1450)
    hosts.all_reach_all(1450 - 28)

    # Killed and started again: nothing changes, and packets flow meanwhile.
    before = {number: hosts.kernel(number) for number in HOSTS}
    hosts.kill(1)
    hosts.all_reach_all()
    assert hosts.kernel(1) == before[1]
    told = {number: Monitor(hosts.host[number]) for number in (1, 2)}
    hosts.start(1)
    hosts.all_reach_all()
    assert {number: hosts.kernel(number) for number in HOSTS} == before
    assert "Deleted" not in told[1].end()
    assert told[2].end() == ""

    # A host that is gone takes its entries along; the others stay.
    hosts.kill(3)
    hosts.server.ask(lambda client: client.delete(core_v1.Node, "host3"))

    def forgotten() -> None:
        after = hosts.kernel(1)
        for kind in ("route", "neighbour", "forwarding"):
            assert "10.244.3." not in after[kind] and "10.79.0.3" not in after[kind]
            assert after[kind] != ""

    eventually(forgotten)
    hosts.reach(1, 2)


def test_a_host_that_went_while_nobody_looked(hosts: Hosts) -> None:
    hosts.configure({"Type": "vxlan"})
    hosts.start_all()
    eventually(hosts.all_reach_all)
    hosts.kill(1, signal.SIGTERM)
    hosts.kill(3)
    hosts.server.ask(lambda client: client.delete(core_v1.Node, "host3"))
    hosts.start(1)
    after = hosts.kernel(1)
    assert not re.search(r"10\.244\.3\.|10\.79\.0\.3", "".join(after[k] for k in ("route", "neighbour", "forwarding")))
    hosts.reach(1, 2)


def test_host_gw(hosts: Hosts) -> None:
    hosts.configure({"Type": "host-gw"})
    hosts.start_all()
    eventually(hosts.all_reach_all)
    assert "10.244.2.0/24 via 10.79.0.2 dev eth0" in hosts.kernel(1)["route"]
    assert hosts.node(1).metadata.annotations["flannel.alpha.coreos.com/backend-data"] == "null"
    assert "FLANNEL_MTU=1500\n" in hosts.subnet_file(1).read_text()
    hosts.all_reach_all(1500 - 28)
    before = hosts.kernel(1)
    hosts.kill(1)
    hosts.all_reach_all()
    hosts.start(1)
    assert hosts.kernel(1) == before
    hosts.kill(3)
    hosts.server.ask(lambda client: client.delete(core_v1.Node, "host3"))
    eventually(lambda: true("10.244.3.0" not in hosts.kernel(1)["route"]))
    hosts.reach(1, 2)


def test_direct_routing(hosts: Hosts) -> None:
    hosts.configure({"Type": "vxlan", "DirectRouting": True})
    hosts.start_all()
    eventually(hosts.all_reach_all)
    assert "10.244.2.0/24 via 10.79.0.2 dev eth0" in hosts.kernel(1)["route"]
    assert hosts.kernel(1)["forwarding"] == ""


def test_what_others_take_away_comes_again(hosts: Hosts) -> None:
    """Rules, routes and the device itself; what is not flannel's stays as it is."""
    hosts.configure({"Type": "vxlan"})
    hosts.host[1].run(
        "iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j RETURN; iptables -A FORWARD -s 192.0.2.0/24 -j DROP"
    )
    for number in HOSTS:
        hosts.start(number, "--iptables-resync=1")
    eventually(hosts.all_reach_all)
    before = hosts.kernel(1)
    hosts.host[1].run("iptables -t nat -D FLANNEL-POSTRTG 2; iptables -F FLANNEL-FWD; ip link del flannel.1")
    eventually(lambda: true(hosts.kernel(1)["rules"] == before["rules"]))
    eventually(hosts.all_reach_all)
    after = hosts.kernel(1)
    assert {k: after[k] for k in ("neighbour", "forwarding", "rules")} == {
        k: before[k] for k in ("neighbour", "forwarding", "rules")
    }
    assert "-A POSTROUTING -s 192.0.2.0/24 -j RETURN" in after["rules"]


def test_masquerade_hides_pods_from_the_world_alone(hosts: Hosts) -> None:
    hosts.configure({"Type": "vxlan"})
    hosts.start_all()
    eventually(hosts.all_reach_all)
    # The world knows no way to pods: it sees the host in their place, and answers that.
    assert ask(hosts.pod[1], SERVER) == "10.79.0.1"
    assert ask(hosts.pod[1], "10.244.2.10") == "10.244.1.10"
    # The host itself asks as its end of the tunnel.
    assert ask(hosts.host[1], "10.244.2.10") == "10.244.1.0"


@pytest.mark.skipif(shutil.which("etcd") is None, reason="needs etcd")
def test_leases_in_etcd(hosts: Hosts) -> None:
    """Hosts take their subnets themselves: here those of their pods, since they had them before."""

    def keys(method: str, path: str, **fields: str) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            client = HTTPClient(url)
            try:
                form = [("Content-Type", "application/x-www-form-urlencoded")]
                body = urlencode(fields).encode()
                answer = await client.request(method, f"/v2/keys/coreos.com/network{path}", form, body)
                document: dict[str, Any] = json.loads(answer.body)
                return document
            finally:
                await client.close()

        try:
            return hosts.switch.inside(lambda: uvloop.run(ask()))
        except ConnectionError as error:
            raise AssertionError(str(error)) from error

    with etcd_server(hosts) as (url, _):
        config = json.dumps({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}})
        eventually(lambda: true(keys("PUT", "/config", value=config)))
        for number in HOSTS:
            lease = json.dumps({"PublicIP": f"10.79.0.{number}"})
            keys("PUT", f"/subnets/10.244.{number}.0-24", value=lease, ttl="100")
            hosts.start(number, f"--etcd-endpoints=http://127.0.0.1:4001,{url}")
        eventually(hosts.all_reach_all)
        node = keys("GET", "/subnets/10.244.2.0-24")["node"]
        mac = re.search(r"link/ether (\S+)", hosts.kernel(2)["link"])
        assert mac is not None and json.loads(node["value"]) == {
            "PublicIP": "10.79.0.2",
            "BackendType": "vxlan",
            "BackendData": {"VNI": 1, "VtepMAC": mac[1]},
        }
        assert 24 * 3600 - 100 < node["ttl"] <= 24 * 3600
        before = hosts.kernel(1)
        hosts.kill(1)
        hosts.all_reach_all()
        hosts.start(1, f"--etcd-endpoints={url}")
        assert hosts.kernel(1) == before

        # A lease that is taken away: its host ends, the others forget it.
        keys("DELETE", "/subnets/10.244.3.0-24")
        assert hosts.daemons.pop(3).wait(WAIT_SECONDS) == 1
        assert "Lease has been revoked" in hosts.log(3)
        eventually(lambda: true("10.244.3.0" not in "".join(hosts.kernel(1).values())))
        hosts.reach(1, 2)


def test_ranges_of_the_controller_manager(hosts: Hosts) -> None:
    """A node without a range gets one, and its flanneld, which waits for that by being started again, takes it."""
    hosts.configure({"Type": "host-gw"})
    hosts.server.ask(lambda client: client.delete(core_v1.Node, "host1"))
    hosts.server.ask(lambda client: client.create(types.decode(b'{"metadata": {"name": "host1"}}', core_v1.Node)))
    hosts.spawn(1)
    assert hosts.daemons.pop(1).wait(WAIT_SECONDS) == 1
    assert 'node "host1" pod cidr not assigned' in hosts.log(1)
    hosts.run_beside(
        1,
        "kube-controller-manager",
        f"--kubeconfig={hosts.administrators_kubeconfig()}",
        "--controllers=nodeipam",
        "--allocate-node-cidrs",
        "--cluster-cidr=10.244.0.0/16",
    )
    eventually(lambda: true(hosts.node(1).spec.pod_cidr))
    subnet = IPv4Network(hosts.node(1).spec.pod_cidr)
    assert subnet.subnet_of(IPv4Network("10.244.0.0/16")) and str(subnet) not in ("10.244.2.0/24", "10.244.3.0/24")
    hosts.start(1)
    assert f"FLANNEL_SUBNET={subnet[1]}/24\n" in hosts.subnet_file(1).read_text()
    hosts.start(2)
    eventually(lambda: true(f"{subnet} via 10.79.0.1 dev eth0" in hosts.kernel(2)["route"]))
