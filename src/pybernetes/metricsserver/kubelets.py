"""Where a node's kubelet is asked (upstream: pkg/utils/address_resolver.go, pkg/scraper/client/resource/client.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pybernetes.api.types import core_v1 as core

ADDRESS_TYPES = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")
PORT = 10250
SCHEDULABLE = "Ready"


class NoAddress(ValueError):
    """A node that cannot be asked; one line."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What of a Node counts here."""

    addresses: tuple[tuple[str, str], ...]  # (type, address)
    port: int  # that its status tells; 0 where it tells none
    ready: bool
    labels: Mapping[str, str]


def node_facts(node: core.Node) -> NodeFacts:
    """Of a Node as it is now."""
    addresses = tuple((one.type, one.address) for one in node.status.addresses)
    ready = any(one.type == SCHEDULABLE and one.status == "True" for one in node.status.conditions)
    return NodeFacts(addresses, node.status.daemon_endpoints.kubelet_endpoint.port, ready, node.metadata.labels)


@dataclass(frozen=True, slots=True)
class Resolver:
    """`types` in the order in which they are taken; `use_status_port`: the one that the Node tells goes before `port`."""

    types: Sequence[str] = ADDRESS_TYPES
    port: int = PORT
    use_status_port: bool = False

    def place(self, name: str, node: NodeFacts) -> tuple[str, int]:
        """(host, port). NoAddress."""
        for preferred in self.types:
            for kind, address in node.addresses:
                if kind == preferred and address:
                    return address, (node.port or self.port) if self.use_status_port else self.port
        have = ", ".join(kind for kind, _ in node.addresses) or "none"
        raise NoAddress(f"node {name} had no addresses that matched types [{' '.join(self.types)}]: it has {have}")
