"""Packets through the whole of kube-proxy: an API server, the proxy, two pods and a client outside, each in its namespace."""

from __future__ import annotations

import asyncio
import functools
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1, networking_v1
from pybernetes.cli import proxy
from pybernetes.client.kubeconfig import load
from pybernetes.client.rest import RESTClient
from pybernetes.component import flags
from pybernetes.proxy.options import FLAGS
from pybernetes.testing.cluster import TestCluster

from .namespaces import Namespace, created

NODE_IP, CLIENT_IP = "10.78.0.2", "10.78.0.1"
PODS = {"a": "10.244.0.11", "b": "10.244.0.12"}
WAIT_SECONDS = 60.0


@dataclass
class Network:
    """client -- node -- bridge with pods a and b; each pod answers its name and the peer's address on TCP 8080 and UDP 5353."""

    node: Namespace
    client: Namespace
    pods: dict[str, Namespace]

    def ask(self, where: Namespace, address: str, port: int) -> str:
        """A TCP answer: "a 10.78.0.1"."""
        with where.socket() as connection:
            connection.settimeout(2.0)  # a lost SYN is sent again after one
            connection.connect((address, port))
            answer = connection.recv(100).decode()
            if not answer:
                raise ConnectionResetError(f"{address}:{port} closed without a word")
            return answer

    def askers(self, where: Namespace, address: str, port: int, times: int = 24) -> set[str]:
        """Which pods answer."""
        return {self.ask(where, address, port).split()[0] for _ in range(times)}


MODES = [mode for mode in ("iptables", "nftables", "userspace") if mode != "nftables" or shutil.which("nft")]
every_mode = pytest.mark.parametrize("mode", MODES)
# Traffic policies, source ranges, and that a client's address is seen: upstream's userspace never had them.
kernel_modes = pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "userspace"])


@pytest.fixture
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        node, client = stack.enter_context(created("node")), stack.enter_context(created("client"))
        pods = {name: stack.enter_context(created(name)) for name in PODS}
        node.run(
            f"ip link add up0 type veth peer name eth0 netns {client.name}; ip addr add {NODE_IP}/24 dev up0; ip link set up0 up;"
            f"ip route add default via {CLIENT_IP};"
            "ip link add cni0 type bridge; ip addr add 10.244.0.1/24 dev cni0; ip link set cni0 up;"
            # Refusals are ICMP, of which a kernel sends one a second to a host that asks often.
            "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.ipv4.icmp_ratelimit=0"
        )
        client.run(f"ip addr add {CLIENT_IP}/24 dev eth0; ip link set eth0 up; ip route add default via {NODE_IP}")
        for name, pod in pods.items():
            node.run(
                f"ip link add v{name} type veth peer name eth0 netns {pod.name}; ip link set v{name} master cni0 up;"
                f"bridge link set dev v{name} hairpin on"
            )
            pod.run(f"ip addr add {PODS[name]}/24 dev eth0; ip link set eth0 up; ip route add default via 10.244.0.1")
            stack.enter_context(served(pod, name))
        yield Network(node, client, pods)


class served:
    """The servers of one pod, on threads."""

    def __init__(self, pod: Namespace, name: str) -> None:
        self._tcp, self._udp = pod.socket(), pod.socket(socket.SOCK_DGRAM)
        self._tcp.bind(("", 8080))
        self._tcp.listen(64)
        self._udp.bind(("", 5353))
        self._name = name

    def __enter__(self) -> None:
        self._threads = [threading.Thread(target=work) for work in (self._serve_tcp, self._serve_udp)]
        for thread in self._threads:
            thread.start()

    def __exit__(self, *exc: object) -> None:
        for each in (self._tcp, self._udp):
            # An unconnected UDP socket is refused, but wakes up all the same.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._tcp.close()
        self._udp.close()

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, peer = self._tcp.accept()
            except OSError:
                return
            with connection:
                connection.sendall(f"{self._name} {peer[0]}".encode())

    def _serve_udp(self) -> None:
        while True:
            data, peer = self._udp.recvfrom(100)
            if not data:
                return
            self._udp.sendto(self._name.encode(), peer)


