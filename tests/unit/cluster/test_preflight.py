"""What stands in a cluster's way, told before anything starts."""

from __future__ import annotations

import ipaddress

import msgspec
import pytest

from pybernetes.cluster.preflight import (
    ENOUGH_BYTES,
    Route,
    full_disks,
    hidden_by_services,
    parse_routes,
    routes_in_the_way,
)
from pybernetes.cluster.settings import ClusterConfig

SETTINGS = ClusterConfig(node_name="a", addresses=["192.0.2.2"])
PLUGINS = msgspec.structs.replace(SETTINGS, network_plugin="cni")
HOLLOW = msgspec.structs.replace(SETTINGS, hollow_nodes=1)
SIX = msgspec.structs.replace(SETTINGS, pod_cidr="fd00:10::/56")


def route(network: str, interface: str = "br-1") -> Route:
    return Route(ipaddress.ip_network(network), interface)


@pytest.mark.parametrize(
    ("settings", "there", "in_the_way"),
    [
        (SETTINGS, route("10.244.0.0/16"), True),  # all of it: a network of Docker's, flannel's
        (SETTINGS, route("10.244.0.0/24", "cni0"), True),  # another cluster's node
        (SETTINGS, route("10.244.3.7/32", "tun0"), True),
        (SETTINGS, route("10.0.0.0/8", "tun0"), False),  # ours are longer
        (SETTINGS, route("10.245.0.0/16"), False),
        (SETTINGS, route("10.244.0.0/24", "pyb0"), False),  # ours
        (SETTINGS, route("192.0.2.0/24", "eth0"), False),
        (HOLLOW, route("10.244.0.0/16"), False),
        (PLUGINS, route("10.244.0.0/24", "cni0"), False),  # the plugin's
        (SIX, route("fd00:10::/64"), True),
        (SIX, route("10.244.0.0/16"), False),
    ],
)
def test_routes_that_would_take_the_packets_of_pods(settings: ClusterConfig, there: Route, in_the_way: bool) -> None:
    assert bool(routes_in_the_way(settings, [there], is_new=True)) is in_the_way


def test_it_says_what_to_do() -> None:
    (text,) = routes_in_the_way(SETTINGS, [route("10.244.0.0/24", "cni0"), route("10.245.0.0/20")], is_new=True)
    assert text == (
        "the route 10.244.0.0/24 dev cni0 leads packets for pods elsewhere, their range is 10.244.0.0/16: "
        "choose another range, as --pod-cidr=10.246.0.0/16, or take it away "
        "(ip route del 10.244.0.0/24 dev cni0; another cluster's: end that)"
    )
    (text,) = routes_in_the_way(SETTINGS, [route("10.244.0.0/24")], is_new=False)
    assert "--pod-cidr" not in text and "down --purge" in text


def test_hosts_that_a_service_may_hide() -> None:
    assert len(hidden_by_services(SETTINGS, [route("10.100.0.0/16", "tun0"), route("10.0.0.0/8", "tun1")])) == 1
    assert hidden_by_services(HOLLOW, [route("10.100.0.0/16")]) == []


def test_disks_that_are_full() -> None:
    assert full_disks({"/a": ENOUGH_BYTES, "/b": 5 << 20}) == ["only 5 MiB are free at /b, want 256: make room"]


def test_the_kernels_tables() -> None:
    ipv4 = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "cni0\t0001F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    nothing, metric = "0" * 32, "00000100 00000001 00000000 00000001"
    ipv6 = "\n".join(
        f"{destination} {length} {nothing} 00 {nothing} {metric} {interface}"
        for destination, length, interface in (
            ("fd000000000000000000000000000000", "40", "    eth0"),
            ("fe800000000000000000000000000000", "40", "    eth0"),
            (nothing, "00", "    eth0"),
            ("ff000000000000000000000000000000", "08", "    eth0"),
            ("0" * 31 + "1", "80", "      lo"),
        )
    )
    assert [str(found) for found in parse_routes(ipv4, ipv6)] == [
        "192.0.2.0/24 dev eth0",
        "10.244.1.0/24 dev cni0",
        "fd00::/64 dev eth0",
    ]
    assert parse_routes("") == []
