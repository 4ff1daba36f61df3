"""Bad days of three hosts with flannel: a host is cut off, a daemon is killed, etcd is away. What is lost of a stream of datagrams is counted."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
import uvloop

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.flannel.backends.udp import UDPBackend
from pybernetes.flannel.config import BackendConfig
from pybernetes.flannel.interface import External
from pybernetes.net.routes import Router
from pybernetes.store.backends import Location
from pybernetes.store.etcd.store import EtcdStore, open_etcd

from .flannelhosts import (
    ECHO,
    HOSTS,
    WAIT_SECONDS,
    Hosts,
    datagrams,
    etcd_server,
    eventually,
    hosts,
    refusal,
    set_mtu,
    true,
)
from .namespaces import Namespace

__all__ = ["hosts"]

BETWEEN_SECONDS = 0.01
LOST_SECONDS = 5.0
SERVICE = "10.96.0.20"


class Stream(threading.Thread):
    """One datagram after the other from one pod to another and back, as long as it is open; late is not lost."""

    def __init__(self, where: Namespace, address: str) -> None:
        super().__init__()
        self._socket = where.socket(socket.SOCK_DGRAM)
        self._socket.connect((address, ECHO))
        self._socket.settimeout(LOST_SECONDS)
        self._end = threading.Event()
        self.sent = self.lost = 0

    def run(self) -> None:
        while not self._end.wait(BETWEEN_SECONDS):
            self.sent += 1
            try:
                self._socket.send(b"x" * 64)
                self._socket.recv(100)
            except OSError:
                self.lost += 1

    def __enter__(self) -> Stream:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self.join()
        self._socket.close()


@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
def test_a_daemon_that_is_killed_and_a_host_that_is_cut_off(hosts: Hosts, backend: str) -> None:
    hosts.configure({"Type": backend})
    hosts.start_all()
    eventually(hosts.all_reach_all)
    with Stream(hosts.pod[1], "10.244.2.10") as stream:
        for number in (1, 2):
            hosts.kill(number)
        time.sleep(0.5)
        for number in (1, 2):
            hosts.start(number)
        time.sleep(0.2)
    assert stream.lost == 0 and stream.sent > 20

    reach_by_service(hosts)
    before = {number: hosts.kernel(number) for number in HOSTS}
    hosts.switch.run("ip link set h2 down")
    with pytest.raises(AssertionError):
        hosts.reach(1, 2)
    hosts.reach(1, 3)
    hosts.switch.run("ip link set h2 up")
    eventually(hosts.all_reach_all)
    assert {number: hosts.kernel(number) for number in HOSTS} == before


def reach_by_service(hosts: Hosts) -> None:
    """kube-proxy's rules on host 1 send to a pod of host 2."""
    port = {"name": "echo", "port": 53, "targetPort": ECHO, "protocol": "UDP"}
    service = {"metadata": {"name": "s", "namespace": "default"}, "spec": {"clusterIP": SERVICE, "ports": [port]}}
    slice_ = {
        "metadata": {"name": "s-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.2.10"], "conditions": {"ready": True}, "nodeName": "host2"}],
        "ports": [{"name": "echo", "port": ECHO, "protocol": "UDP"}],
    }
    for body, kind in ((service, core_v1.Service), (slice_, discovery_v1.EndpointSlice)):
        made = types.decode(json.dumps(body).encode(), kind)
        hosts.server.ask(lambda client, made=made: client.create(made))
    hosts.run_beside(
        1,
        "kube-proxy",
        f"--kubeconfig={hosts.administrators_kubeconfig()}",
        "--hostname-override=host1",
        "--cluster-cidr=10.244.0.0/16",
    )

    def through_the_service() -> None:
        with hosts.pod[1].socket(socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.5)
            try:
                asking.sendto(b"x" * 56, (SERVICE, 53))
                answer, peer = asking.recvfrom(100)
            except OSError as error:
                raise AssertionError(str(error)) from error
        assert answer.decode().strip() == "10.244.1.10" and peer == (SERVICE, 53)

    eventually(through_the_service)


def test_udp(hosts: Hosts) -> None:
    hosts.configure({"Type": "udp"})
    hosts.start_all()
    eventually(hosts.all_reach_all)
    route = hosts.kernel(1)["route"]
    assert "10.244.0.0/16 dev flannel0" in route and "10.244.2.0" not in route
    assert "FLANNEL_MTU=1472\n" in hosts.subnet_file(1).read_text()
    told = hosts.node(1).metadata.annotations
    assert (
        told["flannel.alpha.coreos.com/backend-type"] == ""
        and told["flannel.alpha.coreos.com/public-ip"] == "10.79.0.1"
    )
    set_mtu(hosts, 1472)
    hosts.all_reach_all(1472 - 28)

    # A subnet of no host: the sender hears of it at once, from this host's end of the tunnel.
    assert refusal(hosts.pod[1], "10.244.77.10") == errno.ENETUNREACH

    # Each end of the tunnel is a hop, as each host is.
    def with_ttl(ttl: int) -> None:
        with datagrams(hosts.pod[1]) as asking, datagrams(hosts.pod[2]) as asked:
            asked.bind(("", ECHO + 1))
            asked.settimeout(0.5)
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            asking.sendto(b"x", ("10.244.2.10", ECHO + 1))
            asked.recv(1)

    with_ttl(5)
    with pytest.raises(OSError):
        with_ttl(4)

    # The device goes with the process, and comes with it.
    hosts.kill(1)
    hosts.reach(2, 3)
    with pytest.raises(AssertionError):
        hosts.reach(1, 2)
    hosts.start(1)
    eventually(hosts.all_reach_all)
    reach_by_service(hosts)
    hosts.kill(3)
    hosts.server.ask(lambda client: client.delete(core_v1.Node, "host3"))

    eventually(lambda: true(refusal(hosts.pod[1], "10.244.3.10") == errno.ENETUNREACH))


