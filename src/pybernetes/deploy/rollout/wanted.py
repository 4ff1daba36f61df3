"""What a host is to have: programs, files, daemons. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..daemons.balancer import FOLDER as BALANCER_FOLDER
from ..daemons.hosts import daemons
from ..daemons.model import BALANCER, ETCD, MASTER, WORKER, Cluster, Daemon, File, Host
from ..daemons.render import systemd
from ..layout import INGRESS_IMAGE, images
from .facts import IMAGES, Present, unit_path

# Programs (by name, or by the path of what is none) and the packages of Debian that have them.
EVERYWHERE = {"curl": "curl", "python3": "python3", "ip": "iproute2"}
OF_ETCD = {"etcd": "etcd-server"}
OF_NODES = {"dockerd": "docker.io", "iptables": "iptables", "conntrack": "conntrack"}
OF_POLICIES = {"nft": "nftables"}
OF_INGRESS = {"nginx": "nginx"}  # its program is packed into the image that serves Ingresses
OF_BALANCERS = {
    "nginx": {"nginx": "nginx", "/usr/lib/nginx/modules/ngx_stream_module.so": "libnginx-mod-stream"},
    "haproxy": {"haproxy": "haproxy"},
}
OF_VIRTUAL_ADDRESSES = {"keepalived": "keepalived"}
PROGRAM = "/usr/local/bin/pybernetes"
NGINX = "nginx"
BALANCERS = ("nginx", "haproxy", "keepalived")
WATCHER = "balancer"  # keeps the balancers' files of a host that init or join has made
# Which members there were when this one began; etcd reads it once in its life.
_BEGINNING = re.compile(r"^( *)--initial-cluster(?:-state)?=.*$", re.MULTILINE)
_CALLED = re.compile(r"^ExecStart=(?P<python>/\S+) \\\n +-m \\\n +pybernetes \\\n +(?P<program>\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`needs` are programs and their packages. `own` are daemons that no init and no join brings, hence written before. `images` of add-ons
    by name, with the file that is there where they were packed; `frees_ports`: nginx runs in a pod here, and Debian's unit is in its way."""

    host: Host
    needs: Mapping[str, str]
    daemons: tuple[Daemon, ...]
    own: tuple[Daemon, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    frees_ports: bool = False

    def files(self) -> list[str]:
        """The paths to look at."""
        return sorted({file.path for daemon in (*self.daemons, *self.own) for file in files(daemon)})


def wanted(cluster: Cluster, host: Host) -> Wanted:
    """Of a host."""
    needs = dict(EVERYWHERE)
    if ETCD in host.roles:
        needs |= OF_ETCD
    if MASTER in host.roles or WORKER in host.roles:
        needs |= OF_NODES | (OF_POLICIES if cluster.network.policies else {})
        needs |= OF_INGRESS if cluster.addons.ingress else {}
    balancer = cluster.balancer
    if balancer is not None and (BALANCER in host.roles or (balancer.on_nodes and _is_node(host))):
        needs |= OF_BALANCERS[balancer.kind] | (OF_VIRTUAL_ADDRESSES if balancer.virtual_address else {})
    everything = daemons(cluster, host)
    names = images(cluster.configuration.cluster.dns, cluster.addons) if _is_node(host) else ()
    packed = {name: f"{IMAGES}/{name}.tar" for name in names}
    frees = INGRESS_IMAGE in packed and NGINX not in [daemon.name for daemon in everything]
    if brought_by_join(cluster):
        return Wanted(host, needs, tuple(everything) if _is_node(host) else (), (), packed, frees)
    own = tuple(daemon for daemon in everything if daemon.name in BALANCERS)
    rest = tuple(daemon for daemon in everything if daemon not in own and daemon.name != WATCHER)
    return Wanted(host, needs, rest, own, packed, frees)


def brought_by_join(cluster: Cluster) -> bool:
    """Whether the balancers are those that init and join know: on all masters and nowhere else, or one on each host."""
    balancer = cluster.balancer
    return balancer is not None and (balancer.on_nodes or cluster.having(BALANCER) == cluster.having(MASTER))


def files(daemon: Daemon) -> tuple[File, ...]:
    """A daemon's files, its unit among them."""
    return (*daemon.files, systemd.unit(daemon, (PROGRAM,)))


def as_called(daemon: Daemon, present: str) -> File:
    """Its unit, with the command for pybernetes that the present one has: init and join call the interpreter that ran them."""
    match = _CALLED.search(present)
    if daemon.ours and match and match["program"] == daemon.program:
        return systemd.unit(daemon, (match["python"], "-m", "pybernetes"))
    return systemd.unit(daemon, (PROGRAM,))


def differing(daemon: Daemon, present: Mapping[str, Present], watched: bool) -> tuple[File, ...]:
    """Those of a daemon's files that are not as they are to be. `watched`: somebody on the host keeps those of the balancers."""
    names = []
    for file in files(daemon):
        if watched and file.path.startswith(f"{BALANCER_FOLDER}/"):
            continue
        there = present.get(file.path)
        if there is not None and file.path == unit_path(daemon.name):
            file = as_called(daemon, there.text)
        aim = with_beginning(file, there.text) if daemon.name == ETCD and there is not None else file
        if there is None or (there.text, there.mode) != (aim.text, aim.mode):
            names.append(aim)
    return tuple(names)


def with_beginning(file: File, present: str) -> File:
    """A member's unit with the beginning that the present one tells: another one would change nothing, and cost a start."""
    told = _BEGINNING.findall(present)
    lines: Sequence[str] = [match[0] for match in _BEGINNING.finditer(present)]
    if len(told) != len(_BEGINNING.findall(file.text)):
        return file
    kept = iter(lines)
    return replace(file, text=_BEGINNING.sub(lambda _: next(kept), file.text))


def _is_node(host: Host) -> bool:
    return MASTER in host.roles or WORKER in host.roles
