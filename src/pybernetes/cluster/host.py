"""What the machine has: addresses, programs, Debian packages, Docker."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pybernetes.net.addresses import outward_address

from . import preflight

DOCKER_SECONDS = 2.0  # for an answer of the daemon


@dataclass(frozen=True, slots=True)
class Need:
    """A program, where its absence is found out, and the Debian package that has it."""

    program: str
    package: str
    why: str


NEEDS = (
    Need("dockerd", "docker.io", "runs the containers"),
    Need("iptables-restore", "iptables", "services and masquerading"),
    Need("conntrack", "conntrack", "forgets connections to endpoints that are gone"),
    Need("nft", "nftables", "network policies"),
    Need("busybox", "busybox-static", "the shell inside the project's image"),
)
SBIN = ("/usr/sbin", "/sbin", "/usr/local/sbin")


class HostError(Exception):
    """One line for the user that says what to do."""


def find(program: str) -> str | None:
    """Its path; system directories count even where PATH leaves them out."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))


def missing(needs: Sequence[Need] = NEEDS) -> list[Need]:
    """Those whose program is not there."""
    return [need for need in needs if find(need.program) is None]


def install(needs: Sequence[Need]) -> None:
    """Installs from Debian. HostError with apt's last words."""
    packages = [need.package for need in needs]
    if find("apt-get") is None:
        raise HostError(f"no apt-get here: install {', '.join(packages)} by hand")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", "--no-install-recommends", *packages]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            words = " ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
            raise HostError(f"`{' '.join(command)}` failed: {words}; install {', '.join(packages)} by hand")


def addresses() -> list[str]:
    """IPv4 addresses of the host: first the one that the default route would use, loopback only if there is no other."""
    outward = outward_address()
    listed = [outward] if outward else []
    for address in _interface_addresses():
        if address not in listed:
            listed.append(address)
    return [a for a in listed if not a.startswith("127.")] or ["127.0.0.1"]


def _interface_addresses() -> list[str]:
    """From the kernel's table of local addresses, so that no netlink library is loaded for it."""
    try:
        lines = Path("/proc/net/fib_trie").read_text().splitlines()
    except OSError:
        return []
    listed: list[str] = []
    for before, line in itertools.pairwise(lines):
        if "/32 host LOCAL" in line:
            address = before.split()[-1]
            if address not in listed:
                listed.append(address)
    return listed


def routes() -> list[preflight.Route]:
    """Of both families, from the kernel's text, so that no netlink library is loaded for it; none where there is no such text."""

    def read(name: str) -> str:
        try:
            return Path("/proc/net", name).read_text()
        except OSError:
            return ""

    return preflight.parse_routes(read("route"), read("ipv6_route"))


def free_bytes(*paths: Path) -> dict[str, int]:
    """What is free where these lie, or will lie; of paths on one disk the first."""
    free: dict[str, int] = {}
    disks: set[int] = set()
    for path in paths:
        present = next(p for p in (path, *path.parents) if p.exists())
        if present.stat().st_dev not in disks:
            disks.add(present.stat().st_dev)
            free[str(path)] = shutil.disk_usage(present).free
    return free


def node_name() -> str:
    """The host's name as the kubelet takes it."""
    return socket.gethostname().strip().lower()


def port_problem(port: int) -> str:
    """Why nothing of ours could listen there, "" if it could."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


def docker_version(endpoint: str) -> str:
    """The version of the daemon that answers there, "" if none does."""
    path = endpoint.removeprefix("unix://")
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DOCKER_SECONDS)
            connection.connect(path)
            connection.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return str(json.loads(answer.partition(b"\r\n\r\n")[2])["Version"])
    except (OSError, ValueError, LookupError):
        return ""
