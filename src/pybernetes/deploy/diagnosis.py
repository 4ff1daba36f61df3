"""What is wrong with a host, and what to do about it; pure: facts and now in, findings out (`doctor.py` gathers the facts)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pybernetes.pki.certificates import RENEW_BEFORE

MASTER, ETCD, NODE = "master", "etcd", "node"
# Who has to be found at which port, by role. What else listens there keeps it from starting.
PORTS: Mapping[str, Mapping[int, str]] = {
    ETCD: {2379: "etcd", 2380: "etcd"},
    MASTER: {6443: "kube-apiserver", 10257: "kube-controller-manager", 10259: "kube-scheduler"},
    NODE: {10250: "kubelet", 10248: "kubelet", 10256: "kube-proxy"},
}
# Programs of others, by role, with the Debian package.
PROGRAMS: Mapping[str, Mapping[str, str]] = {
    ETCD: {"etcd": "etcd-server"},
    MASTER: {},
    NODE: {"dockerd": "docker.io", "iptables-restore": "iptables", "conntrack": "conntrack"},
}
ENOUGH_BYTES, ENOUGH_SHARE = (
    1 << 30,
    0.10,
)  # upstream's kubelet evicts below 10 % (nodefs), and etcd stops where nothing is left
ENOUGH_INODES_SHARE = 0.05
ENOUGH_FILES = 65_536  # descriptors of an API server or etcd: one for each watch and connection
ENOUGH_INSTANCES = 128
CLOCK_NOTICE, CLOCK_WRONG = timedelta(seconds=1), timedelta(seconds=10)  # leases hold for 15 s
MODPROBE = "modprobe br_netfilter, and its name into /etc/modules-load.d/k8s.conf"
LEASE_OLD = timedelta(seconds=40)  # upstream's node-monitor-grace-period of old: NotReady


@dataclass(frozen=True, slots=True)
class Listener:
    """`command` is the process' command line and, in brackets, its name as the kernel keeps it; "" where it cannot be seen."""

    port: int
    pid: int
    command: str


