"""APIService of apiregistration.k8s.io/v1 (upstream: kube-aggregator pkg/apis/apiregistration, pkg/registry/apiservice)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec_and, keep_status
from ..validation import dns1035_label_errors, dns_subdomain, each, port_number

SPEC = Path("spec")
PORT = 443
MAX_GROUP_PRIORITY, MAX_VERSION_PRIORITY = 20_000, 1000
AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"


def local(group: str, version: str, group_priority: int, version_priority: int, now: str) -> Object:
    """The APIService of a group-version that this server answers itself."""
    condition = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    return {
        "metadata": {"name": f"{version}.{group}", "labels": {AUTOMANAGED: "onstart"}},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": group_priority,
            "versionPriority": version_priority,
        },
        "status": {"conditions": [condition]},
    }


def default(service: Object) -> None:
    """HTTPS."""
    reference = (service.get("spec") or {}).get("service")
    if reference is not None and reference.get("port") is None:
        reference["port"] = PORT


def prepare_create(service: Object) -> None:
    """Nobody has asked it yet."""
    service["status"] = {}


def validate(service: Object) -> Errors:
    """ValidateAPIService."""
    spec = service.get("spec") or {}
    group, version = spec.get("group") or "", spec.get("version") or ""
    name, expected = (service.get("metadata") or {}).get("name") or "", f"{version}.{group}"
    errors: Errors = []
    if name and name != expected:
        why = f'must be `spec.version+"."+spec.group`: {field.quote(expected)}'
        errors.append(field.invalid(Path("metadata.name"), name, why))
    if not group and version != "v1":
        why = "only v1 may have an empty group and it better be legacy kube"
        errors.append(field.required(SPEC / "group", why))
    errors += dns_subdomain(SPEC / "group", group) if group else []
    errors += each(SPEC / "version", version, dns1035_label_errors(version))
    for field_name, limit in (
        ("groupPriorityMinimum", MAX_GROUP_PRIORITY),
        ("versionPriority", MAX_VERSION_PRIORITY),
    ):
        value = spec.get(field_name) or 0
        if not 0 < value <= limit:
            errors.append(field.invalid(SPEC / field_name, value, f"must be positive and less than {limit}"))
    return errors + _service(spec)


def _service(spec: Mapping[str, Any]) -> Errors:
    bundle, skip = spec.get("caBundle") or "", bool(spec.get("insecureSkipTLSVerify"))
    reference, at = spec.get("service"), SPEC / "service"
    errors: Errors = []
    if reference is None:
        if bundle:
            size = len(bundle) * 3 // 4 - bundle[-2:].count("=")
            why = "local APIServices may not have a caBundle"
            errors.append(field.invalid(SPEC / "caBundle", f"{size} bytes", why))
        if skip:
            why = "local APIServices may not have insecureSkipTLSVerify"
            errors.append(field.invalid(SPEC / "insecureSkipTLSVerify", True, why))
        return errors
    errors += [field.required(at / name) for name in ("namespace", "name") if not reference.get(name)]
    errors += port_number(at / "port", reference.get("port") or 0)
    if skip and bundle:
        why = "may not be true if caBundle is present"
        errors.append(field.invalid(SPEC / "insecureSkipTLSVerify", True, why))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def row(service: Object, now: datetime) -> list[Any]:
    """Name, Service, Available, Age."""
    reference = (service.get("spec") or {}).get("service")
    shown = "Local" if reference is None else f"{reference.get('namespace')}/{reference.get('name')}"
    available = "Unknown"
    for condition in (service.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Available":
            available = condition.get("status") or ""
            if available != "True":
                available = f"{available} ({condition.get('reason') or ''})"
    return [service["metadata"]["name"], shown, available, object_age(service, now)]


RESOURCE = Resource(
    group="apiregistration.k8s.io",
    version="v1",
    name="apiservices",
    kind="APIService",
    schema="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
    namespaced=False,
    categories=("api-extensions",),
    name_check="path",
    status=True,
    generation=False,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec_and("labels", "annotations", "finalizers", "ownerReferences"),
    validate=validate,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=(
        NAME,
        Column("Service", description="The Service that answers; Local: this server itself"),
        Column("Available", description="Whether it answers"),
        AGE,
    ),
    row=row,
)
