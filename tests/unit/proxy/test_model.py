"""Which endpoints of a service a node uses."""

import pytest

from pybernetes.proxy.backends.iptables.rules import Options
from pybernetes.proxy.backends.iptables.ruleset import desired
from pybernetes.proxy.model import SlimEndpoint, Where, health_ports, service_ports, slim_service, slim_slice

from .objects import at, port, service, slice_of


def leaving(ip: str) -> dict[str, object]:
    """It terminates, and serves all the same."""
    return at(ip, ready=False, serving=True, terminating=True)


@pytest.mark.parametrize(
    ("endpoints", "used"),
    [
        ([at("1.0.0.1"), at("1.0.0.2", ready=False)], ["1.0.0.1"]),
        ([leaving("1.0.0.1"), at("1.0.0.2")], ["1.0.0.2"]),
        ([leaving("1.0.0.1"), at("1.0.0.2", ready=False)], ["1.0.0.1"]),
        # Hints count only where every ready endpoint has one, and one is for here.
        ([at("1.0.0.1", zones="z1"), at("1.0.0.2", zones="z2")], ["1.0.0.1"]),
        ([at("1.0.0.1", zones="z1"), at("1.0.0.2")], ["1.0.0.1", "1.0.0.2"]),
        ([at("1.0.0.1", zones="z3"), at("1.0.0.2", zones="z2")], ["1.0.0.1", "1.0.0.2"]),
        ([at("1.0.0.1", nodes="node1", zones="z1"), at("1.0.0.2", nodes="node2", zones="z1")], ["1.0.0.1"]),
        ([at("1.0.0.1", nodes="node3", zones="z1"), at("1.0.0.2", nodes="node2", zones="z2")], ["1.0.0.1"]),
        # Those of one that terminates do not count, neither as missing nor as one for here.
        ([at("1.0.0.1", zones="z1"), leaving("1.0.0.2"), at("1.0.0.3", zones="z2")], ["1.0.0.1"]),
        ([at("1.0.0.1", zones="z2"), {**leaving("1.0.0.2"), "hints": {"forZones": [{"name": "z1"}]}}], ["1.0.0.1"]),
        # One node's hint missing: zones are asked for.
        ([at("1.0.0.1", nodes="node1", zones="z2"), at("1.0.0.2", zones="z1")], ["1.0.0.2"]),
        # serving: null is true; ready: true is not taken back by terminating (publishNotReadyAddresses).
        ([at("1.0.0.1", ready=False, terminating=True)], ["1.0.0.1"]),
        ([at("1.0.0.1", ready=False, terminating=True, serving=False)], []),
        ([at("1.0.0.1", ready=True, terminating=True, serving=False), leaving("1.0.0.2")], ["1.0.0.1"]),
    ],
)
def test_endpoints(endpoints: list[dict[str, object]], used: list[str]) -> None:
    (found,) = service_ports([service(clusterIP="10.96.0.1")], [slice_of("web", *endpoints)], Where("node1", "z1"))
    assert [e.ip for e in found.endpoints] == used


def test_a_node_without_a_zone_uses_all() -> None:
    slices = [slice_of("web", at("1.0.0.1", zones="z1"), at("1.0.0.2", zones="z2"))]
    (found,) = service_ports([service(clusterIP="10.96.0.1")], slices, Where("node1"))
    assert [e.ip for e in found.endpoints] == ["1.0.0.1", "1.0.0.2"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_endpoint_of_two_slices_is_one(order: tuple[int, int]) -> None:
    """The kind: what two slices say alike but for the node was two endpoints of one address, one of them of no node."""
    told = [slice_of("web", at("1.0.0.1")), slice_of("web", at("1.0.0.1", node=""))]
    (found,) = service_ports([service(clusterIP="10.96.0.1")], [told[i] for i in order], "node1")
    assert [(str(e), e.local) for e in found.endpoints] == [("1.0.0.1:8080", True)]


@pytest.mark.parametrize(
    ("endpoints", "count"),
    [
        ([at("1.0.0.1"), at("1.0.0.2"), at("1.0.0.3", node="node2")], 2),
        ([leaving("1.0.0.1")], 0),
        ([leaving("1.0.0.1"), at("1.0.0.2")], 1),
        ([at("1.0.0.1", ready=False)], 0),
    ],
)
def test_health_ports_count_addresses_that_are_ready_here(endpoints: list[dict[str, object]], count: int) -> None:
    """The kind: a load balancer was told to send to a node whose endpoints all terminate, and endpoints counted as often as they have ports."""
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000, "ports": ports}
    slice_ = slice_of("web", *endpoints)
    slice_.ports = [type(slice_.ports[0])(name=name, port=8080 + n) for n, name in enumerate("ab")]  # type: ignore[index]
    listed = service_ports([service(clusterIP="10.96.0.1", **spec)], [slice_], "node1")
    assert health_ports(listed) == {32000: ("px", "web", count)}
    cluster = service_ports(
        [service(clusterIP="10.96.0.1", **spec | {"externalTrafficPolicy": "Cluster"})], [], "node1"
    )
    assert health_ports(cluster) == {}


