"""The rules that a real kube-proxy made of the same objects."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.proxy.backends.iptables.rules import Options
from pybernetes.proxy.backends.iptables.ruleset import Desired, desired
from pybernetes.proxy.backends.iptables.tables import apply
from pybernetes.proxy.model import ServicePort, service_ports

from .tracer import Outcome, Packet, outcomes

CASES = sorted((Path(__file__).parents[4] / "golden" / "node" / "proxy").glob("*.yaml"))
NODE_ADDRESS = "10.78.0.2"
API = {"name": "kubernetes", "namespace": "default"}
API_SPEC = {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}
API_SUBSET = {"addresses": [{"ip": NODE_ADDRESS}], "ports": [{"name": "https", "port": 8443}]}
KUBERNETES: list[dict[str, Any]] = [
    {"kind": "Service", "metadata": API, "spec": API_SPEC},
    {"kind": "Endpoints", "metadata": API, "subsets": [API_SUBSET]},
]
# The node port of this case was allocated by the API server, not asked for.
ALLOCATED = {"loadbalancer-no-node-ports": 30821}


def typed(objects: list[dict[str, Any]], case: str) -> tuple[list[core_v1.Service], list[discovery_v1.EndpointSlice]]:
    """Services, and Endpoints as the slices that the mirroring controller would make of them."""
    services, slices = [], []
    for obj in objects:
        obj = {**obj, "metadata": {"namespace": "px", **obj["metadata"]}}
        if obj["kind"] == "Service":
            service = types.decode(types.encode(obj), core_v1.Service)
            if case in ALLOCATED and service.metadata.name == "web":
                service.spec.ports[0].node_port = ALLOCATED[case]
            services.append(service)
        elif obj["kind"] == "EndpointSlice":
            for item in obj["endpoints"]:
                topology = item.pop("topology", {})
                item["nodeName"] = topology.get("kubernetes.io/hostname")
            slices.append(
                types.decode(types.encode({**obj, "apiVersion": "discovery.k8s.io/v1"}), discovery_v1.EndpointSlice)
            )
        elif obj["kind"] == "Endpoints":
            labels = {"kubernetes.io/service-name": obj["metadata"]["name"]}
            for number, subset in enumerate(obj["subsets"]):
                made = {
                    "metadata": {**obj["metadata"], "name": f"{obj['metadata']['name']}-{number}", "labels": labels},
                    "addressType": "IPv4",
                    "endpoints": [{"addresses": [a["ip"]], "nodeName": a.get("nodeName")} for a in subset["addresses"]],
                    "ports": [{"name": "", "protocol": "TCP", **port} for port in subset["ports"]],
                }
                slices.append(types.decode(types.encode(made), discovery_v1.EndpointSlice))
    return services, slices


def options(flags: list[str]) -> Options:
    given = dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)
    return Options(
        cluster_cidr=given.get("cluster-cidr", ""),
        masquerade_all="masquerade-all" in given,
        masquerade_bit=int(given.get("iptables-masquerade-bit", 14)),
        node_port_addresses=(NODE_ADDRESS,) if "nodeport-addresses" in given else None,
        node_ip=NODE_ADDRESS,
    )


def recorded(case: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The recorded rules by table and chain."""
    tables: dict[str, dict[str, list[str]]] = {}
    for table in ("nat", "filter"):
        chains = tables.setdefault(table, {})
        for line in case["expect"][table]["rules"]:
            _, chain, rule = line.split(" ", 2)
            chains.setdefault(chain, []).append(rule)
    return tables


def with_jumps(result: Desired) -> dict[str, dict[str, list[str]]]:
    """What a kernel holds that has nothing but the proxy's rules."""
    state: dict[str, dict[str, list[str]]] = {}
    apply(state, result.tables)
    return state


NODE, POD, POD_OF_ANOTHER_NODE, OUTSIDE = NODE_ADDRESS, "10.244.0.99", "10.244.7.99", "10.78.0.1"
LOCAL = frozenset({NODE_ADDRESS, "10.244.0.1"})
SENDERS = {
    "node": ("", NODE),
    "pod": ("cni0", POD),
    "other-pod": ("up0", POD_OF_ANOTHER_NODE),
    "outside": ("up0", OUTSIDE),
}


