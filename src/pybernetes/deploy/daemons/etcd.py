"""etcd's members (upstream: kubeadm app/phases/etcd/local.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..configuration import ETCD_DATA_DIR
from .flags import command_line
from .model import ETCD, Check, Cluster, Daemon, Host

CLIENTS, PEERS, METRICS = 2379, 2380, 2381
NEW, EXISTING = "new", "existing"
BEGINNING = ("--initial-cluster=", "--initial-cluster-state=")


def client_url(host: Host) -> str:
    """Where a member answers clients."""
    return f"https://{_bracketed(host.address)}:{CLIENTS}"


def peer_url(host: Host) -> str:
    """Where it answers the other members."""
    return f"https://{_bracketed(host.address)}:{PEERS}"


def endpoints(cluster: Cluster, first: Host) -> Sequence[str]:
    """All members' client URLs; that of the host itself comes first, where it has one."""
    external = cluster.configuration.cluster.etcd.external
    if external is not None:
        return external.endpoints
    members = cluster.having(ETCD)
    return [client_url(host) for host in sorted(members, key=lambda host: host.name != first.name)]


def etcd(cluster: Cluster, host: Host, members: Sequence[Host] = (), state: str = NEW) -> Daemon:
    """A member. `members` are those that there are when it starts, itself among them; default: all of the cluster."""
    configuration = cluster.configuration.cluster
    pki, local = configuration.certificates_dir, configuration.etcd.local
    data = (local.data_dir if local is not None else "") or ETCD_DATA_DIR
    together = members or cluster.having(ETCD)
    arguments: Mapping[str, str] = {
        "advertise-client-urls": client_url(host),
        "cert-file": f"{pki}/etcd/server.crt",
        "client-cert-auth": "true",
        "data-dir": data,
        "initial-advertise-peer-urls": peer_url(host),
        "initial-cluster": ",".join(f"{member.name}={peer_url(member)}" for member in together),
        "initial-cluster-state": state,
        "key-file": f"{pki}/etcd/server.key",
        "listen-client-urls": f"https://127.0.0.1:{CLIENTS},{client_url(host)}",
        "listen-metrics-urls": f"http://127.0.0.1:{METRICS}",
        "listen-peer-urls": peer_url(host),
        "name": host.name,
        "peer-cert-file": f"{pki}/etcd/peer.crt",
        "peer-client-cert-auth": "true",
        "peer-key-file": f"{pki}/etcd/peer.key",
        "peer-trusted-ca-file": f"{pki}/etcd/ca.crt",
        "snapshot-count": "10000",
        "trusted-ca-file": f"{pki}/etcd/ca.crt",
    }
    return Daemon(
        name="etcd",
        about="keeps the cluster's state, with the other members",
        program="etcd",
        arguments=command_line(arguments, local.extra_args if local is not None else ()),
        directories=(data,),
        check=Check(url=f"http://127.0.0.1:{METRICS}/health"),
    )


def begun(daemon: Daemon, told: Sequence[str]) -> Daemon:
    """A member that has begun, by its present arguments: which members there were then it reads once in its life, and others would say
    nothing but cost a start."""
    kept = [one for one in told if one.startswith(BEGINNING)]
    if not kept:
        return daemon
    rest = [one for one in daemon.arguments if not one.startswith(BEGINNING)]
    return replace(daemon, arguments=tuple(sorted((*rest, *kept), key=lambda argument: argument.partition("=")[0])))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