def test_addresses_and_ranges_are_as_the_kernel_tells_them() -> None:
    """The kind: what an API server took in another form than the shortest was never the same as what is in the kernel, or no address at all."""
    slim = slim_service(
        service(
            type="LoadBalancer",
            clusterIP="FD00:0::1",
            externalIPs=["2001:DB8::0001", "192.0.2.1", "192.0.2.01", "nonsense", "::ffff:192.0.2.2", "fe80::1%eth0"],
            loadBalancerSourceRanges=[" 10.1.2.3/8 ", "", " ", "2001:DB8::/32", "10.0.0.0/8", "192.0.2.1", "x/8"],
        )
    )
    assert slim is not None
    assert slim.cluster_ips == ("fd00::1",)
    assert slim.external_ips == ("2001:db8::1", "192.0.2.1", "192.0.2.2")
    assert slim.source_ranges == ("10.0.0.0/8", "2001:db8::/32")
    (endpoint,) = slim_slice(slice_of("web", at("FD01:0::1"), family="IPv6"), "node1").endpoints
    assert endpoint.ip == "fd01::1"


def test_local_endpoints_may_be_the_last_ones_here() -> None:
    slices = [slice_of("web", leaving("1.0.0.1"), at("1.0.0.2", node="node2"))]
    (found,) = service_ports([service(clusterIP="10.96.0.1", internalTrafficPolicy="Local")], slices, "node1")
    assert [e.ip for e in found.endpoints] == ["1.0.0.2"]
    assert [e.ip for e in found.local_endpoints] == ["1.0.0.1"]
    assert [e.ip for e in found.all_endpoints] == ["1.0.0.1"], "nobody is sent to another node"
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}
    external = service(clusterIP="10.96.0.1", internalTrafficPolicy="Local", **spec)
    (found,) = service_ports([external], slices, "node1")
    assert [e.ip for e in found.all_endpoints] == ["1.0.0.1", "1.0.0.2"], "but those who come by the node port"


def test_families() -> None:
    dual = service(clusterIP="10.96.0.1", clusterIPs=["10.96.0.1", "fd00::1"], externalIPs=["192.0.2.1", "2001:db8::1"])
    slices = [slice_of("web", at("1.0.0.1")), slice_of("web", at("fd01::1"), family="IPv6")]
    (four,) = service_ports([dual], slices, "node1")
    (six,) = service_ports([dual], slices, "node1", "IPv6")
    assert (four.cluster_ip, four.external_ips, [str(e) for e in four.endpoints]) == (
        "10.96.0.1",
        ("192.0.2.1",),
        ["1.0.0.1:8080"],
    )
    assert (six.cluster_ip, six.external_ips, [str(e) for e in six.endpoints]) == (
        "fd00::1",
        ("2001:db8::1",),
        ["[fd01::1]:8080"],
    )
    assert service_ports([service(clusterIP="10.96.0.1")], slices, "node1", "IPv6") == []


def test_an_internal_policy_without_endpoints_here_drops() -> None:
    result = desired([port("web", "1.0.0.2", internal_local=True)], Options())
    assert [r for r in result.filter["KUBE-SERVICES"] if "DROP" in r] == [
        '-d 10.96.20.1/32 -p tcp -m comment --comment "px/web has no local endpoints" -m tcp --dport 53 -j DROP'
    ]
    assert not any("10.96.20.1" in rule for rule in result.nat["KUBE-SERVICES"])


def test_pods_known_by_their_interface() -> None:
    nat = desired([port("web", "1.0.0.2")], Options(pod_interface="cni0")).nat
    rules = next(rules for chain, rules in nat.items() if chain.startswith("KUBE-SVC-"))
    assert rules[0].startswith("-d 10.96.20.1/32 ! -i cni0 -p tcp")


def test_little_is_kept_of_what_is_watched() -> None:
    assert slim_service(service(clusterIP="None")) is None
    item = slice_of("web", at("1.0.0.1", zones="z1"), at("1.0.0.2", node="node2"), at("1.0.0.3", ready=False))
    item.metadata.annotations["endpoints.kubernetes.io/last-change-trigger-time"] = "2026-01-02T00:00:00Z"
    slim = slim_slice(item, "node1")
    assert slim.endpoints == (
        SlimEndpoint("1.0.0.1", True, True, ("z1",), ()),
        SlimEndpoint("1.0.0.2", False, True, (), ()),
    )
    assert (slim.service, slim.family, slim.ports) == ("web", "IPv4", (("", "tcp", 8080),))
    assert slim.trigger == "2026-01-02T00:00:00Z"
