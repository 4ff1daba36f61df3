"""Which interface, by every way of asking."""

from __future__ import annotations

import pytest

from pybernetes.flannel.interface import InterfaceError, Selection, choose
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
    ("selection", "name", "address", "public_ip"),
    [
        (Selection(), "eth0", "10.0.0.5", "10.0.0.5"),
        (Selection(public_ip="192.168.7.2"), "eth1", "192.168.7.2", "192.168.7.2"),
        (Selection(["eth1"]), "eth1", "192.168.7.1", "192.168.7.1"),
        (Selection(["192.168.7.2"]), "eth1", "192.168.7.2", "192.168.7.2"),
        (Selection(["none", "bare", "eth1"]), "eth1", "192.168.7.1", "192.168.7.1"),
        (Selection(["eth0"], public_ip="203.0.113.1"), "eth0", "10.0.0.5", "203.0.113.1"),
        (Selection(patterns=[r"^192\.168\."]), "eth1", "192.168.7.1", "192.168.7.1"),
        (Selection(patterns=["^x", "eth[0-9]{1,2}"]), "eth0", "10.0.0.5", "10.0.0.5"),
        (Selection(["none"], ["eth1"]), "eth1", "192.168.7.1", "192.168.7.1"),
        (Selection(can_reach="192.168.7.99"), "eth1", "192.168.7.2", "192.168.7.2"),
    ],
)
def test_chosen(selection: Selection, name: str, address: str, public_ip: str) -> None:
    external = choose(selection, LINKS, 2, way_to)
    assert (external.name, str(external.address), str(external.public_ip)) == (name, address, public_ip)


@pytest.mark.parametrize(
    ("selection", "default", "words"),
    [
        (
            Selection(),
            0,
            "Failed to find any valid interface to use: failed to get default interface: unable to find default route",
        ),
        (Selection(), 4, "failed to find IPv4 address for interface bare"),
        (Selection(public_ip="10.0.0.6"), 2, "error looking up interface 10.0.0.6: no interface with given IP found"),
        (Selection(["eth7"]), 2, "error looking up interface eth7: no such network interface"),
        (Selection(["bare"]), 2, "failed to find IPv4 address for interface bare"),
        (Selection(["null0"]), 2, "failed to determine MTU for 10.9.9.9 interface"),
        (Selection(["eth0"], public_ip="here"), 2, "invalid public IP address: here"),
        (Selection(patterns=["("]), 2, "could not compile the IP address regex '('"),
        (
            Selection(patterns=["^wlan"]),
            2,
            "could not match pattern ^wlan to any of the available network interfaces (lo:[], eth0:[",
        ),
        (Selection(can_reach="8.8.8.8"), 2, "failed to get ifcanreach based interface"),
        (Selection(can_reach="there"), 2, "failed to get ifcanreach based interface"),
    ],
)
def test_none(selection: Selection, default: int, words: str) -> None:
    with pytest.raises(InterfaceError) as refused:
        choose(selection, LINKS, default, way_to)
    assert words in str(refused.value)
