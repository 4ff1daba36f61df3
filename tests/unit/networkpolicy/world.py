"""Namespaces, pods and policies at random, and who may reach whom by the words of the API's documentation: the tests' oracle."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pybernetes.api import types
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import networking_v1 as networking

Document = dict[str, Any]

NODES = ("node-a", "node-b")
NAMES = ("a", "b", "c")
NAMESPACES = ("x", "y", "z")
PORTS = (80, 81, 8080)
PROTOCOLS = ("TCP", "UDP", "SCTP")
OUTSIDE = ("192.0.2.1", "192.0.2.77", "2001:db8::1")


@dataclass(frozen=True)
class Flow:
    """Who begins, who answers; `port` 0 for a protocol without ports."""

    source: str
    destination: str
    protocol: str
    port: int


@dataclass
class World:
    """Documents as the API has them."""

    namespaces: dict[str, Document] = field(default_factory=dict)
    pods: dict[tuple[str, str], Document] = field(default_factory=dict)
    policies: dict[tuple[str, str], Document] = field(default_factory=dict)

    def pod_at(self, address: str) -> Document | None:
        for pod in self.pods.values():
            if {"ip": address} in pod["status"]["podIPs"] and not pod["spec"].get("hostNetwork"):
                return pod
        return None

    def allowed(self, flow: Flow, node: str) -> bool:
        """By the rules of a node: it judges its own pods only."""
        source, destination = self.pod_at(flow.source), self.pod_at(flow.destination)
        if source is not None and source is destination:
            return True
        if source is not None and source["spec"]["nodeName"] == node and not self._side(flow, source, "egress"):
            return False
        return (
            destination is None or destination["spec"]["nodeName"] != node or self._side(flow, destination, "ingress")
        )

    def _side(self, flow: Flow, pod: Document, direction: str) -> bool:
        isolating = [
            policy
            for policy in self.policies.values()
            if policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and direction.capitalize() in policy["spec"]["policyTypes"]
            and _selected(policy["spec"]["podSelector"], pod["metadata"]["labels"])
        ]
        peer = flow.source if direction == "ingress" else flow.destination
        return not isolating or any(
            self._peer(rule.get("from" if direction == "ingress" else "to"), peer, policy["metadata"]["namespace"])
            and self._port(rule.get("ports"), flow)
            for policy in isolating
            for rule in policy["spec"].get(direction, [])
        )

    def _peer(self, peers: Sequence[Document] | None, address: str, namespace: str) -> bool:
        if not peers:
            return True
        pod = self.pod_at(address)
        for peer in peers:
            if "ipBlock" in peer:
                if _within(address, peer["ipBlock"]["cidr"]) and not any(
                    _within(address, hole) for hole in peer["ipBlock"].get("except", [])
                ):
                    return True
            elif pod is not None:
                where = pod["metadata"]["namespace"]
                if "namespaceSelector" not in peer:
                    right_place = where == namespace
                else:
                    right_place = _selected(peer["namespaceSelector"], self.namespaces[where]["metadata"]["labels"])
                if right_place and _selected(peer.get("podSelector", {}), pod["metadata"]["labels"]):
                    return True
        return False

    def _port(self, ports: Sequence[Document] | None, flow: Flow) -> bool:
        if not ports:
            return True
        for port in ports:
            if port.get("protocol", "TCP") != flow.protocol:
                continue
            number = port.get("port")
            if number is None or (isinstance(number, int) and number <= flow.port <= port.get("endPort", number)):
                return True
            pod = self.pod_at(flow.destination)
            if isinstance(number, str) and pod is not None:
                for container in pod["spec"]["containers"]:
                    for own in container["ports"]:
                        if (own["name"], own["protocol"], own["containerPort"]) == (number, flow.protocol, flow.port):
                            return True
        return False


def _selected(selector: Document, labels: Mapping[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        key, values = expression["key"], expression.get("values", [])
        held = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not held[expression["operator"]]:
            return False
    return True


def _within(address: str, cidr: str) -> bool:
    parsed, network = ipaddress.ip_address(address), ipaddress.ip_network(cidr)
    return parsed.version == network.version and parsed in network


# Dice.


def namespace(name: str, team: str) -> Document:
    return {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, "team": team}}}


def pod(space: str, name: str, number: int, node: str, **labels: str) -> Document:
    """Dual stack; "http" is another port in each namespace, and two pods of each have a second container that calls another one so."""
    port = PORTS[NAMESPACES.index(space)]
    named = [{"name": "http", "protocol": p, "containerPort": port} for p in PROTOCOLS[:2]]
    containers = [{"name": "c", "ports": named}]
    if number % 3:
        containers.append(
            {"name": "d", "ports": [{"name": "http", "protocol": "TCP", "containerPort": PORTS[number % 3]}]}
        )
    addresses = [{"ip": f"10.244.0.{number}"}, {"ip": f"fd00::{number:x}"}]
    return {
        "metadata": {"namespace": space, "name": name, "labels": {"pod": name, **labels}},
        "spec": {"nodeName": node, "containers": containers},
        "status": {"phase": "Running", "podIP": addresses[0]["ip"], "podIPs": addresses},
    }


def world(dice: random.Random) -> World:
    found = World()
    for space in NAMESPACES:
        found.namespaces[space] = namespace(space, dice.choice(("red", "blue")))
    for number, (space, name) in enumerate((s, n) for s in NAMESPACES for n in NAMES):
        found.pods[space, name] = pod(space, name, 10 + number, dice.choice(NODES), tier=dice.choice(("front", "back")))
    return found


def selector(dice: random.Random, key: str, values: Sequence[str]) -> Document:
    chosen = dice.sample(values, dice.randint(1, len(values)))
    return dice.choice(
        (
            {},
            {"matchLabels": {key: chosen[0]}},
            {"matchExpressions": [{"key": key, "operator": dice.choice(("In", "NotIn")), "values": chosen}]},
            {"matchExpressions": [{"key": key, "operator": dice.choice(("Exists", "DoesNotExist"))}]},
        )
    )


def peer(dice: random.Random) -> Document:
    pods = selector(dice, "pod", NAMES) if dice.random() < 0.7 else selector(dice, "tier", ("front", "back"))
    spaces = (
        selector(dice, "team", ("red", "blue"))
        if dice.random() < 0.5
        else selector(dice, "kubernetes.io/metadata.name", NAMESPACES)
    )
    blocks: tuple[Document, ...] = (
        {"cidr": "0.0.0.0/0", "except": ["10.244.0.12/31", "192.0.2.64/26"]},
        {"cidr": "10.244.0.8/29"},
        {"cidr": "10.244.0.0/16", "except": ["10.244.0.16/28", "10.244.0.10/32"]},
        {"cidr": "::/0", "except": ["fd00::10/125"]},
        {"cidr": "192.0.2.0/24"},
    )
    return dice.choice(
        (
            {"podSelector": pods},
            {"namespaceSelector": spaces},
            {"namespaceSelector": spaces, "podSelector": pods},
            {"ipBlock": dice.choice(blocks)},
        )
    )


def port(dice: random.Random) -> Document:
    made: Document = {"protocol": dice.choice(PROTOCOLS)}
    kind = dice.randrange(4)
    if kind == 0:
        made["port"] = dice.choice(PORTS)
    elif kind == 1:
        made |= {"port": 80, "endPort": dice.choice((81, 9000))}
    elif kind == 2:
        made["port"] = "http"
    return made


def policy(dice: random.Random, space: str, name: str) -> Document:
    def some(make: Any) -> list[Any]:
        return [make(dice) for _ in range(dice.choice((0, 1, 1, 2, 3)))]

    def rule(side: str) -> Document:
        return {side: some(peer), "ports": some(port)}

    spec: Document = {"podSelector": selector(dice, "pod", NAMES)}
    spec["policyTypes"] = dice.choice((["Ingress"], ["Egress"], ["Ingress", "Egress"]))
    if "Ingress" in spec["policyTypes"]:
        spec["ingress"] = [rule("from") for _ in range(dice.randrange(3))]
    if "Egress" in spec["policyTypes"]:
        spec["egress"] = [rule("to") for _ in range(dice.randrange(3))]
    return {"metadata": {"namespace": space, "name": name}, "spec": spec}


def flows(some: World) -> Iterable[Flow]:
    """All pairs of pods and of pods and the outside, on all protocols and ports."""
    groups: dict[int, list[str]] = {4: [], 6: []}
    addresses = [item["ip"] for pod in some.pods.values() for item in pod["status"]["podIPs"]]
    for address in (*addresses, *OUTSIDE):
        groups[ipaddress.ip_address(address).version].append(address)
    for own in groups.values():
        for source in own:
            for destination in own:
                if source not in OUTSIDE or destination not in OUTSIDE:
                    yield Flow(source, destination, "ICMP", 0)
                    yield from (Flow(source, destination, p, number) for p in PROTOCOLS for number in PORTS)


def as_pod(document: Document) -> core.Pod:
    return types.decode(types.encode(document), core.Pod)


def as_policy(document: Document) -> networking.NetworkPolicy:
    return types.decode(types.encode(document), networking.NetworkPolicy)
