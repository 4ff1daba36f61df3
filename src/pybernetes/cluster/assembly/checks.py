"""What speaks against a host before anything is done on it; pure: facts in, problems out (upstream: cmd/kubeadm/app/preflight/checks.go).

Each check has kubeadm's name, by which --ignore-preflight-errors passes over it, and says what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pybernetes.api.names import dns1123_subdomain_errors

from ..preflight import ENOUGH_BYTES

ALL = "all"
# A certificate holds from five minutes before it was made: beyond that TLS fails, somewhere in the middle.
CLOCK_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Need:
    """A program, the Debian package that has it, and what for."""

    program: str
    package: str
    why: str

    def text(self) -> str:
        """That it is missing, and what to do."""
        return f"{self.program} not found ({self.why}): apt-get install {self.package}"


NODE_NEEDS = (
    Need("iptables-restore", "iptables", "services and masquerading"),
    Need("conntrack", "conntrack", "connections to endpoints that are gone"),
)
POLICIES_NEED = Need("nft", "nftables", "network policies; without them: network.policies: false")
INGRESS_NEED = Need("nginx", "nginx", "serves Ingresses, packed into an image")
ETCD_NEED = Need("etcd", "etcd-server", "keeps the cluster's state")
BALANCER_NEEDS: Mapping[str, Sequence[Need]] = {
    "nginx": (Need("nginx", "nginx libnginx-mod-stream", "passes connections on to the API servers"),),
    "haproxy": (Need("haproxy", "haproxy", "passes connections on to the API servers"),),
}
ADDRESS_NEEDS = (
    Need("keepalived", "keepalived", "holds the virtual address"),
    Need("curl", "curl", "asks whether the balancer is well"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen of the host. `ports`: why one that is wanted cannot be had; `docker`: its version; `free`: bytes by directory."""

    root: bool = True
    node_name: str = ""
    address: str = ""
    addresses: Collection[str] = ()
    missing: Sequence[Need] = ()
    ports: Mapping[int, str] = field(default_factory=dict)
    docker: str = ""
    free: Mapping[str, int] = field(default_factory=dict)
    leftovers: Sequence[str] = ()  # files of another cluster, or of one that this host is in
    member: str = ""  # what this host is already, by what it remembers


@dataclass(frozen=True, slots=True)
class Problem:
    """`check` is kubeadm's name."""

    check: str
    text: str


def problems(facts: Facts) -> list[Problem]:
    """All that is in the way."""
    findings = []
    if not facts.root:
        findings.append(Problem("IsPrivilegedUser", "user is not running as root: run it with sudo"))
    if facts.member:
        findings.append(Problem("HostState", f"{facts.member}: `pybernetes reset` takes it out first"))
    for error in dns1123_subdomain_errors(facts.node_name):
        text = f"{facts.node_name!r} cannot be a node's name: {error}; give another one with --node-name, or `hostnamectl set-hostname`"
        findings.append(Problem("Hostname", text))
    if facts.address not in facts.addresses:
        have = ", ".join(facts.addresses)
        text = f"this host has no address {facts.address}: give one of {have} with --apiserver-advertise-address"
        findings.append(Problem("AdvertiseAddress", text))
    findings += [Problem(f"FileExisting-{need.program}", need.text()) for need in facts.missing]
    for port, reason in facts.ports.items():
        text = f"Port {port} is in use ({reason}): `ss -ltnp sport = :{port}` shows by whom; end that (`systemctl disable --now NAME`)"
        findings.append(Problem(f"Port-{port}", text))
    if not facts.docker:
        findings.append(
            Problem("CRI", "Docker does not answer: apt-get install docker.io, systemctl enable --now docker")
        )
    for path, size in facts.free.items():
        if size < ENOUGH_BYTES:
            findings.append(
                Problem("Disk", f"only {size >> 20} MiB are free at {path}, want {ENOUGH_BYTES >> 20}: make room")
            )
    for path in facts.leftovers:
        name = path.strip("/").replace("/", "-")
        text = f"{path} is left of another cluster: `pybernetes reset` cleans the host"
        findings.append(Problem(f"FileAvailable--{name}", text))
    return findings


def serious(findings: Sequence[Problem], ignored: Collection[str]) -> tuple[list[Problem], list[Problem]]:
    """(errors, warnings): those whose check is ignored only warn. Names count in any case."""
    passed = {name.lower() for name in ignored}
    errors = [one for one in findings if ALL not in passed and one.check.lower() not in passed]
    return errors, [one for one in findings if one not in errors]


def clock_problem(seconds: float) -> str:
    """By how much this host's clock is ahead of the cluster's (behind: negative); "" where that does no harm."""
    if abs(seconds) <= CLOCK_SECONDS:
        return ""
    side = "ahead of" if seconds > 0 else "behind"
    return f"this host's clock is {abs(seconds):.0f} s {side} the cluster's: set it (`timedatectl set-ntp true`), else no certificate holds"


def listed(errors: Sequence[Problem]) -> str:
    """As kubeadm shows them."""
    lines = "".join(f"\n\t[ERROR {one.check}]: {one.text}" for one in errors)
    hint = "If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`"
    return f"[preflight] Some fatal errors occurred:{lines}\n[preflight] {hint}"
