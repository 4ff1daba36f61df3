"""Nodes, pods and profiles for tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types._support import decode_hook
from pybernetes.client.informer import Cache
from pybernetes.scheduler.framework.interface import Cluster
from pybernetes.scheduler.model.pods import PodInfo, Shapes
from pybernetes.scheduler.model.table import NodeTable
from pybernetes.scheduler.profiles.config import Built, ProfileOptions, build
from pybernetes.scheduler.profiles.profile import Placement

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def typed(kind: type[Any], /, **fields: Any) -> Any:
    """An object from its JSON form."""
    return msgspec.convert(fields, kind, dec_hook=decode_hook)


def node(
    name: str,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: str = "110",
    labels: Mapping[str, str] | None = None,
    taints: Sequence[str] = (),
    images: Mapping[str, int] | None = None,
    unschedulable: bool = False,
    **resources: str,
) -> core.Node:
    """`taints` as key=value:effect."""
    parts = [(t.partition("=")[0], *t.partition("=")[2].split(":")) for t in taints]
    return typed(
        core.Node,
        metadata={"name": name, "uid": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        spec={
            "unschedulable": unschedulable,
            "taints": [{"key": key, "value": value, "effect": effect} for key, value, effect in parts],
        },
        status={
            "allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **resources},
            "images": [{"names": [n], "sizeBytes": size} for n, size in (images or {}).items()],
        },
    )


def pod(
    name: str = "p",
    requests: Mapping[str, str] | None = None,
    *,
    namespace: str = "default",
    labels: Mapping[str, str] | None = None,
    node: str = "",
    priority: int = 0,
    image: str = "i",
    ports: Sequence[Mapping[str, Any]] = (),
    status: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    **spec: Any,
) -> core.Pod:
    """One container; `spec` in JSON form."""
    container = {"name": "c", "image": image, "resources": {"requests": dict(requests or {})}, "ports": list(ports)}
    return typed(
        core.Pod,
        metadata={
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}/{name}",
            "labels": dict(labels or {}),
            **(metadata or {}),
        },
        spec={
            "containers": [container],
            "nodeName": node,
            "priority": priority,
            "schedulerName": "default-scheduler",
            **spec,
        },
        status=dict(status or {}),
    )


class World:
    """A table, what is around it, and a profile; `place` decides."""

    def __init__(
        self, nodes: Sequence[core.Node] = (), pods: Sequence[core.Pod] = (), profile: ProfileOptions | None = None
    ) -> None:
        self.caches: dict[str, Cache] = {name: Cache() for name in Cluster.__slots__}
        self.cluster = Cluster(**self.caches)  # type: ignore[arg-type]  # names are the fields'
        self.table = NodeTable()
        self.shapes = Shapes()
        self.built: Built = build(profile or ProfileOptions(), self.table, self.cluster)
        self.nominated: dict[str, list[PodInfo]] = {}
        for one in nodes:
            self.table.set_node(one)
        for other in pods:
            self.add(other)

    def add(self, obj: Any) -> None:
        """A pod that has its node."""
        self.table.add_pod(self.shapes.info(obj), obj.spec.node_name)

    def know(self, cache: str, obj: Any) -> None:
        """Something else that is there."""
        self.caches[cache].change((obj.metadata.namespace, obj.metadata.name), obj)

    def decide(self, wanted: core.Pod) -> Any:
        """The framework's answer."""
        return self.built.profile.decide(self.shapes.info(wanted), self.nominated, lambda n: 0)

    def place(self, wanted: core.Pod) -> str:
        """The node, or the message."""
        found = self.decide(wanted)
        return found.node if isinstance(found, Placement) else found.text()

    def feasible(self, wanted: core.Pod) -> list[str]:
        """All nodes that would take it."""
        return sorted(self.built.profile.explain(self.shapes.info(wanted)))

    def scores(self, wanted: core.Pod, plugin: str) -> dict[str, int]:
        """Weighted scores of one plug-in, by node; empty where it does not score the pod."""
        found = self.built.profile.explain(self.shapes.info(wanted))
        return {name: scores[plugin] for name, scores in found.items() if plugin in scores}
