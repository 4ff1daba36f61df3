"""Which interface, by every way of asking."""

from __future__ import annotations

import pytest

from pybernetes.flannel.interface import InterfaceError, Wanted, choose
from pybernetes.net.routes import Link

LINKS = [
    Link(1, "lo", 65536),
    Link(2, "eth0", 1500, addresses=("10.0.0.5", "169.254.1.1")),
    Link(3, "eth1", 9000, addresses=("192.168.7.1", "192.168.7.2")),
    Link(4, "bare", 1500),
    Link(5, "null0", 0, addresses=("10.9.9.9",)),
]


def way_to(address: str) -> tuple[int, str]:
    return {"192.168.7.99": (3, "192.168.7.2")}.get(address, (4, ""))


@pytest.mark.parametrize(
    ("wanted", "name", "address", "public_ip"),
    [
        (Wanted(), "eth0", "10.0.0.5", "10.0.0.5"),
        (Wanted(public_ip="192.168.7.2"), "eth1", "192.168.7.2", "192.168.7.2"),
        (Wanted(["eth1"]), "eth1", "192.168.7.1", "192.168.7.1"),
        (Wanted(["192.168.7.2"]), "eth1", "192.168.7.2", "192.168.7.2"),
        (Wanted(["none", "bare", "eth1"]), "eth1", "192.168.7.1", "192.168.7.1"),
        (Wanted(["eth0"], public_ip="203.0.113.1"), "eth0", "10.0.0.5", "203.0.113.1"),
        (Wanted(patterns=[r"^192\.168\."]), "eth1", "192.168.7.1", "192.168.7.1"),
        (Wanted(patterns=["^x", "eth[0-9]{1,2}"]), "eth0", "10.0.0.5", "10.0.0.5"),
        (Wanted(["none"], ["eth1"]), "eth1", "192.168.7.1", "192.168.7.1"),
        (Wanted(can_reach="192.168.7.99"), "eth1", "192.168.7.2", "192.168.7.2"),
    ],
)
def test_chosen(wanted: Wanted, name: str, address: str, public_ip: str) -> None:
    external = choose(wanted, LINKS, 2, way_to)
    assert (external.name, str(external.address), str(external.public_ip)) == (name, address, public_ip)


@pytest.mark.parametrize(
    ("wanted", "default", "words"),
    [
        (
            Wanted(),
            0,
            "Failed to find any valid interface to use: failed to get default interface: unable to find default route",
        ),
        (Wanted(), 4, "failed to find IPv4 address for interface bare"),
        (Wanted(public_ip="10.0.0.6"), 2, "error looking up interface 10.0.0.6: no interface with given IP found"),
        (Wanted(["eth7"]), 2, "error looking up interface eth7: no such network interface"),
        (Wanted(["bare"]), 2, "failed to find IPv4 address for interface bare"),
        (Wanted(["null0"]), 2, "failed to determine MTU for 10.9.9.9 interface"),
        (Wanted(["eth0"], public_ip="here"), 2, "invalid public IP address: here"),
        (Wanted(patterns=["("]), 2, "could not compile the IP address regex '('"),
        (
            Wanted(patterns=["^wlan"]),
            2,
            "could not match pattern ^wlan to any of the available network interfaces (lo:[], eth0:[",
        ),
        (Wanted(can_reach="8.8.8.8"), 2, "failed to get ifcanreach based interface"),
        (Wanted(can_reach="there"), 2, "failed to get ifcanreach based interface"),
    ],
)
def test_none(wanted: Wanted, default: int, words: str) -> None:
    with pytest.raises(InterfaceError) as refused:
        choose(wanted, LINKS, default, way_to)
    assert words in str(refused.value)