def service(name: str, **spec: Any) -> core_v1.Service:
    body = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return types.decode(types.encode(body), core_v1.Service)


def slice_of(
    owner: str, pods: str, port: int, protocol: str = "TCP", node: str = "node1"
) -> discovery_v1.EndpointSlice:
    body = {
        "metadata": {"name": owner, "namespace": "default", "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [PODS[p]], "nodeName": node, "conditions": {"ready": True}} for p in pods],
        "ports": [{"name": "", "port": port, "protocol": protocol}],
    }
    return types.decode(types.encode(body), discovery_v1.EndpointSlice)


@asynccontextmanager
async def running(folder: Path, *arguments: str) -> AsyncIterator[RESTClient]:
    """An API server and kube-proxy on this loop."""
    async with started(folder, *arguments) as (_, client):
        yield client


@asynccontextmanager
async def started(folder: Path, *arguments: str) -> AsyncIterator[tuple[TestCluster, RESTClient]]:
    """The API server, too."""
    folder.mkdir(exist_ok=True)
    cluster = TestCluster(folder)
    found = await cluster.start()
    client = RESTClient(load(found.kubeconfig))
    node = {"metadata": {"name": "node1"}, "status": {"addresses": [{"type": "InternalIP", "address": NODE_IP}]}}
    await client.create(types.decode(types.encode(node), core_v1.Node))
    given = [f"--kubeconfig={found.kubeconfig}", "--hostname-override=node1", "--cluster-cidr=10.244.0.0/16"]
    values = flags.parse("kube-proxy", FLAGS, [*given, "--iptables-min-sync-period=0s", *arguments])
    work = asyncio.ensure_future(proxy.run(values))
    try:
        yield cluster, client
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await client.close()
        await cluster.stop()


def ping(where: Namespace, address: str) -> tuple[int, int]:
    """Type and code of what ICMP answers to an echo request."""
    with where.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as asking:
        asking.settimeout(5.0)
        asking.sendto(bytes.fromhex("0800f7ff00000000"), (address, 0))
        answer = asking.recv(200)
        return answer[20], answer[21]


async def eventually(check: Callable[[], Any]) -> Any:
    """The check's first result without an error."""
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        try:
            return await asyncio.to_thread(check)
        except (OSError, AssertionError):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)


def inside(network: Network, scenario: Callable[[], Any]) -> None:
    network.node.inside(lambda: uvloop.run(scenario()))


@every_mode
def test_cluster_ip_node_port_and_external_ip(network: Network, tmp_path: Path, mode: str) -> None:
    def check_all() -> None:
        outside = network.client
        assert network.askers(outside, "10.96.20.1", 80) == {"a", "b"}
        assert network.askers(network.pods["a"], "10.96.20.1", 80) == {"a", "b"}  # itself, too
        assert network.askers(network.node, "10.96.20.1", 80) == {"a", "b"}
        assert network.askers(outside, NODE_IP, 30080) == {"a", "b"}
        if mode == "iptables":  # the only one in which node ports answer on the loopback
            assert network.askers(network.node, "127.0.0.1", 30080) == {"a", "b"}
        # An external address works from everywhere, this node itself and pods that are its endpoints included.
        # Not so in userspace, where it is only a packet's that comes through no bridge, or an address of this node.
        for where in (outside, network.node, network.pods["a"]) if mode != "userspace" else (outside,):
            assert network.askers(where, "198.51.100.7", 80) == {"a", "b"}
        assert network.ask(outside, NODE_IP, 30080).split()[1] == "10.244.0.1"
        if mode == "userspace":
            return
        # Pods see each other's address, others are masqueraded.
        seen = {network.ask(network.pods["a"], "10.96.20.1", 80) for _ in range(24)}
        assert f"b {PODS['a']}" in seen

    async def scenario() -> None:
        async with running(tmp_path, f"--proxy-mode={mode}") as client:
            await client.create(
                service(
                    "web",
                    type="NodePort",
                    clusterIP="10.96.20.1",
                    externalIPs=["198.51.100.7"],
                    ports=[{"port": 80, "targetPort": 8080, "nodePort": 30080}],
                )
            )
            await client.create(slice_of("web", "ab", 8080))
            await eventually(check_all)
            await client.delete(discovery_v1.EndpointSlice, "web", "default")

            def refused() -> None:
                for address, port in (("10.96.20.1", 80), (NODE_IP, 30080), ("198.51.100.7", 80)):
                    try:
                        answer = network.ask(network.client, address, port)
                    except ConnectionRefusedError:
                        continue
                    except ConnectionResetError:  # the process has taken it before it knows of no endpoint
                        assert mode == "userspace"
                        continue
                    raise AssertionError(f"{address} answered {answer}")

            await eventually(refused)

    inside(network, scenario)


