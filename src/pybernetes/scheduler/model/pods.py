"""A pod as the scheduler sees it: what it shares with pods of the same shape, and what is its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types._support import encode_hook

from .requests import Amounts, granted, nonzero_requests, pod_requests
from .selectors import AffinityTerm, NodeTerm, affinity_term, node_terms

DEFAULT_SCHEDULER = "default-scheduler"
_encoder = msgspec.msgpack.Encoder(enc_hook=encode_hook)

Port = tuple[str, str, int]  # (host address, protocol, port)
Key = tuple[str, str]  # (namespace, name)


def _requires(affinity: Any) -> list[Any]:
    return [] if affinity is None else affinity.required_during_scheduling_ignored_during_execution or []


def _prefers(affinity: Any) -> list[Any]:
    return [] if affinity is None else affinity.preferred_during_scheduling_ignored_during_execution


class Shape:
    """All of a pod's spec that placement depends on, and its namespace. Pods with equal ones have the same `Shape`."""

    def __init__(self, key: bytes, namespace: str, spec: core.PodSpec) -> None:
        self.key, self.namespace, self.spec = key, namespace, spec
        self.requests: Amounts = pod_requests(spec)
        self.nonzero = nonzero_requests(spec)
        self.ports = host_ports(spec)
        self.images = tuple(c.image for c in spec.containers)
        self.has_volumes = any(_is_tracked(v) for v in spec.volumes)

    @cached_property
    def required_nodes(self) -> tuple[NodeTerm, ...] | None:
        """The terms of required node affinity."""
        affinity = self._affinity("node_affinity")
        return node_terms(affinity.required_during_scheduling_ignored_during_execution) if affinity else None

    @cached_property
    def preferred_nodes(self) -> tuple[tuple[int, NodeTerm], ...]:
        """(weight, term) of preferred node affinity; empty terms prefer nothing."""
        terms = _prefers(self._affinity("node_affinity"))
        weighted = ((t.weight, node_terms(core.NodeSelector(node_selector_terms=[t.preference]))) for t in terms)
        return tuple((weight, parsed[0]) for weight, parsed in weighted if weight and parsed)

    @cached_property
    def affinity(self) -> tuple[AffinityTerm, ...]:
        """Required pod affinity."""
        return tuple(affinity_term(t, self.namespace) for t in _requires(self._affinity("pod_affinity")))

    @cached_property
    def anti_affinity(self) -> tuple[AffinityTerm, ...]:
        """Required pod anti-affinity."""
        return tuple(affinity_term(t, self.namespace) for t in _requires(self._affinity("pod_anti_affinity")))

    @cached_property
    def preferred_affinity(self) -> tuple[tuple[AffinityTerm, int], ...]:
        """Preferred pod affinity, and anti-affinity with negative weights."""
        weighted = [(t, 1) for t in _prefers(self._affinity("pod_affinity"))]
        weighted += [(t, -1) for t in _prefers(self._affinity("pod_anti_affinity"))]
        return tuple((affinity_term(t.pod_affinity_term, self.namespace), t.weight * sign) for t, sign in weighted)

    @cached_property
    def has_pod_affinity(self) -> bool:
        """Whether it has any of these terms."""
        return bool(self.affinity or self.anti_affinity or self.preferred_affinity)

    def _affinity(self, kind: str) -> Any:
        return None if self.spec.affinity is None else getattr(self.spec.affinity, kind)


@dataclass(slots=True, eq=False)
class PodInfo:
    """A pod with its shape; never changed, a new one is made for a changed pod."""

    pod: core.Pod
    shape: Shape
    priority: int = field(init=False)

    def __post_init__(self) -> None:
        self.priority = self.pod.spec.priority or 0

    @property
    def uid(self) -> str:
        return self.pod.metadata.uid

    @property
    def key(self) -> Key:
        return self.pod.metadata.namespace, self.pod.metadata.name

    @property
    def namespace(self) -> str:
        return self.pod.metadata.namespace

    @property
    def labels(self) -> dict[str, str]:
        return self.pod.metadata.labels

    @property
    def terminating(self) -> bool:
        return self.pod.metadata.deletion_timestamp is not None


class Shapes:
    """Gives equal pods the same shape; a shape lives as long as a pod that has it."""

    def __init__(self) -> None:
        self._shapes: WeakValueDictionary[bytes, Shape] = WeakValueDictionary()

    def info(self, pod: core.Pod) -> PodInfo:
        """The pod with its shape, which equal pods share: what is worked out of one holds for all."""
        spec = granted(pod) if pod.status.container_statuses else pod.spec
        relevant = (
            pod.metadata.namespace,
            [(c.image, c.ports, c.resources.requests, c.restart_policy) for c in spec.containers],
            [(c.image, c.ports, c.resources.requests, c.restart_policy) for c in spec.init_containers],
            spec.affinity,
            spec.node_selector,
            spec.tolerations,
            spec.topology_spread_constraints,
            spec.overhead,
            spec.resources,
            spec.host_network,
            [v for v in spec.volumes if _is_tracked(v)],
        )
        key = _encoder.encode(relevant)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(key, pod.metadata.namespace, spec)
        return PodInfo(pod, shape)


def _is_tracked(volume: core.Volume) -> bool:
    """Volumes that placement depends on."""
    return (
        volume.persistent_volume_claim is not None
        or volume.ephemeral is not None
        or volume.gce_persistent_disk is not None
        or volume.aws_elastic_block_store is not None
        or volume.rbd is not None
        or volume.iscsi is not None
    )


def host_ports(spec: core.PodSpec) -> tuple[Port, ...]:
    """The ports of the host that the pod takes; sidecars' too."""
    containers = [*spec.containers, *(c for c in spec.init_containers if c.restart_policy == "Always")]
    return tuple(
        (p.host_ip or "0.0.0.0", p.protocol or "TCP", p.host_port) for c in containers for p in c.ports if p.host_port
    )


def claim_names(pod: core.Pod) -> list[tuple[str, bool]]:
    """The claims that the pod uses, in its namespace, with whether each is made for the pod (a generic ephemeral volume)."""
    names = []
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            names.append((volume.persistent_volume_claim.claim_name, False))
        elif volume.ephemeral is not None:
            names.append((f"{pod.metadata.name}-{volume.name}", True))
    return names


def responsible(pod: core.Pod, profiles: Any) -> bool:
    """Whether a scheduler with these profiles is to place the pod."""
    return (pod.spec.scheduler_name or DEFAULT_SCHEDULER) in profiles
