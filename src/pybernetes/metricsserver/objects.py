"""NodeMetrics and PodMetrics of metrics.k8s.io/v1beta1 as documents, and as tables (upstream: pkg/api, k8s.io/metrics)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api.durations import format_duration
from pybernetes.api.quantity import Format, Quantity
from pybernetes.api.times import format_time, since_epoch

from .points import NANOS, Key
from .storage import Usage

Document = dict[str, Any]

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
GROUP_VERSION = f"{GROUP}/{VERSION}"
TABLE_VERSION = "meta.k8s.io/v1"
KINDS = {"nodes": "NodeMetrics", "pods": "PodMetrics"}


def quantities(usage: Usage) -> dict[str, str]:
    """cpu in cores, memory (and swap) in bytes."""
    amounts = {"cpu": str(Quantity(usage.cpu)), "memory": str(Quantity.from_int(usage.memory, Format.BINARY_SI))}
    if usage.swap is not None:
        amounts["swap"] = str(Quantity.from_int(usage.swap, Format.BINARY_SI))
    return amounts


def _timed(usage: Usage) -> Document:
    return {
        "timestamp": format_time(since_epoch(usage.timestamp // NANOS)),
        "window": format_duration(usage.window / NANOS),
    }


def _metadata(name: str, namespace: str, labels: Mapping[str, str], now: datetime) -> Document:
    place = {"namespace": namespace} if namespace else {}
    of_labels = {"labels": dict(labels)} if labels else {}
    return {"name": name, **place, "creationTimestamp": format_time(now), **of_labels}


def node_metrics(name: str, labels: Mapping[str, str], usage: Usage, now: datetime) -> Document:
    """As an item of a list."""
    return {"metadata": _metadata(name, "", labels, now), **_timed(usage), "usage": quantities(usage)}


def pod_metrics(key: Key, labels: Mapping[str, str], usages: Mapping[str, Usage], now: datetime) -> Document | None:
    """As an item of a list, timed as its container with the oldest figures; None where it has none."""
    if not usages:
        return None
    containers = [{"name": name, "usage": quantities(usage)} for name, usage in sorted(usages.items())]
    oldest = min(usages.values(), key=lambda usage: usage.timestamp)
    return {"metadata": _metadata(key[1], key[0], labels, now), **_timed(oldest), "containers": containers}


def listed(resource: str, items: Sequence[Document]) -> Document:
    """NodeMetricsList or PodMetricsList."""
    return {"kind": f"{KINDS[resource]}List", "apiVersion": GROUP_VERSION, "metadata": {}, "items": list(items)}


def single(resource: str, item: Document) -> Document:
    """With its kind."""
    return {"kind": KINDS[resource], "apiVersion": GROUP_VERSION, **item}


def table(resource: str, items: Sequence[Document], include: str) -> Document:
    """`include` as of the parameter includeObject: None, Metadata or Object."""
    rows = [_row(resource, item, include) for item in items]
    names = sorted(total(items[0])) if items else []
    columns: list[Document] | None = [
        _column("Name", "name", "Name of the resource"),
        *(_column(name, "quantity") for name in names),
        _column("Window", "duration"),
    ]
    for row, item in zip(rows, items, strict=True):
        use = total(item)
        row["cells"] = [item["metadata"]["name"], *(use.get(name, "0") for name in names), item["window"]]
    return {
        "kind": "Table",
        "apiVersion": TABLE_VERSION,
        "metadata": {},
        "columnDefinitions": columns if items else None,  # upstream names columns as it sees the first item
        "rows": rows,
    }


def total(item: Document) -> dict[str, str]:
    """What it uses by resource: of a pod the sum of its containers."""
    if "containers" not in item:
        of_node: dict[str, str] = item["usage"]
        return of_node
    sums: dict[str, Quantity] = {}
    for container in item["containers"]:
        for name, text in container["usage"].items():
            sums[name] = sums[name] + Quantity.parse(text) if name in sums else Quantity.parse(text)
    return {name: str(value) for name, value in sums.items()}


def _column(name: str, form: str, description: str = "") -> Document:
    return {"name": name, "type": "string", "format": form, "description": description, "priority": 0}


def _row(resource: str, item: Document, include: str) -> Document:
    if include == "None":
        return {"cells": []}
    if include == "Object":
        return {"cells": [], "object": single(resource, item)}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": TABLE_VERSION, "metadata": item["metadata"]}
    return {"cells": [], "object": partial}


def group_list() -> Document:
    """/apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group()]}


def group() -> Document:
    """/apis/metrics.k8s.io."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group()}


def _group() -> Document:
    version = {"groupVersion": GROUP_VERSION, "version": VERSION}
    return {"name": GROUP, "versions": [version], "preferredVersion": version}


def resource_list() -> Document:
    """/apis/metrics.k8s.io/v1beta1."""
    resources = [
        {"name": name, "singularName": "", "namespaced": name == "pods", "kind": kind, "verbs": ["get", "list"]}
        for name, kind in KINDS.items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources}