@kernel_modes
def test_local_policies_keep_the_client_address_and_tell_the_balancer(
    network: Network, tmp_path: Path, mode: str
) -> None:
    def health() -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://{NODE_IP}:30999/healthz", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    async def scenario() -> None:
        async with running(tmp_path, f"--proxy-mode={mode}") as client:
            made = await client.create(
                service(
                    "lb",
                    type="LoadBalancer",
                    clusterIP="10.96.20.2",
                    externalTrafficPolicy="Local",
                    internalTrafficPolicy="Local",
                    healthCheckNodePort=30999,
                    ports=[{"port": 80, "targetPort": 8080, "nodePort": 30081}],
                )
            )
            made.status.load_balancer.ingress.append(core_v1.LoadBalancerIngress(ip="198.51.100.8", ip_mode="VIP"))
            await client.update(made, "status")
            here = await client.create(slice_of("lb", "a", 8080))
            elsewhere = slice_of("lb", "b", 8080, node="node2")
            elsewhere.metadata.name = "lb-2"
            await client.create(elsewhere)

            def local_only() -> None:
                for address, port in ((NODE_IP, 30081), ("198.51.100.8", 80)):
                    assert {network.ask(network.client, address, port) for _ in range(12)} == {f"a {CLIENT_IP}"}
                # Whoever is on this node comes as if from the balancer: to any endpoint.
                assert network.askers(network.node, "198.51.100.8", 80) == {"a", "b"}
                assert network.askers(network.pods["b"], "10.96.20.2", 80) == {"a"}
                code, body = network.node.inside(health)
                assert code == 200 and b'"localEndpoints": 1' in body

            await eventually(local_only)
            await client.delete(discovery_v1.EndpointSlice, here.metadata.name, "default")

            def nothing_here() -> None:
                code, body = network.node.inside(health)
                assert code == 503 and b'"localEndpoints": 0' in body

            await eventually(nothing_here)

    inside(network, scenario)


@every_mode
def test_affinity_sticks(network: Network, tmp_path: Path, mode: str) -> None:
    async def scenario() -> None:
        async with running(tmp_path, f"--proxy-mode={mode}") as client:
            spec = {
                "clusterIP": "10.96.20.3",
                "sessionAffinity": "ClientIP",
                "ports": [{"port": 80, "targetPort": 8080}],
            }
            await client.create(service("sticky", **spec))
            await client.create(slice_of("sticky", "ab", 8080))

            def sticks() -> None:
                assert len(network.askers(network.client, "10.96.20.3", 80)) == 1

            await eventually(sticks)

    inside(network, scenario)


