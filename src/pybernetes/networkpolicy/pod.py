"""What policies ask of a pod: labels, addresses, named ports, and on which node it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pybernetes.api.pods import FINISHED
from pybernetes.api.types import core_v1 as core

NamedPort = tuple[str, str]  # name, protocol in lower case


@dataclass(frozen=True, slots=True)
class PolicyPod:
    """Addresses are in their shortest form; `ports` are the numbers of the containers' named ports: several containers may call theirs alike."""

    namespace: str
    name: str
    node: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    ports: Mapping[NamedPort, frozenset[int]]

    def having(self, addresses: tuple[str, ...]) -> PolicyPod:
        """The same with other addresses."""
        return replace(self, addresses=addresses)


def policy_pod(pod: core.Pod) -> PolicyPod | None:
    """None where policies have nothing to say: no address yet, none any more, or the node's own network."""
    if pod.spec.host_network or pod.status.phase in FINISHED:
        return None
    listed = [item.ip for item in pod.status.pod_ips] or [pod.status.pod_ip]
    addresses = tuple(dict.fromkeys(str(ipaddress.ip_address(text)) for text in listed if text))
    if not addresses:
        return None
    meta = pod.metadata
    return PolicyPod(meta.namespace, meta.name, pod.spec.node_name, meta.labels, addresses, _named_ports(pod))


def _named_ports(pod: core.Pod) -> dict[NamedPort, frozenset[int]]:
    """Of containers and sidecars. Names are one container's alone: each that is called so counts (upstream: kube-network-policies, evaluatePorts)."""
    sidecars = [container for container in pod.spec.init_containers if container.restart_policy == "Always"]
    ports: dict[NamedPort, frozenset[int]] = {}
    for container in (*pod.spec.containers, *sidecars):
        for port in container.ports:
            if port.name:
                key = (port.name, (port.protocol or "TCP").lower())
                ports[key] = ports.get(key, frozenset()) | {port.container_port}
    return ports
