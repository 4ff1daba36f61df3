"""What a NetworkPolicy says: whom it isolates, and who may pass all the same (upstream: api/networking/v1/types.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pybernetes.api.labels import EVERYTHING, NOTHING, Selector, SelectorError, as_selector
from pybernetes.api.types import meta_v1
from pybernetes.api.types import networking_v1 as networking

from .pod import NamedPort, PolicyPod

PROTOCOLS = ("tcp", "udp", "sctp")
Range = tuple[int, int]  # first and last: of ports, or of addresses as numbers


@dataclass(frozen=True, slots=True)
class PeerPods:
    """Pods of one namespace, or of all that a selector of namespaces chooses (`namespace` is "" then)."""

    namespace: str
    namespaces: Selector
    pods: Selector

    def has(self, pod: PolicyPod, namespace_labels: Mapping[str, str]) -> bool:
        """Whether the pod is one of them."""
        if self.namespace:
            return pod.namespace == self.namespace and self.pods.matches(pod.labels)
        return self.namespaces.matches(namespace_labels) and self.pods.matches(pod.labels)

    def __str__(self) -> str:
        where = f"namespace {self.namespace}" if self.namespace else f"namespaces {_shown(self.namespaces)}"
        return f"{where} pods {_shown(self.pods)}"


def _shown(selector: Selector) -> str:
    return "(none)" if selector.nothing else f"{selector}" or "(all)"


@dataclass(frozen=True, slots=True)
class Ports:
    """Of one protocol: all ports, or those in the ranges (in order, apart from each other) and those that pods call so."""

    protocol: str
    everything: bool
    ranges: tuple[Range, ...]
    names: tuple[str, ...]

    def named(self) -> list[NamedPort]:
        return [(name, self.protocol) for name in self.names]


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may pass: any peer, or pods and addresses; on `ports`, None for every protocol and port."""

    any_peer: bool
    pods: tuple[PeerPods, ...]
    blocks: Mapping[int, tuple[Range, ...]]  # by IP version: in order, apart from each other
    ports: tuple[Ports, ...] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """`ingress` and `egress` are None where the policy does not isolate in that direction. `problems` are for the log."""

    namespace: str
    name: str
    pods: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None
    problems: tuple[str, ...] = ()

    def rules(self, direction: str) -> tuple[Rule, ...] | None:
        return self.ingress if direction == "ingress" else self.egress


def policy(obj: networking.NetworkPolicy) -> Policy:
    """Never fails: what cannot be read, though the API server should have refused it, lets nobody pass."""
    reader = _Reader(obj.metadata.namespace)
    spec = obj.spec
    types = spec.policy_types or ["Ingress", *(["Egress"] if spec.egress else [])]
    pods = reader.selector(spec.pod_selector)
    ingress = tuple(reader.rule(rule.from_, rule.ports) for rule in spec.ingress) if "Ingress" in types else None
    egress = tuple(reader.rule(rule.to, rule.ports) for rule in spec.egress) if "Egress" in types else None
    return Policy(obj.metadata.namespace, obj.metadata.name, pods, ingress, egress, tuple(reader.problems))


class _Reader:
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.problems: list[str] = []

    def selector(self, selector: meta_v1.LabelSelector | None) -> Selector:
        try:
            return as_selector(selector)
        except SelectorError as error:
            self.problems.append(str(error))
            return NOTHING

    def rule(
        self, peers: Sequence[networking.NetworkPolicyPeer], ports: Sequence[networking.NetworkPolicyPort]
    ) -> Rule:
        pods: dict[PeerPods, None] = {}
        blocks: dict[int, list[Range]] = {4: [], 6: []}
        for peer in peers:
            if peer.ip_block is not None:
                self._block(peer.ip_block, blocks)
            else:
                pods[self._peer_pods(peer)] = None
        joined = {version: merged(ranges) for version, ranges in blocks.items()}
        return Rule(not peers, tuple(pods), joined, _ports(ports) if ports else None)

    def _peer_pods(self, peer: networking.NetworkPolicyPeer) -> PeerPods:
        pods = self.selector(peer.pod_selector) if peer.pod_selector is not None else EVERYTHING
        if peer.namespace_selector is None:
            return PeerPods(self._namespace, NOTHING, pods)
        return PeerPods("", self.selector(peer.namespace_selector), pods)

    def _block(self, block: networking.IPBlock, into: Mapping[int, list[Range]]) -> None:
        try:
            network = ipaddress.ip_network(block.cidr, strict=False)
            holes = [ipaddress.ip_network(text, strict=False) for text in block.except_]
        except ValueError as error:
            self.problems.append(f"ipBlock: {error}")
            return
        whole = (int(network.network_address), int(network.broadcast_address))
        without = [(int(hole.network_address), int(hole.broadcast_address)) for hole in holes]
        into[network.version].extend(outside(whole, without))


def _ports(ports: Sequence[networking.NetworkPolicyPort]) -> tuple[Ports, ...]:
    listed = []
    for protocol in PROTOCOLS:
        own = [port for port in ports if (port.protocol or "TCP").lower() == protocol]
        if own:
            numbers = [
                (p.port, p.end_port if p.end_port is not None else p.port) for p in own if isinstance(p.port, int)
            ]
            names = tuple(sorted({port.port for port in own if isinstance(port.port, str)}))
            listed.append(Ports(protocol, any(port.port is None for port in own), merged(numbers), names))
    return tuple(listed)


def merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """In order; what overlaps or touches is one."""
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def outside(whole: Range, holes: Iterable[Range]) -> list[Range]:
    """What is left of a range without its holes."""
    left, position = [], whole[0]
    for first, last in merged(holes):
        if first > whole[1]:
            break
        if first > position:
            left.append((position, first - 1))
        position = max(position, last + 1)
    if position <= whole[1]:
        left.append((position, whole[1]))
    return left
