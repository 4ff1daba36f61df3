"""Whether an extension API server answers, and what its condition says (upstream: pkg/controllers/status/remote). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pybernetes.api import field
from pybernetes.api.jsoncopy import json_copy

from ..resource import Object
from .remote import AVAILABLE, Remote


@dataclass(frozen=True, slots=True)
class Finding:
    """The condition without its time."""

    status: str
    reason: str
    message: str


PASSED = Finding("True", "Passed", "all checks passed")


def before_asking(remote: Remote, service: Object | None, slices: Iterable[Object]) -> Finding | None:
    """What can be told without asking the server; None where it has to be asked. `slices` are the EndpointSlices of the Service."""
    place, port = remote.service, remote.service.port
    named = f"service/{place.name} in {field.quote(place.namespace)}"
    if service is None:
        return Finding("False", "ServiceNotFound", f"{named} is not present")
    spec = service.get("spec") or {}
    if spec.get("type", "ClusterIP") != "ClusterIP":
        return None
    declared = next((one for one in spec.get("ports") or () if one.get("port") == port), None)
    if declared is None:
        return Finding("False", "ServicePortError", f"{named} is not listening on port {port}")
    slices, port_name = list(slices), declared.get("name") or ""
    if not slices:
        return Finding("False", "EndpointsNotFound", f"cannot find endpointslices for {named}")
    if not any(_has_endpoint(one, port_name) for one in slices):
        text = f"endpointslices for {named} have no addresses with port name {field.quote(port_name)}"
        return Finding("False", "MissingEndpoints", text)
    return None


def _has_endpoint(endpoint_slice: Object, port_name: str) -> bool:
    ready = any(
        (endpoint.get("conditions") or {}).get("ready") is not False
        for endpoint in endpoint_slice.get("endpoints") or ()
    )
    ports = endpoint_slice.get("ports") or ()
    return ready and any((port.get("name") or "") == port_name and port.get("port") for port in ports)


def failed(message: str) -> Finding:
    """It was asked, and gave no answer of success."""
    return Finding("False", "FailedDiscoveryCheck", message)


def with_condition(service: Object, finding: Finding, now: str) -> Object | None:
    """The APIService with the finding in its status; None where it says so already. Its time is that of the last change of status."""
    conditions = (service.get("status") or {}).get("conditions") or []
    before: Object = next((one for one in conditions if one.get("type") == AVAILABLE), {})
    since = before.get("lastTransitionTime") if before.get("status") == finding.status else None
    condition = {
        "type": AVAILABLE,
        "status": finding.status,
        "lastTransitionTime": since or now,
        "reason": finding.reason,
        "message": finding.message,
    }
    if condition == before:
        return None
    changed: Object = json_copy(service)
    others = [one for one in conditions if one.get("type") != AVAILABLE]
    changed["status"] = {"conditions": [*others, condition]}
    return changed
