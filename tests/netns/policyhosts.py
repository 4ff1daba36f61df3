"""A node with pods on a bridge, each in its namespace, and somebody outside; who of them reaches whom, by packets."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from pybernetes.aio.clock import RealClock
from pybernetes.client.memory import MemoryClient
from pybernetes.networkpolicy.app import PolicyAgent
from pybernetes.networkpolicy.kernel import KernelTable
from pybernetes.networkpolicy.metrics import Metrics

from ..unit.networkpolicy.world import Document, Flow
from .namespaces import Namespace, created

T = TypeVar("T")

OUTSIDE, NODE = "192.0.2.1", "192.0.2.2"
SERVED = (("TCP", 80), ("TCP", 81), ("UDP", 80))
ANSWER_SECONDS = 90.0  # for what must be answered, on a busy machine; usually some milliseconds


@dataclass
class Hosts:
    """`places` are namespaces by address, of pods (IPv4 and IPv6) and of whom is outside. All but the node answer on SERVED."""

    node: Namespace
    places: dict[str, Namespace] = field(default_factory=dict)

    def answered(self, flows: Sequence[Flow], expected: Iterable[Flow]) -> set[Flow]:
        """Of flows that all begin at once, those that are answered by the time that the expected ones are, or it has been too long."""
        return answered({flow: self.opened(flow) for flow in flows}, set(expected))

    def opened(self, flow: Flow) -> socket.socket:
        """A socket whose first packet is on its way."""
        kind = socket.SOCK_STREAM if flow.protocol == "TCP" else socket.SOCK_DGRAM
        opened = self.places[flow.source].socket(kind, socket.AF_INET6 if ":" in flow.source else socket.AF_INET)
        opened.setblocking(False)
        with suppress(BlockingIOError):
            opened.connect((flow.destination, flow.port))
        if flow.protocol == "UDP":
            opened.send(b"hello")
        return opened


def answered(sockets: dict[Flow, socket.socket], expected: set[Flow]) -> set[Flow]:
    """Closes them."""
    found: set[Flow] = set()
    waiting = select.poll()
    by_number = {each.fileno(): flow for flow, each in sockets.items()}
    for number in by_number:
        waiting.register(number, select.POLLIN)
    try:
        clock = RealClock()
        end = clock.monotonic() + ANSWER_SECONDS
        while expected - found and clock.monotonic() < end:
            for number, _ in waiting.poll(1000):
                waiting.unregister(number)
                with suppress(OSError):
                    if sockets[by_number[number]].recv(10):
                        found.add(by_number[number])
        return found
    finally:
        for each in sockets.values():
            each.close()


class Servers:
    """Answers "hello" to whoever comes, and what they send after that."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._sockets: dict[int, socket.socket] = {}
        self._listening: set[int] = set()
        self._end, self._wake = socket.socketpair()
        self._poll.register(self._end, select.POLLIN)
        self._thread = threading.Thread(target=self._serve)

    def add(self, place: Namespace) -> None:
        for protocol, port in SERVED:
            kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
            server = place.socket(kind, socket.AF_INET6)  # and IPv4
            server.bind(("::", port))
            if protocol == "TCP":
                server.listen(256)
                self._listening.add(server.fileno())
            self._register(server)

    def _register(self, each: socket.socket) -> None:
        self._sockets[each.fileno()] = each
        self._poll.register(each, select.POLLIN)

    def _serve(self) -> None:
        while True:
            for number, _ in self._poll.poll():
                if number == self._end.fileno():
                    return
                with suppress(OSError):
                    self._answer(self._sockets[number])

    def _answer(self, each: socket.socket) -> None:
        if each.type == socket.SOCK_DGRAM:
            _, peer = each.recvfrom(100)
            each.sendto(b"hello", peer)
        elif each.fileno() in self._listening:
            connection, _ = each.accept()
            self._register(connection)
            connection.send(b"hello")
        elif data := each.recv(100):
            each.send(data)
        else:
            self._poll.unregister(each)
            self._sockets.pop(each.fileno()).close()

    def __enter__(self) -> Servers:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for each in (self._end, self._wake, *self._sockets.values()):
            each.close()


@contextmanager
def hosts(pods: Iterable[Document]) -> Iterator[Hosts]:
    """A bridge as the kubelet makes it, with these pods; the way outside is routed. Bridges do not ask the rules yet."""
    with ExitStack() as stack:
        node, outside = stack.enter_context(created("node")), stack.enter_context(created("out"))
        found = Hosts(node, {OUTSIDE: outside})
        servers = Servers()
        node.run(
            f"ip link add up0 type veth peer name eth0 netns {outside.name}; ip addr add {NODE}/24 dev up0; ip link set up0 up;"
            "ip link add pyb0 type bridge; ip addr add 10.244.0.1/24 dev pyb0; ip addr add fd00::1/64 dev pyb0 nodad;"
            "ip link set pyb0 up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1;"
            "sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0"
        )
        outside.run(f"ip addr add {OUTSIDE}/24 dev eth0; ip link set eth0 up; ip route add default via {NODE}")
        servers.add(outside)
        for number, document in enumerate(pods):
            pod = stack.enter_context(created(f"pod{number}"))
            ip, ip6 = (item["ip"] for item in document["status"]["podIPs"])
            node.run(
                f"ip link add v{number} type veth peer name eth0 netns {pod.name}; ip link set v{number} master pyb0 up;"
                f"bridge link set dev v{number} hairpin on"
            )
            pod.run(
                f"ip addr add {ip}/24 dev eth0; ip addr add {ip6}/64 dev eth0 nodad; ip link set eth0 up;"
                "ip route add default via 10.244.0.1"
            )
            found.places |= {ip: pod, ip6: pod}
            servers.add(pod)
        stack.enter_context(servers)
        yield found


@asynccontextmanager
async def agent(client: MemoryClient, node: str, sync_period: float = 30.0) -> AsyncIterator[None]:
    """kube-network-policies on this loop, whose thread is on the node."""
    work = asyncio.ensure_future(PolicyAgent(node, sync_period, client, KernelTable(), Metrics(), RealClock()).run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def eventually(check: Callable[[], T], right: T) -> None:
    """The check comes to what is right, and may begin with something else."""
    clock = RealClock()
    end = clock.monotonic() + ANSWER_SECONDS
    while (found := await asyncio.to_thread(check)) != right:
        assert clock.monotonic() < end, found
        await asyncio.sleep(0.02)
