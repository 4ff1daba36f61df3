"""Where the parts run: each in a network namespace of its own, joined by a bridge; or, without the rights for that, all on loopback.

A host in a namespace can be cut off. Whoever wants to talk to hosts in namespaces enters the hub's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ...netns.namespaces import Namespace, enter

PREFIX = f"baddays-{os.getpid()}"
NETWORK = "10.99.0"
OWN = "/proc/thread-self/ns/net"
CAN_CUT = os.geteuid() == 0 and shutil.which("ip") is not None
WHY_NOT = "" if CAN_CUT else "hosts are cut off in network namespaces, which need root and iproute2"


@dataclass(frozen=True)
class Host:
    """An address, and what a command on it begins with."""

    name: str
    address: str
    command: tuple[str, ...] = ()
    link: str = ""  # the hub's end of its cable

    def cut(self) -> None:
        """Nothing reaches it any more, nothing leaves it."""
        self._set("down")

    def heal(self) -> None:
        """As it was."""
        self._set("up")

    def _set(self, state: str) -> None:
        assert self.link, WHY_NOT
        subprocess.run(["ip", "netns", "exec", f"{PREFIX}-hub", "ip", "link", "set", self.link, state], check=True)


@contextmanager
def loopback(names: Sequence[str]) -> Iterator[list[Host]]:
    """Hosts that are all this one, and cannot be cut off."""
    yield [Host(name, "127.0.0.1") for name in names]


@contextmanager
def namespaces(names: Sequence[str]) -> Iterator[list[Host]]:
    """Hosts on a bridge, in namespaces that are gone afterwards; the calling thread, and what it starts, is in the bridge's meanwhile."""
    with ExitStack() as stack:
        hub = stack.enter_context(_namespace("hub"))
        hub.run(f"ip link add br0 type bridge && ip addr add {NETWORK}.1/24 dev br0 && ip link set br0 up")
        hosts = []
        for number, name in enumerate(names, 11):
            stack.enter_context(_namespace(name))
            inside, outside, address = f"{PREFIX}-{name}", f"v{number}", f"{NETWORK}.{number}"
            hub.run(
                f"ip link add {outside} type veth peer name eth0 netns {inside} && ip link set {outside} master br0 up"
                f" && ip -n {inside} addr add {address}/24 dev eth0 && ip -n {inside} link set eth0 up"
            )
            hosts.append(Host(name, address, ("ip", "netns", "exec", inside), outside))
        with _entered(hub):
            yield hosts


@contextmanager
def _namespace(word: str) -> Iterator[Namespace]:
    namespace = Namespace(f"{PREFIX}-{word}")
    subprocess.run(["ip", "netns", "add", namespace.name], check=True)
    try:
        namespace.run("ip link set lo up")
        yield namespace
    finally:
        subprocess.run(["ip", "netns", "del", namespace.name], check=True)


@contextmanager
def _entered(namespace: Namespace) -> Iterator[None]:
    descriptors = [os.open(path, os.O_RDONLY) for path in (OWN, f"/var/run/netns/{namespace.name}")]
    before, hub = descriptors
    try:
        enter(hub)
        yield
    finally:
        enter(before)
        for descriptor in descriptors:
            os.close(descriptor)
