"""What is done to hosts and to programs on them, and undone again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.hosts import LAN, Host, run

from .cluster import VIRTUAL, must


def processes(host: Host, programs: Sequence[str] = ()) -> list[int]:
    """Pids, as seen from here, of a host's processes but its init; of some programs, by the first word of their command line or the third."""
    here = os.readlink(f"/proc/{host.init}/ns/pid")
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == host.init:
            continue
        with suppress(OSError):
            if os.readlink(entry / "ns" / "pid") == here and (not programs or _program(entry) in programs):
                pids.append(int(entry.name))
    return pids


def _program(entry: Path) -> str:
    """etcd, nginx (also its workers), kube-apiserver."""
    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    if "pybernetes" in words[:4]:
        return words[words.index("pybernetes") + 1]
    return words[0].partition(":")[0].rpartition("/")[2]


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """To those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def set_link(host: Host, state: str) -> None:
    """up or down: the bridge's end of the host's cable."""
    run("ip", "-n", LAN, "link", "set", f"to-{host.name}", state)


@contextmanager
def killed(host: Host, programs: Sequence[str] = ()) -> Iterator[None]:
    """SIGKILL; who looks after programs starts them again. A whole host has lost its power, and boots in the end."""
    if programs:
        send(processes(host, programs), signal.SIGKILL)
        yield
        return
    set_link(host, "down")
    send(_apart_from_docker(host), signal.SIGKILL)
    host(f"ip address delete {VIRTUAL}/32 dev eth0")  # what the kernel holds is gone with it
    try:
        yield
    finally:
        set_link(host, "up")
        units = "$(ls -tr /run/units | sed -n 's/.pid$//p')"  # those that ran, in the order in which they were started
        boot = "rm -f /run/units/*.pid /run/pybernetes/*.pid; for unit in $units; do systemctl start --no-block $unit; done"
        must(host, f"units={units}; {boot}")


def _apart_from_docker(host: Host) -> list[int]:
    """A daemon that is killed leaves mounts and sockets that only a real boot would take away."""
    docker = {"dockerd", "containerd", "docker-containerd", "containerd-shim-runc-v2", "runc", "sshd"}
    return [pid for pid in processes(host) if not _named(pid, docker)]


def _named(pid: int, names: set[str]) -> bool:
    with suppress(OSError):
        return _program(Path(f"/proc/{pid}")) in names
    return False


@contextmanager
def frozen(host: Host, programs: Sequence[str] = ()) -> Iterator[None]:
    """SIGSTOP; the kernel goes on taking connections for them."""
    pids = processes(host, programs)
    send(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        send(pids, signal.SIGCONT)


@contextmanager
def cut(host: Host, programs: Sequence[str] = ()) -> Iterator[None]:
    """Nothing reaches it, nothing leaves it: the whole host, or the ports of some programs."""
    if not programs:
        set_link(host, "down")
        try:
            yield
        finally:
            set_link(host, "up")
        return
    rules = [rule for program in programs for rule in PACKETS[program]]
    must(host, "; ".join(f"iptables -w -I {rule} -j DROP" for rule in rules))
    try:
        yield
    finally:
        must(host, "; ".join(f"iptables -w -D {rule} -j DROP" for rule in rules))


PACKETS = {
    "etcd": (
        "INPUT -p tcp -m multiport --dports 2379,2380",
        "OUTPUT -p tcp -m multiport --sports 2379,2380",
        "OUTPUT -p tcp --dport 2380",
        "INPUT -p tcp --sport 2380",
    ),
    "nginx": ("INPUT -i eth0 -p tcp --dport 8443", "OUTPUT -o eth0 -p tcp --sport 8443"),
    "keepalived": ("INPUT -p vrrp", "OUTPUT -p vrrp"),
}


@dataclass(frozen=True)
class Target:
    """Of what something is done: a whole host where it names no programs."""

    name: str
    programs: tuple[str, ...] = ()


MASTER, ETCD, BALANCER = Target("master"), Target("etcd", ("etcd",)), Target("balancer", ("nginx", "keepalived"))
FAULTS: Sequence[Callable[[Host, Sequence[str]], AbstractContextManager[None]]] = (killed, frozen, cut)
