"""The ways from host to host. `host-gw` needs nothing but routes, `vxlan` a device of its own."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Protocol

from pybernetes.net.routes import Router

from ..config import BackendConfig
from ..interface import External
from ..lease import Lease
from ..plan import Entry


class BackendError(Exception):
    """The backend cannot be used here; one line for the user."""


class Backend(Protocol):
    """Methods that take a router block, and are called on its thread; they raise LinkError."""

    type: str
    mtu: int  # of the pods' interfaces

    def prepare(self, router: Router, mac: str) -> str:
        """Makes the device, if there is one, of that hardware address if it is known; the data that other hosts are told."""
        ...

    def ensure(self, router: Router, own: IPv4Network, network: IPv4Network) -> bool:
        """The device is up and has its address; whether it is another than before, so that all entries have to come again."""
        ...

    def entries(self, lease: Lease, router: Router) -> tuple[Entry, ...]:
        """What there is to be for another host. LeaseError where it cannot be understood."""
        ...

    def present(self, router: Router) -> set[Entry]:
        """Of what there may be, what there is."""
        ...

    def stale(self, router: Router) -> set[Entry]:
        """What nobody but this backend can have written: what is not to be is taken away at the start."""
        ...


def backend(config: BackendConfig, interface: External) -> Backend:
    """BackendError in upstream's words, or in ours for a type that is not there."""
    from .hostgw import HostGateway
    from .vxlan import VXLANBackend

    match config.type:
        case "host-gw":
            return HostGateway(interface)
        case "vxlan":
            return VXLANBackend(config, interface)
        case "udp" | "ipip" | "wireguard" | "alloc" | "extension" | "ipsec" | "tencent-vpc":
            raise BackendError(f"backend type {config.type} is not there: choose vxlan or host-gw")
    raise BackendError(f"unknown backend type: {config.type}")
