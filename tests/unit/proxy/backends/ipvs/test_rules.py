"""What a Service port wants of IPVS, ipsets and kube-ipvs0, by tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pybernetes.net.ipvsmessages import MH_PORT, PERSISTENT
from pybernetes.proxy.backends import IPVSOptions
from pybernetes.proxy.backends.ipvs import rules, sets
from pybernetes.proxy.backends.ipvs.rules import Options, PortObjects, chains, port_objects
from pybernetes.proxy.model import Endpoint, ServicePort

from ...objects import port

NODE = Options("10.244.0.0/16", node_addresses=("192.0.2.2", "198.51.100.7"), node_ip="192.0.2.2")


def shown(objects: PortObjects) -> dict[str, Any]:
    """With as few words as possible."""
    return {
        "servers": {str(s): sorted(map(str, serving.real)) for s, serving in objects.servers.items()},
        "addresses": sorted(objects.addresses),
        "entries": sorted(f"{e.set.removeprefix('KUBE-')} {e.text}" for e in objects.entries),
        "denied": sorted(objects.denied),
    }


CLUSTER = {
    "servers": {"10.96.20.1:53/tcp": ["10.244.0.1:5353", "10.244.0.2:5353"]},
    "addresses": ["10.96.20.1"],
    "entries": ["CLUSTER-IP 10.96.20.1,tcp:53", "IPVS-IPS 10.96.20.1"],
    "denied": [],
}
BOTH = ["10.244.0.1:5353", "10.244.0.2:5353"]


def web(local: tuple[str, ...] = (), **fields: Any) -> ServicePort:
    return port("web", "10.244.0.1", "10.244.0.2", local=local, **fields)


def also(
    servers: dict[str, list[str]], *entries: str, addresses: tuple[str, ...] = (), denied: tuple[str, ...] = ()
) -> Any:
    """What is wanted beside the cluster IP."""
    return {
        "servers": {**CLUSTER["servers"], **servers},
        "addresses": sorted([*CLUSTER["addresses"], *addresses]),
        "entries": sorted([*CLUSTER["entries"], *entries]),
        "denied": list(denied),
    }


HAIRPIN = "LOOP-BACK 10.244.0.1,tcp:5353,10.244.0.1"
CASES: list[tuple[str, ServicePort, Any]] = [
    ("cluster IP", web(), CLUSTER),
    ("an endpoint here may reach itself", web(local=("10.244.0.1",)), also({}, HAIRPIN)),
    (
        "node port, on all of the node's addresses",
        web(node_port=30053),
        also({"192.0.2.2:30053/tcp": BOTH, "198.51.100.7:30053/tcp": BOTH}, "NODE-PORT-TCP 30053"),
    ),
    (
        "node port of UDP",
        web(node_port=30053, protocol="udp"),
        {
            "servers": {f"{place}/udp": BOTH for place in ("10.96.20.1:53", "192.0.2.2:30053", "198.51.100.7:30053")},
            "addresses": ["10.96.20.1"],
            "entries": ["CLUSTER-IP 10.96.20.1,udp:53", "IPVS-IPS 10.96.20.1", "NODE-PORT-UDP 30053"],
            "denied": [],
        },
    ),
    (
        "node port of SCTP, which no bitmap knows",
        web(node_port=30053, protocol="sctp", local_only=True, local=("10.244.0.1",)),
        {
            "servers": {
                "10.96.20.1:53/sctp": BOTH,
                "192.0.2.2:30053/sctp": ["10.244.0.1:5353"],
                "198.51.100.7:30053/sctp": ["10.244.0.1:5353"],
            },
            "addresses": ["10.96.20.1"],
            "entries": [
                "CLUSTER-IP 10.96.20.1,sctp:53",
                "IPVS-IPS 10.96.20.1",
                "LOOP-BACK 10.244.0.1,sctp:5353,10.244.0.1",
                "NODE-PORT-LOCAL-SCTP-HASH 192.0.2.2,sctp:30053",
                "NODE-PORT-LOCAL-SCTP-HASH 198.51.100.7,sctp:30053",
                "NODE-PORT-SCTP-HASH 192.0.2.2,sctp:30053",
                "NODE-PORT-SCTP-HASH 198.51.100.7,sctp:30053",
            ],
            "denied": [],
        },
    ),
    (
        "external IPs; one that this node has is bound by its own interface",
        web(external_ips=("203.0.113.1", "198.51.100.7")),
        also(
            {"203.0.113.1:53/tcp": BOTH, "198.51.100.7:53/tcp": BOTH},
            "EXTERNAL-IP 203.0.113.1,tcp:53",
            "EXTERNAL-IP 198.51.100.7,tcp:53",
            "IPVS-IPS 203.0.113.1",
            addresses=("203.0.113.1",),
        ),
    ),
    (
        "external policy Local",
        web(
            local=("10.244.0.1",),
            local_only=True,
            node_port=30053,
            external_ips=("203.0.113.1",),
            ingress_ips=("203.0.113.2",),
            health_port=30999,
        ),
        also(
            {
                f"{place}/tcp": ["10.244.0.1:5353"]
                for place in ("203.0.113.1:53", "203.0.113.2:53", "192.0.2.2:30053", "198.51.100.7:30053")
            },
            HAIRPIN,
            "EXTERNAL-IP-LOCAL 203.0.113.1,tcp:53",
            "LOAD-BALANCER 203.0.113.2,tcp:53",
            "LOAD-BALANCER-LOCAL 203.0.113.2,tcp:53",
            "NODE-PORT-TCP 30053",
            "NODE-PORT-LOCAL-TCP 30053",
            "HEALTH-CHECK-NODE-PORT 30999",
            "IPVS-IPS 203.0.113.1",
            "IPVS-IPS 203.0.113.2",
            addresses=("203.0.113.1", "203.0.113.2"),
        ),
    ),
    (
        "external policy Local with no endpoint here: whoever is on this node is led elsewhere",
        web(local_only=True, external_ips=("203.0.113.1",)),
        also(
            {"203.0.113.1:53/tcp": BOTH},
            "EXTERNAL-IP-LOCAL 203.0.113.1,tcp:53",
            "IPVS-IPS 203.0.113.1",
            addresses=("203.0.113.1",),
        ),
    ),
    (
        "internal policy Local with no endpoint here",
        web(internal_local=True),
        {**CLUSTER, "servers": {"10.96.20.1:53/tcp": []}},
    ),
    (
        "source ranges, this node not among them",
        web(ingress_ips=("203.0.113.2",), source_ranges=("10.0.0.0/8", "203.0.113.9/32", "0.0.0.0/0")),
        also(
            {"203.0.113.2:53/tcp": BOTH},
            "LOAD-BALANCER 203.0.113.2,tcp:53",
            "LOAD-BALANCER-FW 203.0.113.2,tcp:53",
            "LOAD-BALANCER-SOURCE-CIDR 203.0.113.2,tcp:53,10.0.0.0/8",
            "LOAD-BALANCER-SOURCE-CIDR 203.0.113.2,tcp:53,203.0.113.9",
            "LOAD-BALANCER-SOURCE-CIDR 203.0.113.2,tcp:53,0.0.0.0/1",
            "LOAD-BALANCER-SOURCE-CIDR 203.0.113.2,tcp:53,128.0.0.0/1",
            "LOAD-BALANCER-SOURCE-IP 203.0.113.2,tcp:53,203.0.113.2",
            "IPVS-IPS 203.0.113.2",
            addresses=("203.0.113.2",),
        ),
    ),
    (
        "source ranges without this node",
        web(ingress_ips=("203.0.113.2",), source_ranges=("10.0.0.0/8",)),
        also(
            {"203.0.113.2:53/tcp": BOTH},
            "LOAD-BALANCER 203.0.113.2,tcp:53",
            "LOAD-BALANCER-FW 203.0.113.2,tcp:53",
            "LOAD-BALANCER-SOURCE-CIDR 203.0.113.2,tcp:53,10.0.0.0/8",
            "IPVS-IPS 203.0.113.2",
            addresses=("203.0.113.2",),
            denied=("-s 203.0.113.2/32 -m ipvs --vproto 6 --vaddr 203.0.113.2 --vport 53 -j DROP",),
        ),
    ),
]


@pytest.mark.parametrize(("service", "objects"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_a_port_wants(service: ServicePort, objects: dict[str, Any]) -> None:
    assert shown(port_objects(service, NODE)) == objects


def test_node_ports_are_where_the_flag_says_but_not_on_addresses_of_services() -> None:
    options = replace(NODE, node_port_addresses=("192.0.2.2", "10.96.20.9"))
    servers = port_objects(web(node_port=30053), options).servers
    assert {server.address for server in servers if server.port == 30053} == {"192.0.2.2"}


@pytest.mark.parametrize(
    ("scheduler", "seconds", "flags"),
    [("rr", 0, 0), ("lc", 60, PERSISTENT), ("mh", 0, MH_PORT), ("mh", 5, MH_PORT | PERSISTENT)],
)
def test_affinity_and_scheduler(scheduler: str, seconds: int, flags: int) -> None:
    options = replace(NODE, ipvs=IPVSOptions(scheduler))
    (serving,) = port_objects(web(affinity_seconds=seconds), options).servers.values()
    assert (serving.service.scheduler, serving.service.flags, serving.service.timeout) == (scheduler, flags, seconds)


def test_ipv6() -> None:
    service = port("six", cluster_ip="fd00:96::A", ingress_ips=("2001:DB8::7",), source_ranges=("::/0",))
    service = replace(service, endpoints=(Endpoint("fd00:244:0::1", 53, True),))
    objects = port_objects(service, Options(family="IPv6"))
    assert shown(objects) == {
        "servers": {"[fd00:96::a]:53/tcp": ["[fd00:244::1]:53"], "[2001:db8::7]:53/tcp": ["[fd00:244::1]:53"]},
        "addresses": ["2001:db8::7", "fd00:96::a"],
        "entries": [
            "CLUSTER-IP fd00:96::a,tcp:53",
            "IPVS-IPS 2001:db8::7",
            "IPVS-IPS fd00:96::a",
            "LOAD-BALANCER 2001:db8::7,tcp:53",
            "LOAD-BALANCER-FW 2001:db8::7,tcp:53",
            "LOAD-BALANCER-SOURCE-CIDR 2001:db8::7,tcp:53,8000::/1",
            "LOAD-BALANCER-SOURCE-CIDR 2001:db8::7,tcp:53,::/1",
            "LOOP-BACK fd00:244::1,tcp:53,fd00:244::1",
        ],
        "denied": ["-s 2001:db8::7/128 -m ipvs --vproto 6 --vaddr 2001:db8::7 --vport 53 -j DROP"],
    }


def test_names_of_ipv6_sets_fit_into_the_kernel() -> None:
    names = {sets.kernel_name(name, "IPv6") for name in sets.SETS}
    assert len(names) == len(sets.SETS) and max(map(len, names)) == sets.LONGEST_NAME
    assert sets.kernel_name(sets.SOURCE_CIDR, "IPv6") == "KUBE-6-LOAD-BALANCER-SOURCE-CID"


def masquerading(options: Options) -> list[str]:
    """Rules of KUBE-SERVICES that mark what goes to cluster IPs."""
    text = '-m comment --comment "Kubernetes service cluster ip + port for masquerade purpose" '
    nat = chains(options, [sets.CLUSTER_IP], [])["nat"]
    return [r.replace(text, "") for r in nat[rules.SERVICES] if "KUBE-MARK-MASQ" in r]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (Options("10.244.0.0/16"), "! -s 10.244.0.0/16 -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ"),
        (Options(pod_interface="cni0"), "! -i cni0 -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ"),
        (Options("10.244.0.0/16", True), "-m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ"),
        (Options(), "-m set --match-set KUBE-CLUSTER-IP src,dst -j KUBE-MARK-MASQ"),
    ],
)
def test_who_is_masqueraded_on_the_way_to_a_cluster_ip(options: Options, rule: str) -> None:
    assert masquerading(options) == [rule]


def test_rules_ask_only_sets_that_hold_something() -> None:
    empty, full = chains(NODE, [], []), chains(NODE, list(sets.SETS), ["-s 203.0.113.2/32 -j DROP"])
    assert empty["nat"][rules.SERVICES] == [
        "-s 127.0.0.0/8 -j RETURN",
        "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
    ]
    assert empty["nat"][rules.NODE_PORT] == [] and len(full["nat"][rules.NODE_PORT]) == 6
    assert full["nat"][rules.POSTROUTING][0].endswith("--match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE")
    assert full["filter"][rules.SOURCE_RANGES][-1] == "-j DROP"
    assert full["filter"][rules.IPVS_OUT_FILTER] == ["-s 203.0.113.2/32 -j DROP"]
    assert full["filter"][rules.IPVS_FILTER][-1] == (
        "-m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable"
    )