def packets(ports: list[ServicePort]) -> dict[str, Packet]:
    """Of every sender to every address of every port; senders within source ranges, endpoints and the balancer itself as well."""
    result = {}
    for port in ports:
        senders = dict(SENDERS)
        senders |= {f"range-{n}": ("up0", r.partition("/")[0]) for n, r in enumerate(port.source_ranges)}
        senders |= {f"endpoint-{e.ip}": ("cni0", e.ip) for e in port.endpoints[:1]}
        senders |= {f"balancer-{ip}": ("", ip) for ip in port.ingress_ips}
        goals = {"cluster": (port.cluster_ip, port.port)}
        goals |= {f"external-{ip}": (ip, port.port) for ip in port.external_ips}
        goals |= {f"balancer-{ip}": (ip, port.port) for ip in port.ingress_ips}
        if port.node_port:
            goals |= {"node-port": (NODE_ADDRESS, port.node_port), "loopback": ("127.0.0.1", port.node_port)}
        for sender, (interface, source) in senders.items():
            for goal, (address, number) in goals.items():
                own = source if goal != "loopback" else "127.0.0.1"
                if goal == "loopback" and interface:
                    continue
                name = f"{port.full_name} {port.protocol} {sender} -> {goal}"
                result[name] = Packet(own, address, number, port.protocol, interface)
    return result


@dataclass(frozen=True)
class Change:
    """What upstream's rules do otherwise since 1.20; `goal` may end with *."""

    case: str
    senders: tuple[str, ...]
    goal: str
    before: Outcome
    after: str  # the verdict
    why: str


GONE_ON, MASQUERADED_ON = (
    Outcome("ACCEPT"),
    Outcome("ACCEPT", masqueraded=True),
)  # untranslated: to whoever has the address
MARKED = (
    "1.24: the filter table drops what was marked for a chain of the kubelet, by which nothing that was forwarded came"
)
SINCE = (
    Change(
        "external-ips", ("node",), "external-*", MASQUERADED_ON, "ACCEPT", "1.22: translated for this node itself, too"
    ),
    Change("loadbalancer-local-none", ("outside",), "balancer-*", GONE_ON, "DROP", MARKED),
    Change(
        *("loadbalancer-local-ranges", ("pod", "other-pod", "outside", "endpoint-10.244.0.105"), "balancer-*"),
        *(GONE_ON, "DROP", MARKED),
    ),
)


def explained(case: str, name: str, before: set[Outcome], after: set[Outcome]) -> list[Change]:
    sender, goal = name.split(" ", 2)[2].split(" -> ")
    return [
        c
        for c in SINCE
        if c.case == case and sender in c.senders and fnmatch(goal, c.goal)
        if before == {c.before} and {o.verdict for o in after} == {c.after}
        if c.after != "ACCEPT" or all(o.endpoint for o in after)
    ]


def differing(path: Path) -> dict[str, tuple[set[Outcome], set[Outcome]]]:
    """Packets that fare otherwise under ours than under the recorded rules."""
    case = yaml.safe_load(path.read_text())
    flags = case.get("proxy_flags", ["--cluster-cidr=10.244.0.0/16"])
    services, slices = typed(KUBERNETES + case["objects"], path.stem)
    ports = service_ports(services, slices, "node1")
    ours, theirs = with_jumps(desired(ports, options(flags))), recorded(case)
    result = {}
    for name, packet in packets(ports).items():
        own = LOCAL | ({packet.source} if not packet.interface else set())
        before, after = (outcomes(tables, packet, own) for tables in (theirs, ours))
        if before != after:
            result[name] = (before, after)
    return result


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_packets_fare_as_under_the_recorded_rules(path: Path) -> None:
    """The layout of chains is another one since 1.20, what it does to packets is the same but for what `SINCE` names."""
    unexplained = {n: d for n, d in differing(path).items() if not explained(path.stem, n, *d)}
    assert unexplained == {}


def test_every_change_is_needed() -> None:
    used = {c for path in CASES for n, d in differing(path).items() for c in explained(path.stem, n, *d)}
    assert used == set(SINCE)


def test_terminating_endpoints_serve_when_nothing_else_does() -> None:
    service = {
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"clusterIP": "10.96.20.1", "ports": [{"port": 80}]},
    }
    conditions = {"ready": False, "serving": True, "terminating": True}
    endpoint_slice = {
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.1.5"], "conditions": conditions}],
        "ports": [{"name": "", "port": 80}],
    }
    (port,) = service_ports(*typed([service, endpoint_slice], ""), "node1")
    assert [str(e) for e in port.endpoints] == ["10.244.1.5:80"]


def rules_of(*objects: dict[str, Any], **chosen: Any) -> Desired:
    return desired(service_ports(*typed(list(objects), ""), "node1"), Options("10.244.0.0/16", **chosen))


