"""UDP flows that must be forgotten."""

from typing import Any

import pytest

from pybernetes.proxy.backends import Change
from pybernetes.proxy.conntrack import stale_flows
from pybernetes.proxy.model import ServicePort

from .objects import port

TO_SERVICE = "-p udp --orig-dst 10.96.20.1 --orig-port-dst 53"


def udp(*ips: str, **fields: Any) -> ServicePort:
    return port("dns", *ips, protocol="udp", **fields)


@pytest.mark.parametrize(
    ("old", "new", "flows"),
    [
        ([udp("1.1.1.1", "1.1.1.2")], [udp("1.1.1.2")], [f"{TO_SERVICE} --dst-nat 1.1.1.1"]),
        ([udp("1.1.1.1")], [udp("1.1.1.1", "1.1.1.2")], []),
        ([udp()], [udp("1.1.1.1")], [TO_SERVICE]),  # were refused, or went somewhere else
        ([], [udp("1.1.1.1")], [TO_SERVICE]),
        ([udp("1.1.1.1")], [], [TO_SERVICE, f"{TO_SERVICE} --dst-nat 1.1.1.1"]),
        (
            [udp("1.1.1.1", node_port=30053)],
            [udp("1.1.1.2", node_port=30053)],
            [f"{TO_SERVICE} --dst-nat 1.1.1.1", "-p udp --orig-port-dst 30053 --dst-nat 1.1.1.1"],
        ),
        ([port("web", "1.1.1.1")], [port("web", "1.1.1.2")], []),  # TCP connections end by themselves
        (
            [udp("fd00::1", cluster_ip="fd00:96::1")],
            [udp(cluster_ip="fd00:96::1")],
            ["-f ipv6 -p udp --orig-dst fd00:96::1 --orig-port-dst 53 --dst-nat fd00::1"],
        ),
    ],
)
def test_flows(old: list[ServicePort], new: list[ServicePort], flows: list[str]) -> None:
    change = Change(old, new)
    assert [" ".join(flow) for flow in stale_flows({("default", "dns"): change})] == flows
