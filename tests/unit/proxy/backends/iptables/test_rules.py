"""The rules that a real kube-proxy made of the same objects."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pybernetes.api import types
from pybernetes.api.types import core_v1, discovery_v1
from pybernetes.proxy.backends.iptables.rules import FIREWALL, JUMPS, MARK_DROP, Chains, Options, desired
from pybernetes.proxy.model import service_ports

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
        node_port_addresses=(NODE_ADDRESS,) if "nodeport-addresses" in given else (),
    )


def lines(chains: Chains, jumps: list[str]) -> list[str]:
    return sorted(jumps + [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_same_rules(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    flags = case.get("proxy_flags", ["--cluster-cidr=10.244.0.0/16"])
    services, slices = typed(KUBERNETES + case["objects"], path.stem)
    result = desired(service_ports(services, slices, "node1"), options(flags))
    for table, chains in (("nat", result.nat), ("filter", result.filter)):
        jumps = [f"-A {chain} {rule}" for t, chain, rule in JUMPS if t == table]
        assert lines(chains, jumps) == sorted(case["expect"][table]["rules"])
        theirs = {c.split()[0] for c in case["expect"][table]["chains"]} - {"KUBE-KUBELET-CANARY"}
        assert theirs == set(chains)


def test_order_within_a_service_chain_is_kept() -> None:
    case = yaml.safe_load((CASES[0].parent / "clusterip-3.yaml").read_text())
    services, slices = typed(case["objects"], "")
    result = desired(service_ports(services, slices, "node1"), Options("10.244.0.0/16"))
    chain = next(name for name in result.nat if name.startswith("KUBE-SVC"))
    want = [r.split(" ", 2)[2] for r in case["expect"]["nat"]["rules"] if r.startswith(f"-A {chain}")]
    assert result.nat[chain] == want
    assert {FIREWALL} <= result.filter.keys() and {MARK_DROP} <= result.nat.keys()


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
