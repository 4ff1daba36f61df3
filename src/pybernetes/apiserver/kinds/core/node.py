"""Node of v1 (upstream: pkg/registry/core/node, core validation)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import dual_stack, go_names, identity, same, valid_cidr
from .affinity import taints
from .poddefaults import rounded
from .resources import quantity_value

ROLE_PREFIX, ROLE = "node-role.kubernetes.io/", "kubernetes.io/role"


def default(node: Object) -> None:
    """All that there is may be given away; the single network and the first of the list are one."""
    spec, status = node.setdefault("spec", {}), node.setdefault("status", {})
    one, many = spec.get("podCIDR") or "", spec.get("podCIDRs") or []
    if one and (not many or many[0] != one):
        spec["podCIDRs"] = [one]
    elif many and not one:
        spec["podCIDR"] = many[0]
    rounded(status.get("capacity"))
    rounded(status.get("allocatable"))
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def validate(node: Object) -> Errors:
    """On creation; a status may be given, and then must be in order."""
    spec = node.get("spec") or {}
    errors = taints(Path("metadata.taints"), spec.get("taints") or ())
    errors += _resources(node.get("status") or {})
    swap = (((node.get("status") or {}).get("nodeInfo") or {}).get("swap") or {}).get("capacity")
    if swap is not None and swap <= 0:
        errors.append(field.invalid(Path("metadata.nodeSwapStatus.capacity"), swap, "must be greater than zero"))
    return errors + _networks(Path("spec.podCIDRs"), spec.get("podCIDRs") or [])


def _resources(status: Object) -> Errors:
    errors: Errors = []
    for kind in ("capacity", "allocatable"):
        for name, text in (status.get(kind) or {}).items():
            errors += quantity_value(Path("status") / kind / name, name, text)
    return errors


def _networks(path: Path, networks: list[str]) -> Errors:
    errors = [error for index, text in enumerate(networks) for error in valid_cidr(path / index, text)]
    if len(networks) > 1 and (len(networks) > 2 or not dual_stack(networks)):
        errors.append(field.invalid(path, networks, "may specify no more than one CIDR for each IP family"))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """Networks and provider id are given once."""
    spec, before, status = new.get("spec") or {}, old.get("spec") or {}, new.get("status") or {}
    errors = _resources(status)
    addresses = status.get("addresses") or []
    for index, _ in field.repeats(map(identity, addresses)):
        errors.append(field.duplicate(Path("status.addresses") / index, go_names(addresses[index])))
    if before.get("podCIDRs") and not same(spec.get("podCIDRs"), before["podCIDRs"]):
        why = 'node updates may not change podCIDR except from "" to valid'
        errors.append(field.forbidden(Path("spec.podCIDRs"), why))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        why = 'node updates may not change providerID except from "" to valid'
        errors.append(field.forbidden(Path("spec.providerID"), why))
    errors += taints(Path("metadata.taints"), spec.get("taints") or ())
    if (spec.get("externalID") or "") != (before.get("externalID") or ""):
        errors.append(field.forbidden(Path("spec.externalID"), "may not be updated"))
    return errors


def selectable(node: Object) -> Mapping[str, str]:
    """Whether pods are kept away."""
    return {"spec.unschedulable": "true" if (node.get("spec") or {}).get("unschedulable") else "false"}


def _roles(labels: Mapping[str, str]) -> str:
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    roles.add(labels.get(ROLE, ""))
    return ",".join(sorted(roles - {""})) or "<none>"


def _status(node: Object) -> str:
    ready = [c.get("status") for c in (node.get("status") or {}).get("conditions") or () if c.get("type") == "Ready"]
    word = "Unknown" if not ready else "Ready" if ready[-1] == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else word


def row(node: Object, now: datetime) -> list[Any]:
    """The cells, the wide ones included."""
    status = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    addresses: dict[str, str] = {}
    for address in status.get("addresses") or ():
        addresses.setdefault(address.get("type") or "", address.get("address") or "")
    return [
        node["metadata"]["name"],
        _status(node),
        _roles(node["metadata"].get("labels") or {}),
        object_age(node, now),
        info.get("kubeletVersion") or "",
        addresses.get("InternalIP", "<none>"),
        addresses.get("ExternalIP", "<none>"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


RESOURCE = Resource(
    group="",
    version="v1",
    name="nodes",
    kind="Node",
    schema="io.k8s.api.core.v1.Node",
    short_names=("no",),
    namespaced=False,
    status=True,
    subresources=("proxy",),
    generation=False,
    default=default,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_update,
    selectable=selectable,
    selectable_fields=("spec.unschedulable",),
    columns=(
        NAME,
        Column("Status", description="The status of the node"),
        Column("Roles", description="The roles of the node"),
        AGE,
        Column("Version"),
        Column("Internal-IP", priority=1),
        Column("External-IP", priority=1),
        Column("OS-Image", priority=1),
        Column("Kernel-Version", priority=1),
        Column("Container-Runtime", priority=1),
    ),
    row=row,
)
