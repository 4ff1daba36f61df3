"""The file that describes a cluster and its hosts; pure.

    apiVersion: pybernetes.io/v1alpha1
    kind: Cluster
    ssh:                       # how hosts are reached, where a host says nothing else
      user: root               # another one needs sudo without a password
      port: 22
      key: ~/.ssh/id_ed25519   # default: what ssh itself would try
    program: ""                # where hosts have pybernetes already; "": it is brought to them
    hosts:
    - name: master1            # the node's name
      address: 10.20.0.11      # that the others use
      roles: [master]          # master, worker, balancer
      interface: eth0          # of that address; default: the host is asked
      labels: {zone: a}        # of the node; others that it has stay
      taints: []               # of the node as it registers; default: kubeadm's for masters, none for workers
      ssh: {address: 192.0.2.1}
    balancer:
      kind: nginx              # nginx or haproxy
      port: 8443
      virtualAddress: 10.20.0.10
      routerID: 51             # VRRP's, another one for each cluster on a network
      onNodes: false           # one on each host, at 127.0.0.1, instead of a virtual address
    network:
      backend: vxlan           # flannel's: vxlan, host-gw, udp; none: somebody else's
      ipMasq: true
      policies: true           # whether NetworkPolicies hold, by our hands
      podSubnet: 10.244.0.0/16
      serviceSubnet: 10.96.0.0/12
    addons:                    # what kubeadm does not bring, either
      metricsServer: false     # figures for `kubectl top` and autoscalers
      localPath: false         # directories of nodes as volumes for claims
      loadBalancer: false      # addresses for Services of type LoadBalancer
      addressPool: []          # which: CIDRs or FIRST-LAST, announced by ARP and NDP; none: the nodes' own
      ingress: false           # Ingresses, by nginx at ports 80 and 443 of nodes that take users' pods

What else the cluster is to be is said in kubeadm's words: a ClusterConfiguration (kubeadm.k8s.io/v1beta4 or v1beta3) in a further document of
the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from .. import types
from ..configuration import (
    GROUP,
    Configuration,
    ConfigurationError,
    decoded,
    defaulted,
    documents,
    parse,
)
from ..daemons.model import BALANCER, ETCD, MASTER, WORKER, AddOns, Balancer, Cluster, Host, Network
from ..endpoints import url
from ..types import Fields

VERSION, KIND = "pybernetes.io/v1alpha1", "Cluster"
POD_SUBNET = "10.244.0.0/16"  # flannel's own choice
NONE = "none"
BACKENDS = ("vxlan", "host-gw", "udp", NONE)
BALANCERS = ("nginx", "haproxy")
ROLES = (MASTER, WORKER, BALANCER, ETCD)


class SSH(Fields):
    """How a host is reached; what is "" or 0 says nothing. `address` where it is another one than the cluster's."""

    user: str = ""
    port: int = 0
    key: str = ""
    address: str = ""


class HostEntry(Fields):
    """See the file above; `taints` are core/v1 Taints."""

    name: str = ""
    address: str = ""
    roles: list[str] = msgspec.field(default_factory=list)
    interface: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    taints: list[dict[str, Any]] | None = None
    ssh: SSH = msgspec.field(default_factory=SSH)


class BalancerEntry(Fields):
    """See the file above."""

    kind: str = "nginx"
    port: int = 8443
    virtual_address: str = ""
    router_id: int = msgspec.field(default=51, name="routerID")
    on_nodes: bool = False


class NetworkEntry(Fields):
    """See the file above."""

    backend: str = "vxlan"
    ip_masq: bool = True
    policies: bool = True
    pod_subnet: str = ""
    service_subnet: str = ""


class ClusterEntry(Fields):
    """The document itself."""

    ssh: SSH = msgspec.field(default_factory=SSH)
    program: str = ""
    hosts: list[HostEntry] = msgspec.field(default_factory=list)
    balancer: BalancerEntry | None = None
    network: NetworkEntry = msgspec.field(default_factory=NetworkEntry)
    addons: AddOns = msgspec.field(default_factory=AddOns)


@dataclass(frozen=True, slots=True)
class Description:
    """A file's content: what is ours and what is kubeadm's, this without defaults."""

    entry: ClusterEntry
    configuration: Configuration


