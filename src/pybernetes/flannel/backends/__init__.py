"""The ways from host to host. `host-gw` needs nothing but routes, `vxlan` a device of its own, `udp` a process that passes packets on."""

from __future__ import annotations

from typing import Protocol

from pybernetes.net.routes import Forwarding, Neighbour, Route, Router

from ..config import BackendConfig
from ..interface import External
from ..lease import Lease, Network
from ..plan import Entry


class BackendError(Exception):
    """The backend cannot be used here; one line for the user."""


class Backend(Protocol):
    """Methods that take a router block, and are called on its thread; they raise LinkError."""

    type: str  # each is for one family of addresses: that of the interface's
    lease_type: str  # what leases say of it: udp's, which is older than this word, say nothing
    mtu: int  # of the pods' interfaces

    def prepare(self, router: Router, mac: str) -> str:
        """Makes the device, if there is one, of that hardware address if it is known; the data that other hosts are told."""
        ...

    def ensure(self, router: Router, own: Network, network: Network) -> bool:
        """The device is up and has its address; whether it is another than before, so that all entries have to come again."""
        ...

    def entries(self, lease: Lease, router: Router) -> tuple[Entry, ...]:
        """What there is to be for another host. LeaseError where it cannot be understood."""
        ...

    def present(self, router: Router) -> set[Entry]:
        """Of what there may be, what there is."""
        ...

    def add(self, router: Router, entry: Entry) -> None:
        """In place of what was there under the entry's key."""
        ...

    def remove(self, router: Router, entry: Entry) -> None:
        """What is not there, or is another's by now, stays so."""
        ...

    def close(self) -> None:
        """What cannot be without this process goes."""
        ...

    def stale(self, router: Router) -> set[Entry]:
        """What nobody but this backend can have written: what is not to be is taken away at the start."""
        ...


class InKernel:
    """Entries are the kernel's, and stay there."""

    def add(self, router: Router, entry: Entry) -> None:
        match entry:
            case Route():
                router.replace_route(entry)
            case Neighbour():
                router.replace_neighbour(entry)
            case Forwarding():
                router.replace_forwarding(entry)

    def remove(self, router: Router, entry: Entry) -> None:
        match entry:
            case Route():
                router.delete_route(entry)
            case Neighbour():
                router.delete_neighbour(entry)
            case Forwarding():
                router.delete_forwarding(entry)

    def close(self) -> None:
        pass


def backend(config: BackendConfig, interface: External) -> Backend:
    """BackendError in upstream's words, or in ours for a type that is not there."""
    from .hostgw import HostGateway
    from .udp import UDPBackend
    from .vxlan import VXLANBackend

    match config.type:
        case "host-gw":
            return HostGateway(interface)
        case "vxlan":
            return VXLANBackend(config, interface)
        case "udp":
            if interface.address.version == 6:
                raise BackendError("backend type udp is of IPv4 only: choose vxlan or host-gw for IPv6")
            return UDPBackend(config, interface)
        case "ipip" | "wireguard" | "alloc" | "extension" | "ipsec" | "tencent-vpc":
            raise BackendError(f"backend type {config.type} is not there: choose vxlan, host-gw or udp")
    raise BackendError(f"unknown backend type: {config.type}")
