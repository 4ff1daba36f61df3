"""flannel: one TCP stream between pods of two hosts by each backend, beside the same path made by hand; and many leases at once.

./bench flannel; root. Hosts and pods are network namespaces of this machine, joined by veths and a bridge.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Network

from pybernetes.flannel.backends import backend
from pybernetes.flannel.config import BackendConfig
from pybernetes.flannel.interface import External
from pybernetes.flannel.lease import Attributes, Lease, vxlan_data
from pybernetes.flannel.network import Network
from pybernetes.net.routes import Router

from .figures import Figures

ROUNDS, SECONDS, WARM_SECONDS = 3, 1.5, 0.3
NETWORK = IPv4Network("10.240.0.0/12")
LEASES = 500
CHUNK = 1 << 18
PORT = 7001
MTU = {"bare": 1500, "host-gw": 1500, "vxlan": 1450, "vxlan_by_hand": 1450, "udp": 1472}
OVERHEAD_MTU = 1500


def subnet(number: int) -> IPv4Network:
    return IPv4Network((int(NETWORK.network_address) + (number << 8), 24))


def public_ip(number: int) -> IPv4Address:
    return IPv4Address("10.79.0.0") + number


def mac(number: int) -> str:
    return f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def pod_ip(number: int) -> str:
    return str(subnet(number).network_address + 10)


def lease(number: int, type: str) -> Lease:
    data = vxlan_data(1, mac(number)) if type == "vxlan" else "null"
    return Lease(f"host{number}", subnet(number), Attributes(public_ip(number), "" if type == "udp" else type, data))


def host(number: int, type: str, hosts: int) -> None:
    """In a host's namespace: brings the kernel where the leases of others want it, tells the seconds of that, and stays until its input ends."""
    with Router() as router:
        link = router.link("eth0")
        assert link is not None
        chosen = backend(
            BackendConfig(type), External(link.index, "eth0", link.mtu, public_ip(number), public_ip(number))
        )
        chosen.prepare(router, mac(number))
        network = Network(router, chosen, lease(number, type), NETWORK)
        others = {f"host{other}": lease(other, type) for other in range(1, hosts + 1) if other != number}
        began = time.perf_counter()
        network.start(others)
        print(time.perf_counter() - began, flush=True)
        sys.stdin.read()
        chosen.close()


def by_hand(number: int, type: str) -> str:
    """What an administrator would type for two hosts."""
    other = 3 - number
    if type == "bare":
        return f"ip route add {subnet(other)} via {public_ip(other)} dev eth0"
    gateway = subnet(other).network_address
    return (
        f"ip link add v0 address {mac(number)} type vxlan id 1 local {public_ip(number)} dev eth0 dstport 8472 nolearning;"
        f"ip addr add {subnet(number).network_address}/32 dev v0; ip link set v0 up;"
        f"ip neigh add {gateway} lladdr {mac(other)} dev v0; bridge fdb add {mac(other)} dev v0 dst {public_ip(other)};"
        f"ip route add {subnet(other)} via {gateway} dev v0 onlink"
    )


