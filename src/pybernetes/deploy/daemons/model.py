"""A daemon as data, and the cluster that it is of."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from ..configuration import Configuration
from ..types import Fields

MASTER, WORKER, ETCD, BALANCER = "master", "worker", "etcd", "balancer"
ROLES = (ETCD, MASTER, BALANCER, WORKER)  # in the order in which they come up


@dataclass(frozen=True, slots=True)
class File:
    """A file that a daemon reads; `mode` as of chmod. What is secret is never here: keys are made where they are used."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Check:
    """How to see that a daemon is well: a URL that answers 200, or an address (HOST:PORT) that takes connections.

    `authority` is a file; without an authority the certificate of the other side is not looked at.
    """

    url: str = ""
    address: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A process that runs as long as its host does.

    `program` is upstream's name; `ours`: it is a command of pybernetes. `after` names what has to run before; `files` are written
    before the start, and a change of them is a reason for a new start. `directories` are made with mode 0700.
    """

    name: str
    about: str  # one sentence for who reads a unit or a guide
    program: str
    arguments: tuple[str, ...] = ()
    ours: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    directories: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    check: Check | None = None
    reload: tuple[str, ...] = ()  # a command that has it read its files again, instead of a new start

    def command(self, pybernetes: Sequence[str] = ("pybernetes",)) -> tuple[str, ...]:
        """argv; `pybernetes` is how that command is called on the host."""
        return (*(pybernetes if self.ours else ()), self.program, *self.arguments)

    def text(self) -> str:
        """A command line for a shell, an argument a line."""
        head, *rest = self.command() if not self.ours else (" ".join(self.command()[:2]), *self.arguments)
        return " \\\n  ".join([head, *map(shlex.quote, rest)])


@dataclass(frozen=True, slots=True)
class Host:
    """One machine: the name is the node's, the address the one that the others use."""

    name: str
    address: str
    roles: tuple[str, ...] = (MASTER,)
    interface: str = ""  # that has the address; who announces a virtual address must know


@dataclass(frozen=True, slots=True)
class Network:
    """The pods' network: flannel's backend, "" where every node is its own; `policies`: whether NetworkPolicies hold."""

    backend: str = "vxlan"
    ip_masq: bool = True
    policies: bool = True


@dataclass(frozen=True, slots=True)
class Balancer:
    """What stands before the API servers: `kind` is nginx or haproxy; hosts of the role listen on `port`.

    With `virtual_address` keepalived moves it (a prefix length may follow a slash) between them; `router_id` is VRRP's, 1 to 255, and must
    be another one for each such cluster on the network.
    """

    kind: str = "nginx"
    port: int = 6443
    virtual_address: str = ""
    router_id: int = 51
    on_nodes: bool = False  # one on each node instead, at 127.0.0.1


class AddOns(Fields):
    """What runs in pods beside cluster DNS, where it is asked for: kubeadm brings none of it.

    `address_pool` is for the load balancer: CIDRs or FIRST-LAST; without any, Services get the nodes' own addresses.
    """

    metrics_server: bool = False
    local_path: bool = False
    load_balancer: bool = False
    address_pool: list[str] = msgspec.field(default_factory=list)
    ingress: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """The whole; `configuration` is of kubeadm's kind, with its defaults, without a host's own facts."""

    configuration: Configuration
    hosts: tuple[Host, ...]
    balancer: Balancer | None = None
    network: Network = Network()
    addons: AddOns = field(default_factory=AddOns)

    def having(self, role: str) -> tuple[Host, ...]:
        """The hosts of a role, in the order of the list."""
        return tuple(host for host in self.hosts if role in host.roles)
