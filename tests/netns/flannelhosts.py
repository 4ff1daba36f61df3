"""Three hosts for packets between their pods: an API server, a flanneld each, and pods, each in its namespace.

The hosts share a bridge, on which they also find the API server; a pod is a veth on its host's bridge cni0, as the CNI plug-in makes it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from pybernetes.api import types
from pybernetes.api.types import core_v1, rbac_v1
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.testing.cluster import TestCluster

from .namespaces import Namespace, created

HOSTS = (1, 2, 3)
SERVER = "10.79.0.254"
WAIT_SECONDS = 90.0
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


def datagrams(where: Namespace) -> socket.socket:
    """Their packets are never divided."""
    found = where.socket(socket.SOCK_DGRAM)
    found.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    return found


class Echo(threading.Thread):
    """Answers datagrams with as many bytes, which begin with the address of who asked."""

    def __init__(self, where: Namespace) -> None:
        super().__init__()
        self._socket = datagrams(where)
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
    with datagrams(where) as asking:
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

    def configure(self, backend: dict[str, Any], **more: Any) -> None:
        text = json.dumps({"Network": "10.244.0.0/16", "Backend": backend, **more})
        (self.folder / "net-conf.json").write_text(text)

    def start(self, number: int, *arguments: str) -> None:
        """A flanneld, as one process; ready when its subnet file is new."""
        self.spawn(number, *arguments)
        eventually(partial(self._started, number))

    def start_all(self) -> None:
        """All of them at once."""
        for number in HOSTS:
            self.spawn(number)
        for number in HOSTS:
            eventually(partial(self._started, number))

    def _started(self, number: int) -> None:
        assert self.subnet_file(number).exists(), self.log(number)

    def spawn(self, number: int, *arguments: str) -> None:
        """A flanneld, from which nothing is to be seen yet."""
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

    def run_beside(self, number: int, *command: str) -> None:
        """Another part in the host's namespace, as long as the hosts are there."""
        words = ["ip", "netns", "exec", self.host[number].name, sys.executable, "-m", "pybernetes", *command]
        with (self.folder / f"{command[0]}{number}.log").open("ab") as log:
            self.others.append(subprocess.Popen(words, stderr=log))

    def administrators_kubeconfig(self) -> Path:
        """For other parts than flanneld, whose own is of a service account with few rights."""
        path = self.folder / "administrator.kubeconfig"
        document = yaml.safe_load(self.server.kubeconfig.read_text())
        for user in document["users"]:
            del user["user"]["as"]
        path.write_text(yaml.safe_dump(document))
        return path

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


def true(value: object, text: str = "") -> None:
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
            ranges = [f"10.244.{number}.0/24", f"fd00:244:0:{number}::/64"]
            body = {
                "metadata": {"name": f"host{number}"},
                "spec": {"podCIDR": ranges[0], "podCIDRs": ranges},
            }
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


class Monitor:
    """What the kernel tells of IPv4 routes and neighbours on flannel.1."""

    def __init__(self, where: Namespace) -> None:
        command = ["ip", "netns", "exec", where.name, "ip", "-4", "monitor", "route", "neigh", "dev", "flannel.1"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end(self) -> str:
        self._process.terminate()
        return self._process.communicate()[0]


def set_mtu(hosts: Hosts, mtu: int) -> None:
    for number in HOSTS:
        hosts.host[number].run(f"ip link set vpod mtu {mtu}; ip link set cni0 mtu {mtu}")
        hosts.pod[number].run(f"ip link set eth0 mtu {mtu}")


@contextmanager
def etcd_server(hosts: Hosts) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
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


def refusal(where: Namespace, address: str) -> int:
    """The error that ICMP brings to who sends a datagram there; 0 where none comes."""
    with datagrams(where) as asking:
        asking.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        asking.connect((address, ECHO))
        asking.settimeout(1)
        asking.send(b"x")
        try:
            asking.recv(1)
        except OSError as error:
            return error.errno or 0
    return 0
