"""Routes, neighbours and VXLAN devices over netlink, beside the links of `links` (upstream: vishvananda/netlink). Blocking."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .links import Netlink, unless

_log = logging.getLogger(__name__)

MAIN_TABLE = 254  # RT_TABLE_MAIN: where routes go that name no table
ONLINK = 4  # RTNH_F_ONLINK: the gateway is taken to be on the link, whatever its addresses say
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}  # by the version of IP
BRIDGE = 7  # AF_BRIDGE
DEPRECATED = 0x20  # IFA_F_DEPRECATED
BOOT = 3  # RTPROT_BOOT: what `ip route` writes, too
PERMANENT = 0x80  # NUD_PERMANENT: never asked for again, never forgotten
KERNEL_PORT = 8472  # Linux's, from before IANA gave 4789
SELF = 2  # NTF_SELF: the entry is the device's own, not that of a bridge above it


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface; of its addresses those of the world come before those of the link."""

    index: int
    name: str
    mtu: int
    mac: str = ""
    addresses: tuple[str, ...] = ()
    ipv6_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """To a network (CIDR) by a gateway; a device of 0 is the one through which the gateway is reached."""

    destination: str
    gateway: str
    device: int = 0
    onlink: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A permanent ARP entry: the hardware address of an IP address behind a device."""

    address: str
    mac: str
    device: int


@dataclass(frozen=True, slots=True)
class Forwarding:
    """A permanent entry of a VXLAN device's forwarding database: the host behind which a hardware address is."""

    mac: str
    host: str
    device: int


@dataclass(frozen=True, slots=True)
class VXLAN:
    """A VXLAN device as it should be. `link` is the index of what carries it, `local` its source address; port 0 is the kernel's, 8472."""

    name: str
    vni: int
    link: int
    local: str
    port: int = 0
    learning: bool = False
    gbp: bool = False