@every_mode
def test_udp_flows_move_when_their_endpoint_goes(network: Network, tmp_path: Path, mode: str) -> None:
    async def scenario() -> None:
        async with running(tmp_path, f"--proxy-mode={mode}") as client:
            await client.create(
                service("dns", clusterIP="10.96.20.4", ports=[{"port": 53, "targetPort": 5353, "protocol": "UDP"}])
            )
            made = await client.create(slice_of("dns", "a", 5353, "UDP"))
            with network.client.socket(socket.SOCK_DGRAM) as flow:
                flow.settimeout(0.3)
                flow.bind(("", 40000))

                def answered_by(name: str) -> None:
                    flow.sendto(b"?", ("10.96.20.4", 53))
                    while True:
                        try:
                            assert flow.recv(100).decode() == name
                            return
                        except ConnectionRefusedError:
                            continue

                await eventually(lambda: answered_by("a"))
                made.endpoints[0].addresses = [PODS["b"]]
                await client.update(made)
                await eventually(lambda: answered_by("b"))

    inside(network, scenario)


HARM = {
    "iptables": "iptables -t nat -F && iptables -t nat -X",
    "nftables": "nft delete table ip kube-proxy",
    "userspace": "iptables -t nat -F && iptables -t nat -X && iptables -F KUBE-NODEPORT-NON-LOCAL",
}


@every_mode
def test_without_an_api_server_all_stays_and_is_repaired(network: Network, tmp_path: Path, mode: str) -> None:
    async def scenario() -> None:
        async with started(tmp_path, f"--proxy-mode={mode}", "--iptables-sync-period=300ms") as (cluster, client):
            await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
            pods = await client.create(slice_of("web", "a", 8080))

            def works() -> None:
                assert network.askers(network.client, "10.96.20.1", 80, times=4) == {"a"}

            await eventually(works)
            await cluster.server.stop(0)
            for _ in range(3):
                network.node.run(HARM[mode])
                await eventually(works)
            await cluster.restart()
            pods.endpoints[0].addresses = [PODS["b"]]
            await client.update(pods)

            def moved() -> None:
                assert network.askers(network.client, "10.96.20.1", 80, times=4) == {"b"}

            await eventually(moved)

    inside(network, scenario)


@every_mode
def test_rules_that_someone_removed_come_back_and_health_is_told(network: Network, tmp_path: Path, mode: str) -> None:
    def page(url: str) -> bytes:
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
            return body

    async def scenario() -> None:
        async with running(tmp_path, f"--proxy-mode={mode}", "--iptables-sync-period=500ms") as client:
            await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
            await client.create(slice_of("web", "ab", 8080))

            def works() -> None:
                assert network.ask(network.client, "10.96.20.1", 80)

            await eventually(works)
            network.node.run(HARM[mode])
            await eventually(works)
            health = await asyncio.to_thread(network.node.inside, lambda: page("http://127.0.0.1:10256/healthz"))
            assert b'"nodeEligible": true' in health and b'"lastUpdated": "' in health
            events = await client.list(core_v1.Event, "default")
            assert [(e.reason, e.involved_object.name, e.source.component) for e in events.items] == [
                ("Starting", "node1", "kube-proxy")
            ]
            metrics = await asyncio.to_thread(network.node.inside, lambda: page("http://127.0.0.1:10249/metrics"))
            assert b'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"}' in metrics
            shown = await asyncio.to_thread(network.node.inside, lambda: page("http://127.0.0.1:10249/proxyMode"))
            assert shown == mode.encode()

    inside(network, scenario)


@kernel_modes
def test_a_balancer_lets_in_only_its_source_ranges(network: Network, tmp_path: Path, mode: str) -> None:
    async def scenario() -> None:
        async with running(tmp_path, f"--proxy-mode={mode}") as client:
            created = await client.create(
                service(
                    "lb",
                    type="LoadBalancer",
                    clusterIP="10.96.20.5",
                    loadBalancerSourceRanges=["203.0.113.0/24", f"{CLIENT_IP}/32"],
                    ports=[{"port": 80, "targetPort": 8080, "nodePort": 30085}],
                )
            )
            addresses = [("198.51.100.8", "VIP"), ("198.51.100.9", "Proxy")]
            created.status.load_balancer.ingress += [
                core_v1.LoadBalancerIngress(ip=ip, ip_mode=way) for ip, way in addresses
            ]
            await client.update(created, "status")
            await client.create(slice_of("lb", "ab", 8080))
            await eventually(lambda: network.ask(network.client, "198.51.100.8", 80))

            def silence(where: Namespace, address: str) -> None:
                with pytest.raises(TimeoutError):
                    network.ask(where, address, 80)

            await asyncio.to_thread(silence, network.pods["a"], "198.51.100.8")  # of no range
            # An address of mode Proxy is the balancer's own business.
            network.node.run("ip route add blackhole 198.51.100.9")
            with pytest.raises(OSError):
                await asyncio.to_thread(network.ask, network.client, "198.51.100.9", 80)
            # Node ports have no source ranges.
            assert await asyncio.to_thread(network.ask, network.pods["a"], NODE_IP, 30085)

    inside(network, scenario)


