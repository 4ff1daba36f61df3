"""The ways in which a kernel can be made to send traffic to endpoints: --proxy-mode (upstream: pkg/proxy/{iptables,nftables,ipvs}).

A mode is a room of this folder and an entry of `MODES`. Its `Mode` says whether the machine has what it needs, makes a `Backend` for
each family and removes what a proxy has left; the backend brings the kernel from one state of services to the next. What services
are (`model`), when to sync (`app`), health and metrics are the same for all.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..metrics import Metrics
from ..model import Change as Change
from ..model import Changes as Changes
from ..model import Services as Services

DEFAULT_MODES = ("iptables", "nftables")  # in the order in which one is looked for
MODES = (*DEFAULT_MODES, "ipvs", "userspace")
DEFAULT_MODE = DEFAULT_MODES[0]
IPVS_DEVICE = "kube-ipvs0"  # has the addresses of services in the mode ipvs


class BackendError(Exception):
    """The kernel or a program refused, or is missing; the text is its own."""


@dataclass(frozen=True, slots=True)
class IPVSOptions:
    """kube-proxy's flags of the mode ipvs."""

    scheduler: str = "rr"
    strict_arp: bool = False
    exclude_cidrs: tuple[str, ...] = ()  # virtual servers there are not removed, whoever made them
    tcp_timeout: float = 0.0  # seconds; 0 leaves it as it is
    tcp_fin_timeout: float = 0.0
    udp_timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports of this node."""

    first: int
    size: int

    def __str__(self) -> str:
        return f"{self.first}-{self.first + self.size - 1}"


@dataclass(frozen=True, slots=True)
class Userspace:
    """Flags of the mode userspace alone."""

    bind_address: str = ""  # where its ports listen; "": everywhere
    ports: PortRange | None = None  # None: as the kernel chooses
    udp_timeout: float = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Options:
    """kube-proxy's flags that shape what is put into the kernel, for one family."""

    cluster_cidr: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    node_port_addresses: tuple[str, ...] | None = None  # this node's addresses in --nodeport-addresses; None: all
    pod_interface: str = ""  # instead of the CIDR: pods' traffic comes in here ("cni0", or with a prefix "veth+")
    localhost_node_ports: bool = True
    node_ip: str = ""  # this node's own address, "" where it is not known
    service_cidrs: tuple[str, ...] = ()  # where cluster IPs are taken from, as far as the cluster's ServiceCIDRs say it
    ipvs: IPVSOptions = IPVSOptions()
    userspace: Userspace = Userspace()


class Backend(Protocol):
    """What one mode puts into the kernel for one family. Only one `sync` runs at a time."""

    family: str  # IPv4 or IPv6

    async def sync(self, changes: Changes, services: Services, options: Options, *, reread: bool) -> bool:
        """Makes the kernel hold what `services` say, all or nothing; whether it does now.

        `changes` is how they differ from what the last successful call was given. `reread`: what is in the kernel is read
        and repaired; otherwise it is as this backend has left it. After a failure, which is logged and counted, the caller
        comes again with `reread` and the changes of both calls. Stale UDP flows are forgotten.
        """
        ...


@runtime_checkable
class Closing(Protocol):
    """A backend that holds something itself: sockets."""

    async def close(self) -> None:
        """Lets go of it; what is in the kernel stays. After the last `sync`."""
        ...


class Mode(Protocol):
    """What `mode` of a room's module is."""

    name: str

    async def lacks(self) -> str:
        """What this machine lacks for it, for the user; "" if nothing."""
        ...

    async def backends(self, metrics: Metrics) -> list[Backend]:
        """One for each family that the machine has, IPv4 first. BackendError."""
        ...

    async def remove(self, shared: bool) -> None:
        """Takes out of the kernel what a proxy of this mode has put there; with `shared` also what a kubelet uses too.

        BackendError, after everything that could be removed has been.
        """
        ...


def mode(name: str) -> Mode:
    """The mode of that name, one of `MODES`. Its room is loaded now."""
    loaded: Mode = importlib.import_module(f"{__name__}.{name}").MODE
    return loaded