WEB = {"kind": "Service", "metadata": {"name": "web"}}
ENDPOINTS = {
    "kind": "EndpointSlice",
    "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
    "addressType": "IPv4",
    "endpoints": [
        {"addresses": ["10.244.0.5"], "topology": {"kubernetes.io/hostname": "node1"}},
        {"addresses": ["10.244.1.6"]},
    ],
    "ports": [{"name": "", "port": 8080}],
}


def test_layout_of_an_external_service() -> None:
    """Names and comments are upstream's, word for word (proxier_test.go has the same service in its tables)."""
    spec = {"clusterIP": "10.96.20.1", "ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort"}
    spec |= {"externalIPs": ["192.0.2.7"], "externalTrafficPolicy": "Local"}
    nat = rules_of({**WEB, "spec": spec}, ENDPOINTS).nat
    suffix = next(chain for chain in nat if chain.startswith("KUBE-EXT-")).removeprefix("KUBE-EXT-")
    note = '-m comment --comment "{} px/web external destinations"'
    assert nat[f"KUBE-EXT-{suffix}"] == [
        f"-s 10.244.0.0/16 {note.format('pod traffic for')} -j KUBE-SVC-{suffix}",
        f"{note.format('masquerade LOCAL traffic for')} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ",
        f"{note.format('route LOCAL traffic for')} -m addrtype --src-type LOCAL -j KUBE-SVC-{suffix}",
        f"-j KUBE-SVL-{suffix}",
    ]
    assert nat["KUBE-SERVICES"][:2] == [
        f'-d 10.96.20.1/32 -p tcp -m comment --comment "px/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-{suffix}',
        f'-d 192.0.2.7/32 -p tcp -m comment --comment "px/web external IP" -m tcp --dport 80 -j KUBE-EXT-{suffix}',
    ]
    assert nat["KUBE-NODEPORTS"] == [f'-p tcp -m comment --comment "px/web" -m tcp --dport 30080 -j KUBE-EXT-{suffix}']
    assert nat[f"KUBE-SVC-{suffix}"][0] == (
        '! -s 10.244.0.0/16 -d 10.96.20.1/32 -p tcp -m comment --comment "px/web cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ'
    )
    assert nat[f"KUBE-SVC-{suffix}"][1].startswith('-m comment --comment "px/web -> 10.244.0.5:8080" -m statistic')


def test_source_ranges_let_the_node_in_only_where_they_have_its_address() -> None:
    spec = {"clusterIP": "10.96.20.1", "ports": [{"port": 80}], "type": "LoadBalancer"}
    status = {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}
    for ranges, lets_in in ((["203.0.113.0/24"], False), (["10.78.0.0/16", "203.0.113.0/24"], True)):
        service = {**WEB, "spec": {**spec, "loadBalancerSourceRanges": ranges}, "status": status}
        result = rules_of(service, ENDPOINTS, node_ip=NODE_ADDRESS)
        chain = next(rules for name, rules in result.nat.items() if name.startswith("KUBE-FW-"))
        assert any(rule.startswith("-s 198.51.100.7/32 ") for rule in chain) is lets_in
        assert chain[-1].endswith('"other traffic to px/web will be dropped by KUBE-PROXY-FIREWALL"')
        assert len(result.filter["KUBE-PROXY-FIREWALL"]) == 1


def test_health_check_ports_are_let_in_with_and_without_endpoints() -> None:
    spec: dict[str, Any] = {"clusterIP": "10.96.20.1", "type": "LoadBalancer"}
    spec |= {"ports": [{"port": 80, "nodePort": 30080}]}
    spec |= {"externalTrafficPolicy": "Local", "healthCheckNodePort": 30999}
    rule = '-p tcp -m comment --comment "px/web health check node port" -m tcp --dport 30999 -j ACCEPT'
    for objects in ([{**WEB, "spec": spec}], [{**WEB, "spec": spec}, ENDPOINTS]):
        assert rules_of(*objects).filter["KUBE-NODEPORTS"] == [rule]


def test_a_large_cluster_goes_without_comments_on_endpoints() -> None:
    service = {**WEB, "spec": {"clusterIP": "10.96.20.1", "ports": [{"port": 80}]}}
    nat = rules_of(service, ENDPOINTS, large_cluster=True).nat
    for name, rules in nat.items():
        if name.startswith("KUBE-SEP-"):
            assert not [rule for rule in rules if "--comment" in rule]
    assert "--comment" in nat["KUBE-SERVICES"][0]
