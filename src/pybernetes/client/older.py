"""Kinds that an older server has in an older version alone, so that parts of ours work on one of 1.20. Pure.

Upstream's parts have no such thing: they go with servers of their own release. What is here is told apart by little more than its
apiVersion; what an older server has not at all (ServiceCIDR, ValidatingAdmissionPolicy) nobody can make up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pybernetes.api.wellknown import LABEL_HOSTNAME, LABEL_TOPOLOGY_ZONE

Document = dict[str, Any]  # an object as JSON, or a patch of one


def _unchanged(document: Document) -> Document:
    return document


@dataclass(frozen=True, slots=True)
class Older:
    """The older apiVersion, and what is said otherwise in it."""

    api_version: str
    sent: Callable[[Document], Document] = _unchanged
    received: Callable[[Document], Document] = _unchanged


def _nobody(budget: Document) -> Document:
    """An empty selector covers no pod in policy/v1beta1, and all in v1, where none at all covers no pod."""
    spec = budget.get("spec") or {}
    if spec.get("selector") in ({}, {"matchLabels": {}}):
        return {**budget, "spec": {key: value for key, value in spec.items() if key != "selector"}}
    return budget


# Of an endpoint: field of v1 -> label in v1beta1's topology.
_TOPOLOGY = {"nodeName": LABEL_HOSTNAME, "zone": LABEL_TOPOLOGY_ZONE}


def _with_topology(endpoint: Document) -> Document:
    topology = dict(endpoint.get("deprecatedTopology") or {})
    topology |= {label: endpoint[name] for name, label in _TOPOLOGY.items() if endpoint.get(name)}
    rest = {key: value for key, value in endpoint.items() if key not in ("zone", "deprecatedTopology")}
    return {**rest, "topology": topology} if topology else rest


def _without_topology(endpoint: Document) -> Document:
    topology = dict(endpoint.get("topology") or {})
    rest = {key: value for key, value in endpoint.items() if key != "topology"}
    for name, label in _TOPOLOGY.items():
        value = topology.pop(label, "")
        if value and not rest.get(name):
            rest[name] = value
    return {**rest, "deprecatedTopology": topology} if topology else rest


def _of_endpoints(change: Callable[[Document], Document]) -> Callable[[Document], Document]:
    def changed(slices: Document) -> Document:
        endpoints = slices.get("endpoints")
        return {**slices, "endpoints": [change(one) for one in endpoints]} if endpoints else slices

    return changed


# (apiVersion, kind) -> how an older server has it.
OLDER: Mapping[tuple[str, str], Older] = {
    ("autoscaling/v2", "HorizontalPodAutoscaler"): Older("autoscaling/v2beta2"),
    ("batch/v1", "CronJob"): Older("batch/v1beta1"),
    ("discovery.k8s.io/v1", "EndpointSlice"): Older(
        "discovery.k8s.io/v1beta1", _of_endpoints(_with_topology), _of_endpoints(_without_topology)
    ),
    ("policy/v1", "PodDisruptionBudget"): Older("policy/v1beta1", received=_nobody),
}


def as_sent(older: Older, document: Any) -> Any:
    """What is written, in the older version; a JSON patch, which names fields one by one, stays."""
    if not isinstance(document, dict):
        return document
    changed = older.sent(document)
    return {**changed, "apiVersion": older.api_version} if "apiVersion" in changed else changed


def as_received(older: Older, api_version: str, document: Document) -> Document:
    """What an older server answers, in the version that is asked for: an object, or a list of such."""
    if isinstance(document.get("items"), list):
        items = [as_received(older, api_version, one) for one in document["items"]]
        return {**document, "apiVersion": api_version, "items": items}
    return {**older.received(document), "apiVersion": api_version}


def as_owned(versions: Mapping[tuple[str, str], Older], document: Document) -> Document:
    """An object whose owners are named in the versions that the server has them in."""
    metadata = document["metadata"]
    owners = [
        {**owner, "apiVersion": older.api_version}
        if (older := versions.get((owner.get("apiVersion", ""), owner.get("kind", "")))) is not None
        else owner
        for owner in metadata.get("ownerReferences") or ()
    ]
    return {**document, "metadata": {**metadata, "ownerReferences": owners}}
