"""Packets between pods of three hosts: an API server, a flanneld each, and pods, each in its namespace.

The hosts share a bridge, on which they also find the API server; a pod is a veth on its host's bridge cni0, as the CNI plug-in makes it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import uvloop
import yaml

from pybernetes.api import types
from pybernetes.api.types import core_v1, rbac_v1
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.testing.cluster import TestCluster

from .namespaces import Namespace, created

HOSTS = (1, 2, 3)
SERVER = "10.79.0.254"
WAIT_SECONDS = 20.0
PORT = 6443
ECHO = 7000
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_RECVERR = 10, 2, 11  # of <netinet/in.h>
USER = "system:serviceaccount:kube-flannel:flannel"
# What kube-flannel.yml of v0.11 grants, no more.
ROLE = types.decode(
    json.dumps(
        {
            "metadata": {"name": "flannel"},
            "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]},
                {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
            ],
        }
    ).encode(),
    rbac_v1.ClusterRole,
)
BINDING = types.decode(
    json.dumps(
        {
            "metadata": {"name": "flannel"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "flannel"},
            "subjects": [{"kind": "ServiceAccount", "name": "flannel", "namespace": "kube-flannel"}],
        }
    ).encode(),
    rbac_v1.ClusterRoleBinding,
)


class Server(threading.Thread):
    """An API server on a thread in the namespace of the bridge, reached at SERVER; `ask` runs something on its loop."""

    def __init__(self, folder: Path, switch: Namespace) -> None:
        super().__init__()
        self._folder, self._switch = folder, switch
        self._up, self._end = threading.Event(), asyncio.Event()
        self.kubeconfig = folder / "hosts.kubeconfig"

    def run(self) -> None:
        self._switch.inside(lambda: uvloop.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        cluster = TestCluster(self._folder)
        running = await cluster.start()
        self.client = RESTClient(load(running.kubeconfig))
        document = yaml.safe_load(Path(running.kubeconfig).read_text())
        for entry in document["clusters"]:
            entry["cluster"] |= {"server": f"https://{SERVER}:{PORT}", "tls-server-name": "localhost"}
        for entry in document["users"]:
            entry["user"]["as"] = USER
        self.kubeconfig.write_text(yaml.safe_dump(document))
        for grant in (ROLE, BINDING):
            await self.client.create(grant)
        local = int(running.url.rpartition(":")[2])
        doors = await asyncio.start_server(lambda r, w: _pass_on(r, w, local), SERVER, PORT)
        self._up.set()
        await self._end.wait()
        doors.close()
        await self.client.close()
        await cluster.stop()

    def ask(self, work: Callable[[RESTClient], Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work(self.client), self._loop).result(WAIT_SECONDS)

    def __enter__(self) -> Server:
        self.start()
        assert self._up.wait(WAIT_SECONDS)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(copy(reader, back), copy(there, writer))


def _datagrams(where: Namespace) -> socket.socket:
    """Their packets are never divided."""
    found = where.socket(socket.SOCK_DGRAM)
    found.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    return found


class Echo(threading.Thread):
    """Answers datagrams with as many bytes, which begin with the address of who asked."""

    def __init__(self, where: Namespace) -> None:
        super().__init__()
        self._socket = _datagrams(where)
        self._socket.bind(("", ECHO))

    def run(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(1 << 16)
            if not data:
                return
            self._socket.sendto(peer[0].encode().ljust(len(data)), peer)

    def __enter__(self) -> Echo:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self._socket.close()


def ask(where: Namespace, address: str, size: int = 56) -> str:
    """The address that the other end saw. AssertionError where no answer comes."""
    with _datagrams(where) as asking:
        asking.settimeout(0.5)
        try:
            asking.sendto(b"x" * size, (address, ECHO))
            answer = asking.recv(1 << 16)
        except OSError as error:
            raise AssertionError(f"{address} from {where.name}: {error}") from error
    assert len(answer) == size
    return answer.decode().strip()


@dataclass
class Hosts:
    """host N is 10.79.0.N, its pods are 10.244.N.0/24: pod N is 10.244.N.10."""

    folder: Path
    switch: Namespace
    host: dict[int, Namespace]
    pod: dict[int, Namespace]
    server: Server
    daemons: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def configure(self, backend: dict[str, Any]) -> None:
        text = json.dumps({"Network": "10.244.0.0/16", "Backend": backend})
        (self.folder / "net-conf.json").write_text(text)

    def start(self, number: int, *arguments: str) -> None:
        """A flanneld, as one process; ready when its subnet file is new."""
        file = self.subnet_file(number)
        file.unlink(missing_ok=True)
        command = ["ip", "netns", "exec", self.host[number].name, sys.executable, "-m", "pybernetes", "flanneld"]
        if not any(argument.startswith("--etcd") for argument in arguments):
            command += ["--kube-subnet-mgr", f"--kubeconfig-file={self.server.kubeconfig}"]
        command.append("--ip-masq")
        command += [f"--net-config-path={self.folder}/net-conf.json", f"--subnet-file={file}", "--iface=eth0"]
        with (self.folder / f"log{number}").open("ab") as log:
            self.daemons[number] = subprocess.Popen(
                [*command, *arguments], env={**os.environ, "NODE_NAME": f"host{number}"}, stderr=log
            )
        eventually(lambda: _true(file.exists(), self.log(number)))

    def run_beside(self, number: int, *command: str) -> None:
        """Another part in the host's namespace, as long as the hosts are there."""
        words = ["ip", "netns", "exec", self.host[number].name, sys.executable, "-m", "pybernetes", *command]
        with (self.folder / f"{command[0]}{number}.log").open("ab") as log:
            self.others.append(subprocess.Popen(words, stderr=log))

    def log(self, number: int) -> str:
        return (self.folder / f"log{number}").read_text()

    def subnet_file(self, number: int) -> Path:
        return self.folder / f"subnet{number}.env"

    def kill(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        daemon = self.daemons.pop(number)
        daemon.send_signal(how)
        daemon.wait(WAIT_SECONDS)

    def reach(self, source: int, target: int, size: int = 56) -> None:
        """One datagram there and one back, which may not be divided on the way; the pod sees the pod's address."""
        assert ask(self.pod[source], f"10.244.{target}.10", size) == f"10.244.{source}.10"

    def all_reach_all(self, size: int = 56) -> None:
        for source in HOSTS:
            for target in HOSTS:
                self.reach(source, target, size)

    def node(self, number: int) -> core_v1.Node:
        node: core_v1.Node = self.server.ask(lambda client: client.get(core_v1.Node, f"host{number}"))
        return node

    def kernel(self, number: int) -> dict[str, str]:
        """What flannel has written; rules in their order, the rest sorted."""
        commands = {
            "route": "ip route",
            "neighbour": "ip neigh show nud permanent dev flannel.1",
            "forwarding": "bridge fdb show dev flannel.1",
            "link": "ip link show flannel.1",
            "rules": "iptables-save | grep -v '^[#:]'",
        }
        outputs = {name: self.host[number].run(command, check=False) for name, command in commands.items()}
        unordered = ("route", "neighbour", "forwarding")
        return outputs | {name: "".join(sorted(outputs[name].splitlines(keepends=True))) for name in unordered}


def _true(value: object, text: str = "") -> None:
    assert value, text


def eventually(check: Callable[[], None]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def _host(switch: Namespace, number: int) -> Iterator[tuple[Namespace, Namespace]]:
    with created(f"host{number}") as host, created(f"pod{number}") as pod:
        switch.run(
            f"ip link add h{number} type veth peer name eth0 netns {host.name}; ip link set h{number} master br0 up"
        )
        host.run(
            f"ip addr add 10.79.0.{number}/24 dev eth0; ip link set eth0 up; ip route add default via {SERVER};"
            f"ip link add cni0 type bridge; ip addr add 10.244.{number}.1/24 dev cni0; ip link set cni0 up;"
            f"ip link add vpod type veth peer name eth0 netns {pod.name}; ip link set vpod master cni0 up;"
            "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1; iptables -P FORWARD DROP"
        )
        pod.run(
            f"ip addr add 10.244.{number}.10/24 dev eth0; ip link set eth0 up; ip route add default via 10.244.{number}.1"
        )
        with Echo(pod):
            yield host, pod


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with ExitStack() as stack:
        switch = stack.enter_context(created("switch"))
        switch.run(f"ip link add br0 type bridge; ip addr add {SERVER}/24 dev br0; ip link set br0 up")
        stack.enter_context(Echo(switch))
        pairs = {number: stack.enter_context(_host(switch, number)) for number in HOSTS}
        server = stack.enter_context(Server(tmp_path, switch))
        found = Hosts(
            tmp_path, switch, {n: h for n, (h, _) in pairs.items()}, {n: p for n, (_, p) in pairs.items()}, server
        )
        for number in HOSTS:
            body = {"metadata": {"name": f"host{number}"}, "spec": {"podCIDR": f"10.244.{number}.0/24"}}
            node = types.decode(types.encode(body), core_v1.Node)
            server.ask(lambda client, node=node: client.create(node))
        try:
            yield found
        finally:
            for number in list(found.daemons):
                found.kill(number)
            for process in found.others:
                process.kill()
                process.wait()


class _Monitor:
    """What the kernel tells of IPv4 routes and neighbours on flannel.1."""

    def __init__(self, where: Namespace) -> None:
        command = ["ip", "netns", "exec", where.name, "ip", "-4", "monitor", "route", "neigh", "dev", "flannel.1"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end(self) -> str:
        self._process.terminate()
        return self._process.communicate()[0]


def _mtu(hosts: Hosts, mtu: int) -> None:
    for number in HOSTS:
        hosts.host[number].run(f"ip link set vpod mtu {mtu}; ip link set cni0 mtu {mtu}")
        hosts.pod[number].run(f"ip link set eth0 mtu {mtu}")


def test_vxlan(hosts: Hosts) -> None:
    hosts.configure({"Type": "vxlan"})
    for number in HOSTS:
        hosts.start(number)
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
        lambda: _true(
            [(c.type, c.status, c.reason, c.message) for c in hosts.node(1).status.conditions]
            == [("NetworkUnavailable", "False", "FlannelIsUp", "Flannel is running on this node")]
        )
    )

    # As large as the MTU allows: 28 bytes are IP and UDP.
    _mtu(hosts, 1450)
    hosts.all_reach_all(1450 - 28)

    # Killed and started again: nothing changes, and packets flow meanwhile.
    before = {number: hosts.kernel(number) for number in HOSTS}
    hosts.kill(1)
    hosts.all_reach_all()
    assert hosts.kernel(1) == before[1]
    told = {number: _Monitor(hosts.host[number]) for number in (1, 2)}
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
    for number in HOSTS:
        hosts.start(number)
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
    for number in HOSTS:
        hosts.start(number)
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
    eventually(lambda: _true("10.244.3.0" not in hosts.kernel(1)["route"]))
    hosts.reach(1, 2)


def test_udp(hosts: Hosts) -> None:
    hosts.configure({"Type": "udp"})
    for number in HOSTS:
        hosts.start(number)
    eventually(hosts.all_reach_all)
    route = hosts.kernel(1)["route"]
    assert "10.244.0.0/16 dev flannel0" in route and "10.244.2.0" not in route
    assert "FLANNEL_MTU=1472\n" in hosts.subnet_file(1).read_text()
    told = hosts.node(1).metadata.annotations
    assert (
        told["flannel.alpha.coreos.com/backend-type"] == ""
        and told["flannel.alpha.coreos.com/public-ip"] == "10.79.0.1"
    )
    _mtu(hosts, 1472)
    hosts.all_reach_all(1472 - 28)

    # A subnet of no host: the sender hears of it at once, from this host's end of the tunnel.
    assert _refusal(hosts.pod[1], "10.244.77.10") == errno.ENETUNREACH

    # Each end of the tunnel is a hop, as each host is.
    def with_ttl(ttl: int) -> None:
        with _datagrams(hosts.pod[1]) as asking, _datagrams(hosts.pod[2]) as asked:
            asked.bind(("", ECHO + 1))
            asked.settimeout(0.5)
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            asking.sendto(b"x", ("10.244.2.10", ECHO + 1))
            asked.recv(1)

    with_ttl(5)
    with pytest.raises(OSError):
        with_ttl(4)

    # The device goes with the process, and comes with it; who takes it away alone sees it again.
    hosts.kill(1)
    hosts.reach(2, 3)
    with pytest.raises(AssertionError):
        hosts.reach(1, 2)
    hosts.start(1)
    eventually(hosts.all_reach_all)
    hosts.host[1].run("ip link del flannel0")
    eventually(hosts.all_reach_all)
    hosts.kill(3)
    hosts.server.ask(lambda client: client.delete(core_v1.Node, "host3"))

    eventually(lambda: _true(_refusal(hosts.pod[1], "10.244.3.10") == errno.ENETUNREACH))


def _refusal(where: Namespace, address: str) -> int:
    """The error that ICMP brings to who sends a datagram there; 0 where none comes."""
    with _datagrams(where) as asking:
        asking.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        asking.connect((address, ECHO))
        asking.settimeout(1)
        asking.send(b"x")
        try:
            asking.recv(1)
        except OSError as error:
            return error.errno or 0
    return 0


def test_direct_routing(hosts: Hosts) -> None:
    hosts.configure({"Type": "vxlan", "DirectRouting": True})
    for number in HOSTS:
        hosts.start(number)
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
    eventually(lambda: _true(hosts.kernel(1)["rules"] == before["rules"]))
    eventually(hosts.all_reach_all)
    after = hosts.kernel(1)
    assert {k: after[k] for k in ("neighbour", "forwarding", "rules")} == {
        k: before[k] for k in ("neighbour", "forwarding", "rules")
    }
    assert "-A POSTROUTING -s 192.0.2.0/24 -j RETURN" in after["rules"]


def test_masquerade_hides_pods_from_the_world_alone(hosts: Hosts) -> None:
    hosts.configure({"Type": "vxlan"})
    for number in HOSTS:
        hosts.start(number)
    eventually(hosts.all_reach_all)
    # The world knows no way to pods: it sees the host in their place, and answers that.
    assert ask(hosts.pod[1], SERVER) == "10.79.0.1"
    assert ask(hosts.pod[1], "10.244.2.10") == "10.244.1.10"
    # The host itself asks as its end of the tunnel.
    assert ask(hosts.host[1], "10.244.2.10") == "10.244.1.0"


@contextmanager
def _etcd(hosts: Hosts) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its URL; the v2 API is on."""
    url = f"http://{SERVER}:2379"
    command = ["ip", "netns", "exec", hosts.switch.name, "etcd", "--enable-v2", f"--data-dir={hosts.folder}/etcd"]
    command += [
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        "--listen-peer-urls=http://127.0.0.1:0",
    ]
    with (hosts.folder / "etcd.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    try:
        yield url, process
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


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

    with _etcd(hosts) as (url, _):
        config = json.dumps({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}})
        eventually(lambda: _true(keys("PUT", "/config", value=config)))
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
        eventually(lambda: _true("10.244.3.0" not in "".join(hosts.kernel(1).values())))
        hosts.reach(1, 2)
