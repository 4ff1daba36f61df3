"""discovery.k8s.io/v1beta1 (until 1.25): zone and host stand in a map (upstream: pkg/apis/discovery/v1beta1/conversion.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybernetes.api.field import FieldError
from pybernetes.api.wellknown import LABEL_HOSTNAME, LABEL_TOPOLOGY_ZONE

from ...resource import Errors, Object
from ..versions import Family, family, older
from .endpointslice import RESOURCE, row, validate, validate_update

BETA, HUB = "discovery.k8s.io/v1beta1", "discovery.k8s.io/v1"


def _to_hub(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    converted = {name: value for name, value in endpoint.items() if name != "topology"}
    topology = dict(endpoint.get("topology") or {})
    if LABEL_TOPOLOGY_ZONE in topology:
        converted["zone"] = topology.pop(LABEL_TOPOLOGY_ZONE)
    if LABEL_HOSTNAME in topology and topology[LABEL_HOSTNAME] == converted.get("nodeName"):
        del topology[LABEL_HOSTNAME]  # another host than the node's stays
    if topology:
        converted["deprecatedTopology"] = topology
    return converted


def _from_hub(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    converted = {name: value for name, value in endpoint.items() if name not in ("deprecatedTopology", "zone")}
    topology = dict(endpoint.get("deprecatedTopology") or {})
    if (zone := endpoint.get("zone")) is not None:
        topology[LABEL_TOPOLOGY_ZONE] = zone
    if (node := endpoint.get("nodeName")) is not None:
        topology.setdefault(LABEL_HOSTNAME, node)
    if topology:
        converted["topology"] = topology
    return converted


def from_beta(slice_: Object) -> Object:
    """As v1."""
    converted = {**slice_, "apiVersion": HUB}
    if slice_.get("endpoints") is not None:
        converted["endpoints"] = [_to_hub(endpoint) for endpoint in slice_["endpoints"]]
    return converted


def to_beta(slice_: Object) -> Object:
    """As v1beta1."""
    converted = {**slice_, "apiVersion": BETA}
    if slice_.get("endpoints") is not None:
        converted["endpoints"] = [_from_hub(endpoint) for endpoint in slice_["endpoints"]]
    return converted


def _named(errors: Errors) -> Errors:
    """With this version's name of the map."""
    return [FieldError(e.reason, e.field.replace("deprecatedTopology", "topology"), e.body) for e in errors]


def validate_beta(slice_: Object) -> Errors:
    """As v1."""
    return _named(validate(from_beta(slice_)))


def validate_beta_update(new: Object, old: Object) -> Errors:
    """As v1."""
    return _named(validate_update(from_beta(new), from_beta(old)))


FAMILIES: tuple[Family, ...] = (
    family(
        RESOURCE,
        older(RESOURCE, "discovery.v1beta1", validate=validate_beta, validate_update=validate_beta_update, row=row),
        functions={(BETA, HUB): from_beta, (HUB, BETA): to_beta},
    ),
)
