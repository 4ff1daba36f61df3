"""Resources of a pod as a whole and its claims of devices (upstream: core validation, validatePodResources)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import field, pods
from pybernetes.api.computeresources import is_huge_page
from pybernetes.api.field import Path

from ..validation import WHOLE_OBJECT, Errors, dns_label, dns_subdomain, quantity
from .resources import pod_resource_name, requirements

Object = Mapping[str, Any]


def pod_resources(path: Path, resources: Object, spec: Object) -> Errors:
    """spec.resources, and that the containers fit in."""
    if (spec.get("os") or {}).get("name") == "windows":
        return [field.forbidden(path, "may not be set for a windows pod")]
    errors: Errors = []
    if resources.get("claims") is not None:
        errors.append(field.forbidden(path / "claims", "claims may not be set for Resources at pod-level"))
    errors += requirements(path, resources, (), pod_resource_name)
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    whole = pods.resources_of(spec)
    for name, amount in pods.container_requests(whole).items():
        if name in requests and amount > quantity(requests[name]):
            why = f"must be greater than or equal to aggregate container requests of {amount}"
            errors.append(field.invalid((path / "requests").key(name), requests[name], why))
    for name, amount in pods.container_limits(whole).items():
        if is_huge_page(name) and name in limits and amount > quantity(limits[name]):
            why = f"must be greater than or equal to aggregate container limits of {amount}"
            errors.append(field.invalid((path / "limits").key(name), limits[name], why))
    for index, container in enumerate(spec.get("containers") or ()):
        for name, text in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and quantity(text) > quantity(limits[name]):
                at = (path / "containers" / index).key(name) / "limits"
                errors.append(field.invalid(at, text, f"must be less than or equal to pod limits of {limits[name]}"))
    return errors


def resource_claims(path: Path, claims: Sequence[Object], *, static: bool = False) -> Errors:
    """spec.resourceClaims; `static`: the pod mirrors one that only a kubelet knows."""
    if static:
        return [field.forbidden(WHOLE_OBJECT, "static pods do not support resource claims") for _ in claims]
    errors: Errors = []
    names: set[str] = set()
    for index, claim in enumerate(claims):
        at, name = path / index, claim.get("name") or ""
        if not name:
            errors.append(field.required(at / "name"))
        elif name in names:
            errors.append(field.duplicate(at / "name", name))
        else:
            errors += dns_label(at / "name", name)
            names.add(name)
        given = [key for key in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(key) is not None]
        if len(given) == 2:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(field.invalid(at, claim, why))
        if not given:
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(field.invalid(at, claim, why))
        for key in given:
            errors += dns_subdomain(at / key, claim[key])
    return errors
