"""vxlan: the kernel's tunnel, with all it need not ask for written beforehand (upstream: pkg/backend/vxlan)."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from ipaddress import ip_address

from pybernetes.net.links import LinkError
from pybernetes.net.routes import FAMILIES, VXLAN, Route, Router

from .. import plan
from ..config import BackendConfig
from ..interface import External
from ..lease import Lease, Network, vxlan_data
from ..plan import Entry
from . import InKernel

_log = logging.getLogger(__name__)

ENCAPSULATION = 50  # bytes: outer Ethernet 14, IP 20, UDP 8, VXLAN 8
IPV6_MORE = 20  # bytes that IPv6's outer header is longer: Linux refuses a larger MTU there. Pods hear of it from the host, when they try


def random_mac() -> str:
    """Of one host, and locally administered."""
    first, *rest = secrets.token_bytes(6)
    return ":".join(f"{byte:02x}" for byte in ((first & 0xFE) | 0x02, *rest))


def incompatibility(device: VXLAN, existing: VXLAN) -> str:
    """Why a device that is there cannot be used, "" where it can; what is not asked for (0, "") may be anything."""
    for word, new, old in (
        ("vni", device.vni, existing.vni),
        ("vtep (external) interface", device.link, existing.link),
        ("vtep (external) IP", device.local, existing.local),
        ("port", device.port, existing.port),
    ):
        if new and old and new != old:
            return f"{word}: {new} vs {old}"
    if device.gbp != existing.gbp:
        return f"gbp: {device.gbp} vs {existing.gbp}"
    return ""


class VXLANBackend(InKernel):
    """See `Backend`. The device outlives the process, and is used again: packets flow on while there is no flanneld."""

    type = lease_type = "vxlan"

    def __init__(self, config: BackendConfig, interface: External) -> None:
        self.mtu = (config.mtu or interface.mtu) - ENCAPSULATION
        self._direct_routing = config.direct_routing
        version = interface.public_ip.version
        self._family, self._length = FAMILIES[version], interface.public_ip.max_prefixlen
        self._device_mtu = self.mtu if version == 4 else self.mtu - IPV6_MORE
        self._device = VXLAN(
            f"flannel.{config.vni}" if version == 4 else f"flannel-v6.{config.vni}",
            config.vni,
            interface.index,
            str(interface.public_ip),
            config.port,
            config.learning,
            config.gbp,
        )
        self._index, self._mac = 0, ""

    def prepare(self, router: Router, mac: str) -> str:
        self._make(router, mac)
        return vxlan_data(self._device.vni, self._mac)

    def _make(self, router: Router, mac: str) -> None:
        name, existing = self._device.name, router.vxlan(self._device.name)
        reason = incompatibility(self._device, existing) if existing is not None else "another kind of link"
        index = router.index(name)
        if index and reason:
            _log.warning("%r already exists with incompatible configuration: %s; recreating device", name, reason)
            router.delete(index)
        if not index or reason:
            router.add_vxlan(self._device, mac or random_mac(), self._device_mtu)
        link = router.link(name)
        if link is None:
            raise LinkError(f"{name} has vanished")
        self._index, self._mac = link.index, link.mac

    def ensure(self, router: Router, own: Network, network: Network) -> bool:
        """Its address is of the subnet, and a network of one: packets of this host to pods carry it, and find back."""
        before = self._index
        if router.index(self._device.name) != before:
            _log.warning("%s is gone: it is made again", self._device.name)
            self._make(router, self._mac)
        address = str(own.network_address)
        addresses = router.addresses(self._index)
        for other, prefix in addresses.items():
            stale = (other, prefix) != (address, self._length) and ip_address(other) in network
            if stale:
                router.delete_address(self._index, other, prefix)
        if addresses.get(address) != self._length:
            router.add_address(self._index, address, self._length)
        router.set_up(self._index, mtu=self._device_mtu)
        return self._index != before

    def entries(self, lease: Lease, router: Router) -> tuple[Entry, ...]:
        if self._direct_routing and self._is_direct(lease, router):
            return plan.by_gateway(lease, 0)
        return plan.by_vxlan(lease, self._index)

    @staticmethod
    def _is_direct(lease: Lease, router: Router) -> bool:
        """Whether the other host is on a link of this one, without a router between."""
        try:
            return not router.way_to(str(lease.attributes.public_ip))[2]
        except LinkError as error:
            _log.error("couldn't lookup route to %s: %s", lease.attributes.public_ip, error)
            return False

    def present(self, router: Router) -> set[Entry]:
        routes = {
            replace(route, onlink=True) if route.device == self._index else replace(route, device=0)
            for route in router.routes(0 if self._direct_routing else self._index, self._family)
        }
        return {*routes, *router.neighbours(self._index, self._family), *router.forwardings(self._index)}

    def stale(self, router: Router) -> set[Entry]:
        """All that leads through the device is its own."""
        routes = {
            Route(r.destination, r.gateway, r.device, onlink=True) for r in router.routes(self._index, self._family)
        }
        return {*routes, *router.neighbours(self._index, self._family), *router.forwardings(self._index)}
