"""The node's bridge and the pods' veths on it (upstream: CNI's bridge plugin). Blocking: `bridge` calls it on a thread of its own."""

from __future__ import annotations

import logging
from pathlib import Path

from pybernetes.net.links import LinkError, Netlink, inside

logger = logging.getLogger(__name__)

POD_INTERFACE = "eth0"
ETHERNET_MTU = 1500


class Links:
    """The host's end; keeps one netlink socket. Call it always from the same thread. LinkError, OSError."""

    def __init__(self, bridge: str) -> None:
        self._bridge = bridge
        self._netlink = Netlink()
        self._bridge_index = 0

    def ensure_bridge(self, address: str, prefix: int, mtu: int) -> None:
        """The bridge, up, with the pods' gateway as its address; forwarding on."""
        index = self._netlink.ensure_bridge(self._bridge)
        # A bridge takes the least of its ports' hardware addresses unless it has one of its own: pods would lose their gateway.
        octets = [0x02, *(int(part) for part in address.split("."))] if "." in address else [0x02, 0, 0, 0, 1]
        hardware = ":".join(f"{octet:02x}" for octet in [*octets, 0x01][:6])
        self._netlink.set_up(index, address=hardware, mtu=mtu)
        present = self._netlink.addresses(index)
        for other, length in present.items():
            if other != address and not other.startswith("fe80"):
                self._netlink.delete_address(index, other, length)  # the range of the node has changed
        if address not in present:
            try:
                self._netlink.add_address(index, address, prefix)
            except LinkError as error:
                raise LinkError(f"address {address} for bridge {self._bridge}: {error}") from error
        self._bridge_index = index
        _write("/proc/sys/net/ipv4/ip_forward", "1")
        make_bridges_call_iptables()
        # So that a host port answers on the loopback address as well.
        _write(f"/proc/sys/net/ipv4/conf/{self._bridge}/route_localnet", "1")

    def connect(self, pid: int, host_name: str, address: str, prefix: int, gateway: str, mtu: int) -> None:
        """A veth from the bridge into the namespace of a process, with its address and routes."""
        self.disconnect(host_name)  # of a try that did not come to its end
        namespace = f"/proc/{pid}/ns/net"
        index = self._netlink.add_veth(host_name, POD_INTERFACE, namespace, mtu)
        self._netlink.set_up(index, master=self._bridge_index)
        self._netlink.set_hairpin(index)
        with inside(namespace):
            _configure(address, prefix, gateway)

    def disconnect(self, host_name: str) -> None:
        """The host's end; the pod's goes with it."""
        index = self._netlink.index(host_name)
        if index:
            self._netlink.delete(index)

    def remove_bridge(self) -> None:
        self.disconnect(self._bridge)

    def members(self) -> list[str]:
        """The names of the links on the bridge."""
        index = self._netlink.index(self._bridge)
        return self._netlink.members(index) if index else []

    def close(self) -> None:
        self._netlink.close()


def _configure(address: str, prefix: int, gateway: str) -> None:
    """The pod's own end; the thread is in its namespace."""
    with Netlink() as netlink:
        netlink.set_up(netlink.index("lo"))
        index = netlink.index(POD_INTERFACE)
        netlink.add_address(index, address, prefix)
        netlink.set_up(index)
        netlink.add_default_route(gateway)


def _write(path: str, value: str) -> None:
    try:
        if Path(path).read_text().strip() != value:
            Path(path).write_text(value)
    except FileNotFoundError:
        logger.debug("%s is not there", path)  # a kernel without that module needs no such setting


def make_bridges_call_iptables() -> None:
    """Else pods of one node answer each other behind kube-proxy's back, from the wrong address."""
    _write("/proc/sys/net/bridge/bridge-nf-call-iptables", "1")


def default_mtu() -> int:
    """That of the link with the default route; Ethernet's where there is none."""
    with Netlink() as netlink:
        return netlink.default_mtu() or ETHERNET_MTU