def read(text: str) -> Description:
    """Of a file's text. ConfigurationError, which names the field."""
    ours: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for document in documents(text):
        identity = document.get("apiVersion"), document.get("kind")
        (ours if identity == (VERSION, KIND) else others).append(document)
    if len(ours) != 1:
        count = f"{len(ours)} documents" if ours else "no document"
        raise ConfigurationError(f"{count} of apiVersion {VERSION}, kind {KIND}: want one")
    entry = decoded(ClusterEntry, ours[0], f"{VERSION}, Kind={KIND}")
    assert isinstance(entry, ClusterEntry)
    return Description(entry, _kubeadms(others))


def _kubeadms(others: list[dict[str, Any]]) -> Configuration:
    """What nothing here would read is refused: a setting without effect is worse than none."""
    import yaml

    for document in others:
        version, kind = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
        if kind != "ClusterConfiguration" and version.partition("/")[0] == GROUP:
            text = "each host's own facts stand in `hosts`; only a ClusterConfiguration may stand beside them"
            raise ConfigurationError(f"{version}, Kind={kind}: {text}")
        if version.partition("/")[0] != GROUP:
            text = f"not known here: want {VERSION}, Kind={KIND} and {GROUP}'s ClusterConfiguration"
            raise ConfigurationError(f"{version or None}, Kind={kind or None}: {text}")
    if not others:
        return Configuration(types.InitConfiguration(), types.ClusterConfiguration())
    return parse(yaml.safe_dump_all(others)).configuration


def roles(description: Description, host: HostEntry) -> tuple[str, ...]:
    """All that a host is: a master has a member of etcd, where that is not external; without a host of their own balancers are on masters."""
    names = set(host.roles)
    balancer = description.entry.balancer
    if MASTER in names and description.configuration.cluster.etcd.external is None:
        names.add(ETCD)
    alone = not any(BALANCER in other.roles for other in description.entry.hosts)
    if MASTER in names and balancer is not None and not balancer.on_nodes and alone:
        names.add(BALANCER)
    return tuple(role for role in (ETCD, MASTER, BALANCER, WORKER) if role in names)


def cluster(description: Description, interfaces: dict[str, str] | None = None) -> Cluster:
    """The cluster as data; `interfaces` by host are what hosts said, for those of which the file says nothing."""
    entry = description.entry
    said = interfaces or {}
    hosts = tuple(
        Host(host.name, host.address, roles(description, host), host.interface or said.get(host.name, ""))
        for host in entry.hosts
    )
    balancer = None
    if entry.balancer is not None:
        given = entry.balancer
        balancer = Balancer(given.kind, given.port, given.virtual_address, given.router_id, given.on_nodes)
    backend = "" if entry.network.backend == NONE else entry.network.backend
    first = next(host for host in hosts if MASTER in host.roles)
    whole = defaulted(_with_network(description), first.name, first.address)
    network = Network(backend, entry.network.ip_masq, entry.network.policies)
    return Cluster(whole, hosts, balancer, network, entry.addons)


def endpoint_of(entry: ClusterEntry, bind_port: int, balancers: list[HostEntry], masters: list[HostEntry]) -> str:
    """HOST:PORT by which all reach the API, as the file implies it; "": it does not."""
    balancer = entry.balancer
    if balancer is not None:
        if balancer.on_nodes:
            return f"127.0.0.1:{balancer.port}"
        address = balancer.virtual_address.partition("/")[0]
        if not address and len(balancers) == 1:
            address = balancers[0].address
        return _joined(address, balancer.port) if address else ""
    return _joined(masters[0].address, bind_port) if len(masters) == 1 else ""


def _with_network(description: Description) -> Configuration:
    entry, configuration = description.entry, description.configuration
    networking, network = configuration.cluster.networking, entry.network
    pods = network.pod_subnet or networking.pod_subnet or (POD_SUBNET if network.backend != NONE else "")
    networking = msgspec.structs.replace(
        networking, pod_subnet=pods, service_subnet=network.service_subnet or networking.service_subnet
    )
    endpoint = configuration.cluster.control_plane_endpoint or implied_endpoint(description)
    changed = msgspec.structs.replace(configuration.cluster, networking=networking, control_plane_endpoint=endpoint)
    return Configuration(configuration.init, changed)


def implied_endpoint(description: Description) -> str:
    """HOST:PORT by which all reach the API where kubeadm's object does not say it; "": nothing implies it."""
    having = {
        role: [host for host in description.entry.hosts if role in roles(description, host)]
        for role in (BALANCER, MASTER)
    }
    return endpoint_of(description.entry, 6443, having[BALANCER], having[MASTER])


def _joined(host: str, port: int) -> str:
    return url(host, port).removeprefix("https://")
