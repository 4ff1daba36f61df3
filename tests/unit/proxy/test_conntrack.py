"""UDP flows that must be forgotten."""

from typing import Any

import pytest

from pybernetes.proxy.backends import Change
from pybernetes.proxy.conntrack import matching, stale_flows
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


ENTRIES = """\
udp      17 29 src=10.78.0.1 dst=10.96.20.1 sport=40000 dport=53 src=1.1.1.1 dst=10.78.0.1 sport=5353 dport=40000 [ASSURED] mark=0 use=1
udp      17 29 src=10.78.0.1 dst=10.78.0.2 sport=40001 dport=30053 [UNREPLIED] src=1.1.1.2 dst=10.244.0.1 sport=5353 dport=40001 use=1
"""


@pytest.mark.parametrize(
    ("flow", "finds"),
    [
        (TO_SERVICE, True),
        ("-p udp --orig-dst 10.96.20.2 --orig-port-dst 53", False),
        ("-p udp --orig-dst 10.96.20.1 --orig-port-dst 54", False),
        (f"{TO_SERVICE} --dst-nat 1.1.1.1", True),
        (f"{TO_SERVICE} --dst-nat 1.1.1.2", False),
        ("-p udp --orig-port-dst 30053 --dst-nat 1.1.1.2", True),
        ("-p udp --orig-port-dst 30053 --dst-nat 10.78.0.1", False),
    ],
)
def test_only_flows_that_are_there_are_deleted(flow: str, finds: bool) -> None:
    words = tuple(flow.split())
    assert matching([words], ENTRIES.splitlines()) == ([words] if finds else [])