class Router(Netlink):
    """See `Netlink`: always one thread, LinkError. What is there already, and what is gone already, is no error."""

    def links(self) -> list[Link]:
        """All of them, in the order of their indexes."""
        with self._route() as route:
            addresses: dict[tuple[int, int], list[str]] = {}
            for entry in route.get_addr():
                attributes = dict(entry["attrs"])
                address = attributes.get("IFA_LOCAL") or attributes.get("IFA_ADDRESS")
                if address and not attributes.get("IFA_FLAGS", 0) & DEPRECATED:
                    addresses.setdefault((entry["family"], int(entry["index"])), []).append(str(address))
            links = [(int(link["index"]), dict(link["attrs"])) for link in route.get_links()]
        return [
            Link(
                index,
                str(attributes["IFLA_IFNAME"]),
                int(attributes.get("IFLA_MTU", 0)),
                str(attributes.get("IFLA_ADDRESS", "")),
                preferred(addresses.get((socket.AF_INET, index), [])),
                preferred(addresses.get((socket.AF_INET6, index), [])),
            )
            for index, attributes in sorted(links, key=lambda link: link[0])
        ]

    def link(self, name: str) -> Link | None:
        """One of them."""
        return next((link for link in self.links() if link.name == name), None)

    def default_device(self) -> int:
        """The index of the link that the default route leaves by, 0 where there is none."""
        with self._route() as route:
            devices = [dict(entry["attrs"]).get("RTA_OIF") for entry in route.get_default_routes(family=socket.AF_INET)]
        return next((int(device) for device in devices if device), 0)

    def way_to(self, address: str) -> tuple[int, str, str]:
        """(device, source address, gateway or "") of the route to an address. LinkError where there is none."""
        with self._route() as route:
            attributes = dict(route.route("get", dst=address)[0]["attrs"])
        return (
            int(attributes.get("RTA_OIF", 0)),
            str(attributes.get("RTA_PREFSRC", "")),
            str(attributes.get("RTA_GATEWAY", "")),
        )

    def routes(self, device: int = 0, family: int = socket.AF_INET) -> set[Route]:
        """Of the main table, with a gateway; through one device, or all. `onlink` is not told."""
        with self._route() as route:
            narrowed: dict[str, int] = {"oif": device} if device else {}
            entries = list(route.get_routes(family=family, table=MAIN_TABLE, **narrowed))
        return {
            Route(
                f"{attributes['RTA_DST']}/{entry['dst_len']}", attributes["RTA_GATEWAY"], attributes.get("RTA_OIF", 0)
            )
            for entry in entries
            for attributes in [dict(entry["attrs"])]
            if "RTA_DST" in attributes and "RTA_GATEWAY" in attributes
        }

    def replace_route(self, entry: Route) -> None:
        """In place of any route to the same destination."""
        with self._route() as route:
            route.route("replace", **_route_arguments(entry))

    def delete_route(self, entry: Route) -> None:
        """A route to the destination by another gateway stays."""
        with self._route() as route, unless(errno.ESRCH, errno.ENODEV):
            route.route("del", **_route_arguments(entry))

    def add_device_route(self, destination: str, device: int) -> None:
        """Everything there is behind the device, and needs no gateway."""
        with self._route() as route, unless(errno.EEXIST):
            route.route("add", dst=destination, oif=device, proto=BOOT)

    def add_blackhole(self, destination: str) -> None:
        """What is sent there and has no better route is dropped."""
        with self._route() as route, unless(errno.EEXIST):
            route.route("add", dst=destination, type="blackhole", proto=BOOT)

    def replace_neighbour(self, neighbour: Neighbour) -> None:
        with self._route() as route:
            route.neigh("replace", state=PERMANENT, **_neighbour_arguments(neighbour))

    def delete_neighbour(self, neighbour: Neighbour) -> None:
        with self._route() as route, unless(errno.ENOENT, errno.ENODEV):
            route.neigh("del", **_neighbour_arguments(neighbour))

    def neighbours(self, device: int, family: int = socket.AF_INET) -> set[Neighbour]:
        """The permanent ones."""
        with self._route() as route:
            entries = list(route.get_neighbours(family=family, ifindex=device))
        return {
            Neighbour(attributes["NDA_DST"], attributes["NDA_LLADDR"], device)
            for entry in entries
            for attributes in [dict(entry["attrs"])]
            if entry["state"] & PERMANENT and "NDA_DST" in attributes and "NDA_LLADDR" in attributes
        }

    def replace_forwarding(self, entry: Forwarding) -> None:
        """In place of the host that the hardware address was behind."""
        with self._route() as route:
            route.neigh("replace", state=PERMANENT, **_forwarding_arguments(entry))

    def delete_forwarding(self, entry: Forwarding) -> None:
        with self._route() as route, unless(errno.ENOENT, errno.ENODEV):
            route.neigh("del", **_forwarding_arguments(entry))

    def forwardings(self, device: int) -> set[Forwarding]:
        """The permanent ones of a VXLAN device."""
        with self._route() as route:
            entries = list(route.get_neighbours(family=BRIDGE, ifindex=device))
        return {
            Forwarding(attributes["NDA_LLADDR"], attributes["NDA_DST"], device)
            for entry in entries
            for attributes in [dict(entry["attrs"])]
            if entry["state"] & PERMANENT and "NDA_DST" in attributes and "NDA_LLADDR" in attributes
        }

    def add_vxlan(self, device: VXLAN, mac: str, mtu: int) -> None:
        """LinkError where a link of the name is there."""
        options: dict[str, Any] = {"vxlan_gbp": True} if device.gbp else {}
        with self._route() as route:
            route.link(
                "add",
                ifname=device.name,
                kind="vxlan",
                address=mac,
                mtu=mtu,
                vxlan_id=device.vni,
                vxlan_link=device.link,
                **{"vxlan_local6" if ":" in device.local else "vxlan_local": device.local},
                vxlan_learning=device.learning,
                vxlan_port=device.port or KERNEL_PORT,
                **options,
            )

        try:
            # Nobody behind it is to become this host's router by saying so.
            Path(f"/proc/sys/net/ipv6/conf/{device.name}/accept_ra").write_text("0")
        except OSError as error:  # of a kernel without IPv6
            _log.debug("accept_ra of %s: %s", device.name, error.strerror)

    def vxlan(self, name: str) -> VXLAN | None:
        """As it is; None where there is no link of the name, or it is of another kind."""
        index = self.index(name)
        if not index:
            return None
        with self._route() as route:
            links = [dict(link["attrs"]) for link in route.get_links(index)]
        information = dict(links[0].get("IFLA_LINKINFO", {}).get("attrs", ())) if links else {}
        if information.get("IFLA_INFO_KIND") != "vxlan":
            return None
        data = dict(information["IFLA_INFO_DATA"]["attrs"])
        return VXLAN(
            name,
            data["IFLA_VXLAN_ID"],
            data.get("IFLA_VXLAN_LINK", 0),
            data.get("IFLA_VXLAN_LOCAL") or data.get("IFLA_VXLAN_LOCAL6", ""),
            data["IFLA_VXLAN_PORT"],
            bool(data.get("IFLA_VXLAN_LEARNING")),
            "IFLA_VXLAN_GBP" in data,
        )


def preferred(addresses: list[str]) -> tuple[str, ...]:
    """Those by which others can reach the link; the world's first."""
    usable = [a for a in map(ipaddress.ip_address, addresses) if not (a.is_loopback or a.is_multicast or not int(a))]
    return tuple(str(address) for address in sorted(usable, key=lambda address: address.is_link_local))


def _route_arguments(route: Route) -> dict[str, Any]:
    arguments: dict[str, Any] = {"dst": route.destination, "gateway": route.gateway, "proto": BOOT}
    if route.device:
        arguments["oif"] = route.device
    if route.onlink:
        arguments["flags"] = ONLINK
    return arguments


def _neighbour_arguments(neighbour: Neighbour) -> dict[str, Any]:
    return {"dst": neighbour.address, "lladdr": neighbour.mac, "ifindex": neighbour.device}


def _forwarding_arguments(entry: Forwarding) -> dict[str, Any]:
    return {
        "family": BRIDGE,
        "flags": SELF,
        "dst": entry.host,
        "lladdr": entry.mac,
        "ifindex": entry.device,
    }
