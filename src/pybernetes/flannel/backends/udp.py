"""udp: packets in datagrams, passed on by this process, where the kernel can do nothing better (upstream: pkg/backend/udp)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pybernetes.net.links import LinkError
from pybernetes.net.routes import Router
from pybernetes.net.tun import Tun, open_tun

from ..config import BackendConfig
from ..interface import External
from ..lease import NO_DATA, Address, Lease, Network
from ..plan import Entry, Hop
from .tunnel import Table, Tunnel

_log = logging.getLogger(__name__)

DEFAULT_PORT = 8285
ENCAPSULATION = 28  # bytes: IP 20, UDP 8
DEVICE = "flannel%d"


class UDPBackend:
    """See `Backend`. Device and packets go with the process, as upstream's do: a host without its flanneld is cut off."""

    type = "udp"
    lease_type = ""

    def __init__(self, config: BackendConfig, interface: External) -> None:
        self.mtu = interface.mtu - ENCAPSULATION
        self._local = (str(interface.address), config.port or DEFAULT_PORT)
        self._table = Table()
        self._tunnel: Tunnel | None = None

    @property
    def alive(self) -> bool:
        """Whether packets are passed on."""
        return self._tunnel is not None and self._tunnel.alive

    def prepare(self, router: Router, mac: str) -> str:
        return NO_DATA

    def ensure(self, router: Router, own: Network, network: Network) -> bool:
        """The route leads to the network as a whole: which host it is, `Tunnel` finds out. The table outlives the device."""
        if self._tunnel is not None:
            if self.alive and router.index(self._tunnel.tun.name):
                return False
            _log.warning("%s is gone: it is made again", self._tunnel.tun.name)
            self.close()
        tun = open_tun(DEVICE)
        try:
            self._tunnel = self._configure(router, tun, own.network_address, network)
        except LinkError:
            os.close(tun.descriptor)
            raise
        return False

    def _configure(self, router: Router, tun: Tun, own: Address, network: Network) -> Tunnel:
        index = router.index(tun.name)
        router.add_address(index, str(own), 32)  # as one of itself: no broadcast address comes with it
        router.set_up(index, mtu=self.mtu)
        router.add_device_route(str(network), index)
        try:
            # What the tunnel answers carries this host's own address: without this Linux drops it, as no other host can have sent it.
            Path(f"/proc/sys/net/ipv4/conf/{tun.name}/accept_local").write_text("1")
        except OSError as error:
            _log.warning(
                "pods will not hear of subnets without a host: accept_local of %s: %s", tun.name, error.strerror
            )
        try:
            return Tunnel(tun, own.packed, self._local, self._table)
        except OSError as error:
            host, port = self._local
            raise LinkError(f"failed to start listening on UDP socket: {host}:{port}: {error.strerror}") from error

    def entries(self, lease: Lease, router: Router) -> tuple[Entry, ...]:
        return (Hop(lease.subnet, str(lease.attributes.public_ip)),)

    def add(self, router: Router, entry: Entry) -> None:
        if isinstance(entry, Hop):
            self._table.set(entry.subnet, entry.host)

    def remove(self, router: Router, entry: Entry) -> None:
        if isinstance(entry, Hop):
            self._table.remove(entry.subnet, entry.host)

    def present(self, router: Router) -> set[Entry]:
        """Of routes, which is what is asked for, there is one."""
        return set()

    def stale(self, router: Router) -> set[Entry]:
        """The table began empty."""
        return set()

    def close(self) -> None:
        if self._tunnel is not None:
            self._tunnel.close()
            self._tunnel = None