@pytest.mark.skipif("nftables" not in MODES, reason="needs nft (the package nftables)")
def test_nobody_waits_for_what_a_cluster_ip_does_not_serve(network: Network, tmp_path: Path) -> None:
    """Another port and a ping are rejected, an address that nobody has been given is dropped; in nftables only, as upstream."""

    async def scenario() -> None:
        async with running(tmp_path, "--proxy-mode=nftables") as client:
            await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
            await client.create(slice_of("web", "ab", 8080))
            await eventually(lambda: network.ask(network.client, "10.96.20.1", 80))

            def refused() -> None:
                for where in (network.client, network.pods["a"], network.node):
                    with pytest.raises(ConnectionRefusedError):
                        network.ask(where, "10.96.20.1", 81)

            await asyncio.to_thread(refused)
            unreachable = (3, 3)  # the destination's port
            assert await asyncio.to_thread(ping, network.client, "10.96.20.1") == unreachable
            rules = network.node.run("nft list chain ip kube-proxy cluster-ips-check")
            assert 'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"' in rules
            ranges = await client.list(networking_v1.ServiceCIDR)
            assert ranges.items and all(
                cidr in rules for each in ranges.items for cidr in each.spec.cidrs if "." in cidr
            )

    inside(network, scenario)


@pytest.mark.skipif("nftables" not in MODES, reason="needs nft (the package nftables)")
def test_the_mode_can_be_changed_and_everything_cleaned_up(network: Network, tmp_path: Path) -> None:
    """Other programs' rules stay as they are through all of it."""
    theirs = "*nat\n:MINE - [0:0]\n-A MINE -j RETURN\n-A OUTPUT -j MINE\nCOMMIT\n*filter\n-A INPUT -i nowhere -j DROP\nCOMMIT\n"

    def own(saved: str) -> list[str]:
        return [line for line in saved.splitlines() if "MINE" in line or "nowhere" in line]

    def switched(mode: str) -> None:
        saved, tables = network.node.run("iptables-save"), network.node.run("nft list tables")
        assert ("KUBE-SERVICES" in saved) is (mode == "iptables")
        assert ("KUBE-PORTALS-HOST" in saved) is (mode == "userspace")
        assert ("table ip kube-proxy" in tables) is (mode == "nftables")
        assert own(saved) == before
        assert network.ask(network.client, "10.96.20.1", 80)

    network.node.run(f"printf '%s' '{theirs}' | iptables-restore --noflush")
    before = own(network.node.run("iptables-save"))
    assert len(before) == 4

    async def scenario() -> None:
        for number, mode in enumerate(("iptables", "nftables", "userspace", "iptables", "userspace", "nftables")):
            async with running(tmp_path / str(number), f"--proxy-mode={mode}") as client:
                await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
                await client.create(slice_of("web", "ab", 8080))
                await eventually(functools.partial(switched, mode))
        for last in MODES:
            async with running(tmp_path / last, f"--proxy-mode={last}") as client:
                await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
                await client.create(slice_of("web", "ab", 8080))
                await eventually(functools.partial(switched, last))
            await proxy.run(flags.parse("kube-proxy", FLAGS, ["--cleanup"]))
            assert "kube-proxy" not in network.node.run("nft list tables")
            saved = network.node.run("iptables-save")
            assert "KUBE-" not in saved and own(saved) == before

    inside(network, scenario)
