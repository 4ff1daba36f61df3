"""Resolver files by tables."""

from __future__ import annotations

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import dns

HOST = dns.Resolver(("192.0.2.53",), ("example.org",))
CLUSTER = dns.Cluster(("10.96.0.10",))
OWN = ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local")


def make(policy: str, host_network: bool = False, wanted: core.PodDNSConfig | None = None) -> core.Pod:
    pod = core.Pod()
    pod.metadata.namespace = "ns"
    pod.spec.dns_policy, pod.spec.host_network, pod.spec.dns_config = policy, host_network, wanted
    return pod


@pytest.mark.parametrize(
    ("policy", "host_network", "servers", "searches", "options"),
    [
        ("ClusterFirst", False, ("10.96.0.10",), (*OWN, "example.org"), ("ndots:5",)),
        ("ClusterFirst", True, ("192.0.2.53",), ("example.org",), ()),
        ("ClusterFirstWithHostNet", True, ("10.96.0.10",), (*OWN, "example.org"), ("ndots:5",)),
        ("Default", False, ("192.0.2.53",), ("example.org",), ()),
        ("None", False, (), (), ()),
    ],
)
def test_policies(
    policy: str, host_network: bool, servers: tuple[str, ...], searches: tuple[str, ...], options: tuple[str, ...]
) -> None:
    assert dns.resolver(make(policy, host_network), CLUSTER, HOST) == dns.Resolver(servers, searches, options)


def test_without_a_cluster_server_the_host_answers() -> None:
    assert dns.resolver(make("ClusterFirst"), dns.Cluster(), HOST) == HOST


@pytest.mark.parametrize(
    ("policy", "host_network", "told"),
    [
        ("ClusterFirst", False, True),
        ("ClusterFirstWithHostNet", True, True),
        ("ClusterFirst", True, False),
        ("Default", False, False),
        ("None", False, False),
    ],
)
def test_a_pod_that_lacks_the_clusters_server_is_told(policy: str, host_network: bool, told: bool) -> None:
    pod = make(policy, host_network)
    event = dns.missing(pod, dns.Cluster())
    assert dns.missing(pod, CLUSTER) is None
    assert (event is not None) == told
    if event is not None:
        assert (event.type, event.reason) == ("Warning", "MissingClusterDNS")
        assert event.message.endswith(
            'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. '
            'Falling back to "Default" policy.'
        )


def test_the_pods_own_lines_are_added_and_its_options_win() -> None:
    options = [core.PodDNSConfigOption(name="ndots", value="3"), core.PodDNSConfigOption(name="edns0")]
    wanted = core.PodDNSConfig(
        nameservers=["1.1.1.1", "10.96.0.10"], searches=["a.b", "cluster.local"], options=options
    )
    found = dns.resolver(make("ClusterFirst", wanted=wanted), CLUSTER, HOST)
    assert found.servers == ("10.96.0.10", "1.1.1.1")
    assert found.searches == (*OWN, "example.org", "a.b")
    assert found.options == ("ndots:3", "edns0")


def test_limits_cut_with_an_event_each() -> None:
    many = dns.Resolver(tuple("abcd"), tuple(f"s{n}.example" for n in range(40)))
    kept, events = dns.limited(many)
    assert (len(kept.servers), len(kept.searches)) == (3, 32)
    assert [event.reason for event in events] == ["DNSConfigForming"] * 2
    assert "the applied nameserver line is: a b c" in events[0].message


def test_a_host_file_is_read_as_a_resolver_reads_it() -> None:
    text = "# c\nnameserver 1.1.1.1\nsearch old.example\nsearch a. . b\noptions ndots:2 timeout:1\noptions ndots:3\n"
    assert dns.parse(text) == dns.Resolver(("1.1.1.1",), ("a", ".", "b"), ("ndots:3", "timeout:1"))
    assert dns.render(dns.parse(text)) == "nameserver 1.1.1.1\nsearch a . b\noptions ndots:3 timeout:1\n"
