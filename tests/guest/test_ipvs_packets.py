"""Packets through the whole of kube-proxy in the mode ipvs: an API server, the proxy, two pods and a client outside."""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1, networking_v1
from pybernetes.cli import networkpolicies, proxy
from pybernetes.client.rest import RESTClient
from pybernetes.component import flags
from pybernetes.networkpolicy import options as networkpolicy
from pybernetes.proxy.options import FLAGS
from tests.netns import test_proxy_packets as packets
from tests.netns.namespaces import Namespace
from tests.netns.test_proxy_packets import (
    CLIENT_IP,
    NODE_IP,
    PODS,
    Network,
    eventually,
    inside,
    running,
    service,
    slice_of,
)

MODE = "--proxy-mode=ipvs"


def fails(network: Network, where: Namespace, address: str, error: type[OSError]) -> None:
    """AssertionError where it is answered."""
    try:
        answer = network.ask(where, address, 80)
    except error:
        return
    raise AssertionError(f"{address} answered {answer}")


def test_cluster_ip_node_port_and_external_ip(network: Network, tmp_path: Path) -> None:
    packets.test_cluster_ip_node_port_and_external_ip(network, tmp_path, "ipvs")


def test_affinity_sticks(network: Network, tmp_path: Path) -> None:
    packets.test_affinity_sticks(network, tmp_path, "ipvs")


def test_udp_flows_move_when_their_endpoint_goes(network: Network, tmp_path: Path) -> None:
    packets.test_udp_flows_move_when_their_endpoint_goes(network, tmp_path, "ipvs")


def test_a_balancer_lets_in_only_its_source_ranges(network: Network, tmp_path: Path) -> None:
    packets.test_a_balancer_lets_in_only_its_source_ranges(network, tmp_path, "ipvs")


def test_local_policies_keep_the_client_address(network: Network, tmp_path: Path) -> None:
    """Unlike the other modes, this one leads whoever is on the node to endpoints there, too, as long as there is one."""

    async def scenario() -> None:
        async with running(tmp_path, MODE) as client:
            created = await client.create(
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
            created.status.load_balancer.ingress.append(core_v1.LoadBalancerIngress(ip="198.51.100.8", ip_mode="VIP"))
            await client.update(created, "status")
            here = await client.create(slice_of("lb", "a", 8080))
            elsewhere = slice_of("lb", "b", 8080, node="node2")
            elsewhere.metadata.name = "lb-2"
            await client.create(elsewhere)

            def local_only() -> None:
                for address, port in ((NODE_IP, 30081), ("198.51.100.8", 80)):
                    assert {network.ask(network.client, address, port) for _ in range(12)} == {f"a {CLIENT_IP}"}
                assert network.askers(network.node, "198.51.100.8", 80) == {"a"}
                assert network.askers(network.pods["b"], "10.96.20.2", 80) == {"a"}

            await eventually(local_only)
            await client.delete(discovery_v1.EndpointSlice, here.metadata.name, "default")

            def elsewhere_only() -> None:
                assert network.ask(network.node, "198.51.100.8", 80).startswith("b ")

            await eventually(elsewhere_only)

            await eventually(functools.partial(fails, network, network.pods["b"], "10.96.20.2", ConnectionRefusedError))

    inside(network, scenario)


@contextmanager
def echoing(pod: Namespace, port: int) -> Iterator[None]:
    """A server that sends back what it gets until its client goes."""
    server = pod.socket()
    server.bind(("", port))
    server.listen(16)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(ConnectionResetError):
                while data := connection.recv(100):
                    connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(2)
        thread.join()
        server.close()


def test_a_connection_outlives_its_endpoint_and_then_the_real_server_goes(network: Network, tmp_path: Path) -> None:
    def real_servers() -> dict[str, int]:
        """Address -> weight of pods, as /proc tells them in hexadecimal."""
        lines = network.node.run("cat /proc/net/ip_vs").splitlines()
        words = [line.split() for line in lines if line.lstrip().startswith("-> 0")]
        weights = {".".join(str(int(w[1][n : n + 2], 16)) for n in (0, 2, 4, 6)): int(w[3]) for w in words}
        return {address: weight for address, weight in weights.items() if address in PODS.values()}

    def served_by_a() -> None:
        assert real_servers() == {PODS["a"]: 1}

    def new_connections_go_to_b() -> None:
        assert real_servers() == {PODS["a"]: 0, PODS["b"]: 1}

    def only_b() -> None:
        assert real_servers() == {PODS["b"]: 1}

    async def scenario() -> None:
        async with running(tmp_path, MODE, "--ipvs-sync-period=1s") as client:
            await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 9000}]))
            endpoints = await client.create(slice_of("web", "a", 9000))
            await eventually(served_by_a)
            with network.client.socket() as connection:
                connection.settimeout(20.0)
                await asyncio.to_thread(connection.connect, ("10.96.20.1", 80))
                connection.sendall(b"one")
                assert await asyncio.to_thread(connection.recv, 10) == b"one"
                endpoints.endpoints[0].addresses = [PODS["b"]]
                await client.update(endpoints)
                await eventually(new_connections_go_to_b)
                connection.sendall(b"two")
                assert await asyncio.to_thread(connection.recv, 10) == b"two"
                # A reset: the kernel remembers it for 10 s, an ended connection for two minutes.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await eventually(only_b)

    with echoing(network.pods["a"], 9000):
        inside(network, scenario)


