"""What a plugin is told of a pod: its environment and its input (upstream: libcni/api.go, pkg/invoke/args.go, cri-dockerd's network/cni)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pybernetes.api.quantity import Quantity, QuantityError
from pybernetes.api.types import core_v1 as core

from ...machine.config import cgroup_parent, port_mappings
from ...machine.dns import Resolver
from .configuration import Config, Network, Plugin, encoded
from .results import Result

POD_INTERFACE = "eth0"
LOOPBACK_INTERFACE = "lo"
INGRESS_BANDWIDTH = "kubernetes.io/ingress-bandwidth"
EGRESS_BANDWIDTH = "kubernetes.io/egress-bandwidth"
LEAST_BANDWIDTH, MOST_BANDWIDTH = 1000, 10**15  # upstream's: 1k to 1P bits a second
UNLIMITED_BURST = (1 << 31) - 1  # bits; as good as no limit, upstream's
PORT_MAPPINGS, BANDWIDTH, IP_RANGES, DNS, CGROUP_PATH = "portMappings", "bandwidth", "ipRanges", "dns", "cgroupPath"
POD_ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
SANDBOX_ARGUMENT, UID_ARGUMENT = "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID"


class BandwidthError(ValueError):
    """An annotation that is no bandwidth; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class RuntimeConf:
    """One attachment of a container to a network (libcni's RuntimeConf); `netns` is a path, "" where the namespace is gone."""

    container_id: str
    netns: str
    ifname: str
    args: tuple[tuple[str, str], ...] = ()
    capability_args: Mapping[str, Any] = field(default_factory=dict)


def pod_conf(
    pod: core.Pod,
    sandbox_id: str,
    netns: str,
    pod_cidr: str = "",
    resolver: Resolver | None = None,
) -> RuntimeConf:
    """The pod's own interface. BandwidthError."""
    meta = pod.metadata
    capabilities: Config = {
        PORT_MAPPINGS: [
            {
                "hostPort": port.host_port,
                "containerPort": port.container_port,
                "protocol": port.protocol.lower(),
                "hostIP": port.host_ip,
            }
            for port in port_mappings(pod)
        ],
        CGROUP_PATH: cgroup_parent(pod),
        POD_ANNOTATIONS: dict(meta.annotations),
    }
    limits = bandwidth(meta.annotations)
    if limits:
        capabilities[BANDWIDTH] = limits
    if pod_cidr:
        capabilities[IP_RANGES] = [[{"subnet": pod_cidr}]]
    if resolver is not None:
        lines = {"servers": resolver.servers, "searches": resolver.searches, "options": resolver.options}
        capabilities[DNS] = {name: list(values) for name, values in lines.items() if values}
    return RuntimeConf(
        sandbox_id, netns, POD_INTERFACE, pod_args(meta.namespace, meta.name, sandbox_id, meta.uid), capabilities
    )


def pod_args(namespace: str, name: str, sandbox_id: str, uid: str) -> tuple[tuple[str, str], ...]:
    return (
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", namespace),
        ("K8S_POD_NAME", name),
        (SANDBOX_ARGUMENT, sandbox_id),
        (UID_ARGUMENT, uid),
    )


def bandwidth(annotations: Mapping[str, str]) -> Config:
    """The capability's fields; empty where nothing limits the pod. BandwidthError."""
    fields: Config = {}
    for annotation, word in ((INGRESS_BANDWIDTH, "ingress"), (EGRESS_BANDWIDTH, "egress")):
        if annotation not in annotations:
            continue
        try:
            rate = Quantity.parse(annotations[annotation]).value()
        except QuantityError as error:
            raise BandwidthError(f"failed to get pod bandwidth from annotations: {error}") from None
        if rate < LEAST_BANDWIDTH:
            text = "resource is unreasonably small (< 1kbit)"
        elif rate > MOST_BANDWIDTH:
            text = "resource is unreasonably large (> 1Pbit)"
        else:
            fields |= {f"{word}Rate": rate, f"{word}Burst": UNLIMITED_BURST}
            continue
        raise BandwidthError(f"failed to get pod bandwidth from annotations: {text}")
    return fields


def environment(command: str, conf: RuntimeConf | None, path: Sequence[str]) -> dict[str, str]:
    """CNI's variables; the kubelet's own come beside them. `conf` None for what is no container's business."""
    conf = conf or RuntimeConf("", "", "")
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": conf.container_id,
        "CNI_NETNS": conf.netns,
        "CNI_ARGS": ";".join("=".join(pair) for pair in conf.args),
        "CNI_IFNAME": conf.ifname,
        "CNI_PATH": os.pathsep.join(path),
    }


def plugin_input(
    network: Network, plugin: Plugin, conf: RuntimeConf | None = None, previous: Result | None = None
) -> bytes:
    """The plugin's configuration with the network's name and version, what it has capabilities for, and the result before it."""
    document = plugin.config | {"name": network.name, "cniVersion": network.cni_version}
    if previous is not None:
        document["prevResult"] = previous.document()
    given = conf.capability_args if conf is not None else {}
    runtime_config = {name: given[name] for name in plugin.capabilities if name in given}
    if runtime_config:
        document["runtimeConfig"] = runtime_config
    return encoded(document)


def gc_input(network: Network, plugin: Plugin, valid: Sequence[tuple[str, str]]) -> bytes:
    """GC's: all attachments (container, interface) that are to stay, under the specification's key and libcni's first one."""
    attachments = [{"containerID": container_id, "ifname": ifname} for container_id, ifname in valid]
    keys = ("cni.dev/valid-attachments", "cni.dev/attachments")
    named = {"name": network.name, "cniVersion": network.cni_version}
    return encoded(plugin.config | named | dict.fromkeys(keys, attachments))
