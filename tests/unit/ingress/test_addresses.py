"""Which addresses Ingresses have, by who says it."""

from __future__ import annotations

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import from_json
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.component import flags
from pybernetes.ingress.addresses import OfPods, of_addresses, of_pods, of_service
from pybernetes.ingress.options import FLAGS, ingress_controller_options


def pod(node: str, ready: bool = True, phase: str = "Running") -> core.Pod:
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
    return from_json({"metadata": {"name": f"on-{node}"}, "spec": {"nodeName": node}, "status": status}, core.Pod)


def node(**addresses: str) -> core.Node:
    status = {"addresses": [{"type": kind, "address": address} for kind, address in addresses.items()]}
    return from_json({"metadata": {"name": "n"}, "status": status}, core.Node)


NODES = {
    "both": node(Hostname="both", InternalIP="10.0.0.1", ExternalIP="192.0.2.1"),
    "inner": node(InternalIP="10.0.0.2"),
    "nameless": node(Hostname="nameless"),
}


@pytest.mark.parametrize(
    ("pods", "internal", "addresses"),
    [
        ([pod("both"), pod("inner")], False, ["10.0.0.2", "192.0.2.1"]),
        ([pod("both"), pod("inner")], True, ["10.0.0.1", "10.0.0.2"]),
        ([pod("both", ready=False), pod("inner", phase="Succeeded")], False, []),
        ([pod("nameless"), pod("gone")], False, []),
        ([pod("inner"), pod("inner")], False, ["10.0.0.2"]),
    ],
)
def test_of_the_nodes_of_ready_pods(pods: list[core.Pod], internal: bool, addresses: list[str]) -> None:
    assert [each.ip for each in of_pods(pods, NODES, internal)] == addresses


def test_names_are_told_beside_addresses() -> None:
    assert [(each.ip, each.hostname) for each in of_addresses(["b.example", "192.0.2.1", "192.0.2.1"])] == [
        ("192.0.2.1", ""),
        ("", "b.example"),
    ]


@pytest.mark.parametrize(
    ("spec", "given", "addresses"),
    [
        ({"type": "LoadBalancer", "externalIPs": ["192.0.2.9"]}, [{"ip": "192.0.2.1"}], ["192.0.2.1", "192.0.2.9"]),
        ({"type": "ClusterIP", "clusterIP": "10.96.0.1"}, [], ["10.96.0.1"]),
        ({"type": "ClusterIP", "clusterIP": "None"}, [], []),
        ({"type": "NodePort", "clusterIP": "10.96.0.1", "externalIPs": ["192.0.2.9"]}, [], ["192.0.2.9"]),
        ({"type": "ExternalName", "externalName": "192.0.2.7"}, [], ["192.0.2.7"]),
    ],
)
def test_of_a_service_by_its_type(spec: dict[str, object], given: list[object], addresses: list[str]) -> None:
    status = {"loadBalancer": {"ingress": given}}
    service = from_json({"metadata": {"name": "s"}, "spec": spec, "status": status}, core.Service)
    assert [each.ip for each in of_service(service)] == addresses
    assert of_service(None) == []


def test_pods_of_other_revisions_serve_as_well() -> None:
    """Who is replaced by a rolling update is the same controller; other pods beside it are not."""
    client = MemoryClient()
    places = {"mine": ("a", "1", "inner"), "newer": ("a", "2", "both"), "else": ("b", "1", "inner")}
    for name, (app, revision, where) in places.items():
        one = pod(where)
        one.metadata.name, one.metadata.namespace = name, "kube-system"
        one.metadata.labels = {"app": app, "controller-revision-hash": revision}
        client.put(one)
    for name, one_node in NODES.items():
        one_node.metadata.name = name
        client.put(one_node)
    informers = MemoryInformers(client)
    source = OfPods(("kube-system", "mine"), False, informers)
    assert [each.ip for each in source.now()] == ["10.0.0.2", "192.0.2.1"]
    assert source.others()
    gone = OfPods(("kube-system", "gone"), False, informers)
    assert gone.now() == [] and not gone.others()


@pytest.mark.parametrize(
    ("arguments", "environment", "writes"),
    [
        ([], {}, False),
        ([], {"POD_NAME": "p"}, False),
        ([], {"POD_NAME": "p", "POD_NAMESPACE": "n"}, True),
        (["--publish-status-address=192.0.2.1"], {}, True),
        (["--update-status=false"], {"POD_NAME": "p", "POD_NAMESPACE": "n"}, False),
    ],
)
def test_who_writes(arguments: list[str], environment: dict[str, str], writes: bool) -> None:
    values = flags.parse("nginx-ingress-controller", FLAGS, arguments)
    assert ingress_controller_options(values, environment).writes is writes