def test_what_is_no_service_of_a_cluster_ip_is_refused(network: Network, tmp_path: Path) -> None:
    """Neither a port of the host answers on the addresses that kube-ipvs0 has, nor a ping, as upstream."""

    async def scenario() -> None:
        async with running(tmp_path, MODE) as client:
            await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
            await client.create(slice_of("web", "ab", 8080))
            await eventually(lambda: network.ask(network.client, "10.96.20.1", 80))
            listener = network.node.socket()
            with listener:
                listener.bind(("", 10000))
                listener.listen()
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.to_thread(network.ask, network.client, "10.96.20.1", 10000)
            unreachable = (3, 3)  # the destination's port
            assert await asyncio.to_thread(packets.ping, network.client, "10.96.20.1") == unreachable

    inside(network, scenario)


def policy(pod: str) -> networking_v1.NetworkPolicy:
    """Nobody may reach the pod."""
    body = {
        "metadata": {"name": "nobody", "namespace": "default"},
        "spec": {"podSelector": {"matchLabels": {"name": pod}}, "policyTypes": ["Ingress"]},
    }
    return types.decode(types.encode(body), networking_v1.NetworkPolicy)


async def create_pod(client: RESTClient, name: str) -> None:
    body = {
        "metadata": {"name": name, "namespace": "default", "labels": {"name": name}},
        "spec": {"nodeName": "node1", "containers": [{"name": "c", "image": "c"}]},
    }
    pod = await client.create(types.decode(types.encode(body), core_v1.Pod))
    pod.status.phase, pod.status.pod_ip, pod.status.pod_ips = "Running", PODS[name], [core_v1.PodIP(ip=PODS[name])]
    await client.update(pod, "status")


def test_network_policies_hold_for_what_ipvs_sends_on(network: Network, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, MODE) as client:
            given = [f"--kubeconfig={tmp_path}/kubeconfig", "--hostname-override=node1", "--metrics-bind-address="]
            values = flags.parse("kube-network-policies", networkpolicy.FLAGS, given)
            agent = asyncio.ensure_future(networkpolicies.run(values))
            for name in PODS:
                await create_pod(client, name)
            await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
            await client.create(slice_of("web", "a", 8080))
            await eventually(lambda: network.ask(network.pods["b"], "10.96.20.1", 80))
            await client.create(policy("a"))
            for where in (network.pods["b"], network.client):
                await eventually(functools.partial(fails, network, where, "10.96.20.1", TimeoutError))
            assert await asyncio.to_thread(
                network.ask, network.node, "10.96.20.1", 80
            )  # it always reaches its own pods
            agent.cancel()
            await asyncio.gather(agent, return_exceptions=True)

    inside(network, scenario)


def test_rules_that_someone_removed_come_back_and_everything_can_be_cleaned_up(
    network: Network, tmp_path: Path
) -> None:
    harm = ("ip link del kube-ipvs0", "iptables -t nat -F; iptables -F", "ipset flush")

    async def scenario() -> None:
        async with running(tmp_path / "1", "--proxy-mode=iptables") as client:
            await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
            await client.create(slice_of("web", "ab", 8080))
            await eventually(lambda: network.ask(network.client, "10.96.20.1", 80))
        async with running(tmp_path / "2", MODE, "--ipvs-sync-period=500ms") as client:
            await client.create(service("web", clusterIP="10.96.20.1", ports=[{"port": 80, "targetPort": 8080}]))
            await client.create(slice_of("web", "ab", 8080))

            def works() -> None:
                assert "KUBE-SVC-" not in network.node.run("iptables-save")
                for where in (network.client, network.node, network.pods["a"]):
                    assert network.askers(where, "10.96.20.1", 80) == {"a", "b"}

            await eventually(works)
            for command in harm:
                network.node.run(command)
                await eventually(works)
        await proxy.run(flags.parse("kube-proxy", FLAGS, ["--cleanup"]))
        left = network.node.run("iptables-save; ipset save; ip link; grep -c : /proc/net/ip_vs")
        assert "KUBE-" not in left and "kube-ipvs0" not in left

    inside(network, scenario)