def _inside(name: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", name, *command]


def _shell(name: str, text: str) -> None:
    done = subprocess.run(_inside(name, "sh", "-ec", text), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{text}: {done.stderr.strip()}")


@contextmanager
def _namespace(word: str) -> Iterator[str]:
    name = f"flannel-bench-{os.getpid()}-{word}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        _shell(name, "ip link set lo up")
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@contextmanager
def _two_hosts(type: str) -> Iterator[tuple[list[str], list[str]]]:
    """Their namespaces and those of their pods, with the routes between them."""
    with ExitStack() as stack:
        switch = stack.enter_context(_namespace("switch"))
        _shell(switch, "ip link add br0 type bridge; ip link set br0 up")
        hosts, pods = [], []
        for number in (1, 2):
            node, pod = (stack.enter_context(_namespace(f"{word}{number}")) for word in ("host", "pod"))
            hosts.append(node)
            pods.append(pod)
            _shell(
                switch,
                f"ip link add h{number} type veth peer name eth0 netns {node}; ip link set h{number} master br0 up",
            )
            gateway = subnet(number).network_address + 1
            _shell(
                node,
                f"ip addr add {public_ip(number)}/24 dev eth0; ip link set eth0 up; ip link add cni0 type bridge;"
                f"ip addr add {gateway}/24 dev cni0; ip link set cni0 mtu {MTU[type]} up; sysctl -qw net.ipv4.ip_forward=1;"
                f"ip link add vpod mtu {MTU[type]} type veth peer name eth0 netns {pod}; ip link set vpod master cni0 up",
            )
            _shell(
                pod,
                f"ip addr add {pod_ip(number)}/24 dev eth0; ip link set eth0 mtu {MTU[type]} up; ip route add default via {gateway}",
            )
        for number, node in enumerate(hosts, 1):
            if type in ("bare", "vxlan_by_hand"):
                _shell(node, by_hand(number, type))
            else:
                _start(stack, node, number, type, 2)
        yield hosts, pods


def _start(stack: ExitStack, node: str, number: int, type: str, hosts: int) -> float:
    command = _inside(node, sys.executable, "-m", "benchmarks.flannel", "host", str(number), type, str(hosts))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end() -> None:
        assert process.stdin and process.stdout
        process.stdin.close()
        process.wait()
        process.stdout.close()

    stack.callback(end)
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{type}: host {number} did not start")
    return float(line)


def receive() -> None:
    """In a pod: counts what comes on one connection, after it is warm; MB/s."""
    import socket

    with socket.create_server(("", PORT)) as listening:
        print("ready", flush=True)
        connection, _ = listening.accept()
        buffer = bytearray(CHUNK)
        total, start, began = 0, time.perf_counter(), 0.0
        with connection:
            while count := connection.recv_into(buffer):
                now = time.perf_counter()
                if now - start > WARM_SECONDS:
                    began = began or now
                    total += count
                if now - start > WARM_SECONDS + SECONDS:
                    break
        print(json.dumps(total / max(now - began, 1e-9) / 1e6), flush=True)


def send(address: str) -> None:
    """In the other pod."""
    import socket

    with socket.create_connection((address, PORT)) as connection:
        data = bytes(CHUNK)
        try:
            while True:
                connection.sendall(data)
        except OSError:
            return  # the other end has what it wanted


def _rate(pods: list[str]) -> float:
    program = (sys.executable, "-m", "benchmarks.flannel")
    with subprocess.Popen(_inside(pods[1], *program, "receive"), stdout=subprocess.PIPE) as receiver:
        assert receiver.stdout
        receiver.stdout.readline()
        with subprocess.Popen(_inside(pods[0], *program, "send", pod_ip(2))) as sender:
            rate = float(receiver.stdout.readline() or "0")
            sender.kill()
    return rate


def main() -> Figures:
    """RuntimeError where a path cannot be made. Paths take turns: others' work on the machine meets all of them."""
    if os.geteuid():
        raise RuntimeError("root is needed for network namespaces")
    rates: dict[str, list[float]] = {type: [] for type in MTU}
    for _, type in itertools.product(range(ROUNDS), MTU):
        with _two_hosts(type) as (_, pods):
            rates[type].append(_rate(pods))
    best = {type: max(values) for type, values in rates.items()}
    figures: Figures = {f"flannel_{type.replace('-', '_')}_stream": (value, "MB/s") for type, value in best.items()}
    figures["flannel_vxlan_to_kernels_own"] = (best["vxlan"] / best["vxlan_by_hand"], "ratio")
    figures["flannel_host_gw_to_bare"] = (best["host-gw"] / best["bare"], "ratio")
    figures["flannel_udp_to_bare"] = (best["udp"] / best["bare"], "ratio")
    with _two_hosts("bare") as (hosts, _), ExitStack() as stack:
        times = [_start(stack, node, number, "vxlan", LEASES) for number, node in enumerate(hosts, 1)]
    figures[f"flannel_{LEASES}_leases_by_vxlan"] = (statistics.median(times), "s")
    return figures


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["host", number, type, hosts]:
            host(int(number), type, int(hosts))
        case ["receive"]:
            receive()
        case ["send", address]:
            send(address)
