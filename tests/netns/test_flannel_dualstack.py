"""Packets of both families between pods of three hosts."""

from __future__ import annotations

import socket

import pytest

from .flannelhosts import ECHO, HOSTS, Hosts, eventually, hosts, true

__all__ = ["hosts"]


def add_ipv6(hosts: Hosts) -> None:
    """host N is fd79::N, its pod fd00:244:0:N::10."""
    for number in HOSTS:
        hosts.host[number].run(
            f"ip addr add fd79::{number}/64 dev eth0 nodad; ip addr add fd00:244:0:{number}::1/64 dev cni0 nodad;"
            "sysctl -qw net.ipv6.conf.all.forwarding=1; ip6tables -P FORWARD DROP"
        )
        hosts.pod[number].run(
            f"ip addr add fd00:244:0:{number}::10/64 dev eth0 nodad; ip route add default via fd00:244:0:{number}::1"
        )


def reach(hosts: Hosts, source: int, target: int, size: int = 56) -> None:
    """One datagram, of which the other pod sees the address of the pod that sent it."""
    with (
        hosts.pod[source].socket(socket.SOCK_DGRAM, socket.AF_INET6) as asking,
        hosts.pod[target].socket(socket.SOCK_DGRAM, socket.AF_INET6) as asked,
    ):
        asked.bind(("::", ECHO + 6))
        asked.settimeout(0.5)
        try:
            asking.sendto(b"x" * size, (f"fd00:244:0:{target}::10", ECHO + 6))
            data, peer = asked.recvfrom(1 << 16)
        except OSError as error:
            raise AssertionError(f"{source} to {target}: {error}") from error
    assert len(data) == size and peer[0] == f"fd00:244:0:{source}::10"


@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
def test_both_families(hosts: Hosts, backend: str) -> None:
    add_ipv6(hosts)
    hosts.configure({"Type": backend}, EnableIPv6=True, IPv6Network="fd00:244::/48")
    hosts.start_all()
    eventually(hosts.all_reach_all)

    def all_by_ipv6() -> None:
        for source in HOSTS:
            for target in HOSTS:
                reach(hosts, source, target)

    eventually(all_by_ipv6)
    assert (
        "FLANNEL_IPV6_NETWORK=fd00:244::/48\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\n"
        in hosts.subnet_file(1).read_text()
    )
    assert hosts.node(1).metadata.annotations["flannel.alpha.coreos.com/public-ipv6"] == "fd79::1"
    assert "FLANNEL-POSTRTG" in hosts.host[1].run("ip6tables-save -t nat")
    routes = hosts.host[1].run("ip -6 route")
    if backend == "vxlan":
        assert "fd00:244:0:2::/64 via fd00:244:0:2:: dev flannel-v6.1" in routes
        assert "dst fd79::2" in hosts.host[1].run("bridge fdb show dev flannel-v6.1")
    else:
        assert "fd00:244:0:2::/64 via fd79::2 dev eth0" in routes

    if backend == "host-gw":
        return
    # A restart takes nothing away, and what somebody took comes again.
    hosts.kill(1)
    hosts.start(1)
    assert hosts.host[1].run("ip -6 route") == routes
    hosts.kill(1)
    hosts.host[1].run("ip -6 route del fd00:244:0:2::/64")
    hosts.start(1)
    eventually(lambda: true("fd00:244:0:2::/64" in hosts.host[1].run("ip -6 route")))
    reach(hosts, 1, 2)