@dataclass(frozen=True, slots=True)
class Disk:
    """Of the file system below a path."""

    path: str
    size: int
    free: int
    inodes: int
    free_inodes: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """`problem`: it cannot be read."""

    name: str
    begins: datetime | None = None
    ends: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen; None or empty where there was nothing to see. `api_offset`: the API server's clock less ours."""

    roles: frozenset[str]
    listeners: Sequence[Listener] = ()
    programs: frozenset[str] = frozenset()  # that are there
    disks: Sequence[Disk] = ()
    open_files: Mapping[str, int] = field(default_factory=dict)  # limit by part that runs
    inotify_instances: int | None = None
    ip_forward: bool | None = None
    bridge_calls: bool | None = None  # None: the module is not loaded
    iptables_problem: str = ""
    certificates: Sequence[Certificate] = ()
    api_server: str = ""  # its URL
    api_problem: str = ""
    api_offset: timedelta | None = None
    node_name: str = ""
    lease_renewed: datetime | None = None  # by the clock of the kubelet, which is this host's
    node_known: bool | None = None  # None: nobody was asked


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `error` keeps the cluster from working, `warning` will, or may."""

    level: Literal["error", "warning"]
    about: str
    what: str
    remedy: str


def diagnose(facts: Facts, now: datetime) -> list[Finding]:
    """Errors first, in the order in which to look at them."""
    findings = [
        *_programs(facts),
        *_ports(facts),
        *_kernel(facts),
        *_disks(facts),
        *_limits(facts),
        *_certificates(facts, now),
        *_clock(facts),
        *_api(facts, now),
    ]
    return sorted(findings, key=lambda finding: finding.level != "error")


def _programs(facts: Facts) -> Iterator[Finding]:
    for role in sorted(facts.roles):
        for program, package in PROGRAMS.get(role, {}).items():
            if program not in facts.programs:
                yield Finding("error", "program", f"{program} is not installed", f"apt-get install {package}")


THREAD_NAME = 15  # bytes of a name that the kernel keeps


def _ports(facts: Facts) -> Iterator[Finding]:
    for role in sorted(facts.roles):
        for port, part in PORTS.get(role, {}).items():
            at = [one for one in facts.listeners if one.port == port]
            if not at:
                yield Finding(
                    "error", "port", f"nobody listens on {port}", f"{part} does not run: see its log, and start it"
                )
            for one in at:
                if one.command and part not in one.command and f"[{part[:THREAD_NAME]}]" not in one.command:
                    shown = f"{one.command[:60]} (pid {one.pid})"
                    yield Finding(
                        "error", "port", f"{port} is taken by {shown}", f"end that process, so that {part} can have it"
                    )


def _kernel(facts: Facts) -> Iterator[Finding]:
    if NODE not in facts.roles:
        return
    if facts.ip_forward is False:
        remedy = (
            "sysctl -w net.ipv4.ip_forward=1, and the line net.ipv4.ip_forward = 1 in /etc/sysctl.d/99-kubernetes.conf"
        )
        yield Finding("error", "kernel", "this host forwards no packets: pods reach nobody", remedy)
    if facts.bridge_calls is None:
        what = (
            "packets between pods of this host pass no iptables: Services whose pod is on the same host do not answer"
        )
        yield Finding(
            "warning",
            "kernel",
            f"{what} (br_netfilter is not loaded)",
            "modprobe br_netfilter, and its name into /etc/modules-load.d/k8s.conf",
        )
    elif not facts.bridge_calls:
        what = "bridge-nf-call-iptables is 0: packets between pods of this host pass no iptables"
        yield Finding("warning", "kernel", what, "sysctl -w net.bridge.bridge-nf-call-iptables=1")
    if facts.iptables_problem:
        remedy = (
            "modprobe ip_tables nf_nat, or boot the kernel that is installed (its modules may be gone after an upgrade)"
        )
        yield Finding("error", "kernel", f"iptables does not work: {facts.iptables_problem}", remedy)


def _disks(facts: Facts) -> Iterator[Finding]:
    for disk in facts.disks:
        if disk.size and (disk.free < ENOUGH_BYTES or disk.free < ENOUGH_SHARE * disk.size):
            share = 100 * disk.free / disk.size
            level: Literal["error", "warning"] = "error" if disk.free < ENOUGH_BYTES // 4 else "warning"
            remedy = "make room: old logs in /var/log, images that nobody uses (docker image prune), or a larger disk"
            yield Finding(level, "disk", f"{disk.path}: {disk.free >> 20} MiB are free ({share:.0f} %)", remedy)
        if disk.inodes and disk.free_inodes < ENOUGH_INODES_SHARE * disk.inodes:
            what = f"{disk.path}: {disk.free_inodes} of {disk.inodes} inodes are free: no file can be made with none"
            yield Finding("warning", "disk", what, "remove directories of many small files")


def _limits(facts: Facts) -> Iterator[Finding]:
    for program, limit in sorted(facts.open_files.items()):
        if limit < ENOUGH_FILES:
            remedy = f"LimitNOFILE=1048576 in its unit, then restart {program}"
            yield Finding(
                "warning", "limit", f"{program} may open {limit} files: each watch and connection is one", remedy
            )
    if facts.inotify_instances is not None and facts.inotify_instances < ENOUGH_INSTANCES:
        what = f"fs.inotify.max_user_instances is {facts.inotify_instances}: containers that watch files fail with 'too many open files'"
        yield Finding("warning", "limit", what, "sysctl -w fs.inotify.max_user_instances=8192")


def _certificates(facts: Facts, now: datetime) -> Iterator[Finding]:
    for one in facts.certificates:
        if one.problem:
            yield Finding(
                "error",
                "certificate",
                one.problem,
                "restore it from a backup (pybernetes restore --what=files), or make it anew",
            )
        elif one.ends is not None and one.ends <= now:
            what = f"{one.name} ended on {one.ends:%Y-%m-%d %H:%M} UTC: nobody believes it any more"
            yield Finding("error", "certificate", what, _renewal(one.name))
        elif one.begins is not None and one.begins > now:
            what = f"{one.name} begins only on {one.begins:%Y-%m-%d %H:%M} UTC"
            yield Finding(
                "error", "certificate", what, "this host's clock is behind: put it right (timedatectl set-ntp true)"
            )
        elif one.ends is not None and one.ends - now < RENEW_BEFORE:
            yield Finding(
                "warning", "certificate", f"{one.name} ends in {(one.ends - now).days} days", _renewal(one.name)
            )


def _renewal(name: str) -> str:
    if name == "kubelet":
        return "join anew: remove /var/lib/kubelet/pki/kubelet-client-current.pem, give a fresh bootstrap-kubelet.conf, restart the kubelet"
    return "pybernetes certs rotate-ca prepare" if name.endswith("ca") else f"pybernetes certs renew {name}"


def _clock(facts: Facts) -> Iterator[Finding]:
    offset = facts.api_offset
    if offset is None or abs(offset) < CLOCK_NOTICE:
        return
    word = "behind" if offset > timedelta(0) else "before"
    what = f"this host's clock is {abs(offset).total_seconds():.0f} s {word} the API server's: leases, tokens, certificates are promises of time"
    level: Literal["error", "warning"] = "error" if abs(offset) >= CLOCK_WRONG else "warning"
    yield Finding(
        level, "clock", what, "apt-get install systemd-timesyncd (or chrony), timedatectl set-ntp true; on both hosts"
    )


def _api(facts: Facts, now: datetime) -> Iterator[Finding]:
    if facts.api_problem:
        remedy = (
            "look whether it runs there (`pybernetes status` on a control-plane host), and for a firewall on the way"
        )
        yield Finding("error", "api", f"{facts.api_server} does not answer: {facts.api_problem}", remedy)
    if NODE not in facts.roles or facts.node_known is None:
        return
    if not facts.node_known:
        what = f"the cluster knows no node {facts.node_name!r}"
        yield Finding(
            "error",
            "node",
            what,
            "see the kubelet's log; its request may wait for approval (kubectl get csr), or its name is another one",
        )
    elif facts.lease_renewed is None or now - facts.lease_renewed > LEASE_OLD:
        since = f"since {facts.lease_renewed:%H:%M:%S} UTC" if facts.lease_renewed else "ever"
        yield Finding(
            "error",
            "node",
            f"the cluster has not heard of this host's kubelet {since}",
            "see whether the kubelet runs, and its log",
        )