def test_the_device_of_udp_is_made_again(node: Namespace) -> None:
    node.run("ip link add eth0 type bridge; ip addr add 10.79.0.1/24 dev eth0; ip link set eth0 up")
    own, network = IPv4Network("10.244.1.0/24"), IPv4Network("10.244.0.0/16")
    address = IPv4Address("10.79.0.1")

    def work() -> None:
        backend = UDPBackend(BackendConfig("udp"), External(1, "eth0", 1500, address, address))
        with Router() as router:
            assert backend.ensure(router, own, network) is False and router.index("flannel0")
            router.delete(router.index("flannel0"))
            eventually(lambda: true(not backend.alive))
            backend.ensure(router, own, network)
            assert backend.alive and "10.244.0.0/16 dev flannel0" in node.run("ip route")
            assert "mtu 1472" in node.run("ip link show flannel0")
            backend.close()
            assert not router.index("flannel0")

    node.inside(work)


@pytest.mark.skipif(shutil.which("etcd") is None, reason="needs etcd")
def test_etcd_is_away(hosts: Hosts) -> None:
    """Leases in the v3 API. While etcd does not answer packets flow; what happened meanwhile is heard of afterwards."""

    def store(work: Callable[[EtcdStore], Any]) -> Any:
        async def asked() -> Any:
            opened = await open_etcd(Location((url,)))
            assert isinstance(opened, EtcdStore)
            try:
                return await work(opened)
            finally:
                await opened.close()

        return hosts.switch.inside(lambda: uvloop.run(asked()))

    with etcd_server(hosts) as (url, etcd):
        config = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
        prefix = "/coreos.com/network"
        store(lambda s: s.put(f"{prefix}/config", json.dumps(config).encode()))
        for number in HOSTS:
            value = json.dumps({"PublicIP": f"10.79.0.{number}"}).encode()
            # The third is reserved: it stays without an end.
            store(
                lambda s, number=number, value=value: s.put(
                    f"{prefix}/subnets/10.244.{number}.0-24", value, ttl=0 if number == 3 else 100
                )
            )
            hosts.start(number, f"--etcd-endpoints={url}", "--etcd-api=v3")
        eventually(hosts.all_reach_all)
        items = {
            item.key.rpartition("/")[2]: json.loads(item.value)
            for item in store(lambda s: s.list(f"{prefix}/subnets/")).items
        }
        assert items["10.244.1.0-24"] == {
            "PublicIP": "10.79.0.1",
            "PublicIPv6": None,
            "BackendType": "vxlan",
            "BackendData": items["10.244.1.0-24"]["BackendData"],
        }
        reserved = store(lambda s: s.without_lease(f"{prefix}/subnets/", 0))
        assert reserved == {f"{prefix}/subnets/10.244.3.0-24"}

        before = hosts.kernel(1)
        with Stream(hosts.pod[1], "10.244.2.10") as stream:
            etcd.send_signal(signal.SIGSTOP)
            hosts.kill(3)
            time.sleep(7)  # more than a watch waits for a member
            etcd.send_signal(signal.SIGCONT)
            time.sleep(0.5)
        assert stream.lost == 0 and hosts.kernel(1) == before
        hosts.reach(1, 3)  # its daemon is gone, its device is not

        # What changes when etcd is back is heard of: one lease goes, its host ends, another comes.
        data = {"VNI": 1, "VtepMAC": "02:00:00:00:00:09"}
        added = {"PublicIP": "10.79.0.9", "BackendType": "vxlan", "BackendData": data}
        store(lambda s: s.delete(f"{prefix}/subnets/10.244.3.0-24"))
        store(lambda s: s.put(f"{prefix}/subnets/10.244.9.0-24", json.dumps(added).encode(), ttl=60))
        eventually(lambda: true("10.244.3.0" not in hosts.kernel(1)["route"], hosts.log(1)))
        eventually(lambda: true("10.244.9.0/24" in hosts.kernel(1)["route"], hosts.log(1)))
        store(lambda s: s.delete(f"{prefix}/subnets/10.244.2.0-24"))
        assert hosts.daemons.pop(2).wait(WAIT_SECONDS) == 1 and "Lease has been revoked" in hosts.log(2)
