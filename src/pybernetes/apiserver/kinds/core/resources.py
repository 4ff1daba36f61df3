"""Names and quantities of compute resources (upstream: pkg/apis/core/helper, core validation)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pybernetes.api import field
from pybernetes.api.computeresources import (
    COMPUTE,
    HUGE_PAGES,
    is_extended,
    is_huge_page,
    is_native,
    overcommit_allowed,
)
from pybernetes.api.field import Path
from pybernetes.api.names import label_key_errors

from ..validation import MAX_NAMED, Errors, dns_label, each, quantity

QUOTA_COUNTS = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
CONTAINER_RESOURCES = frozenset(COMPUTE)
STANDARD_QUOTA = QUOTA_COUNTS | {
    *COMPUTE,
    *(f"requests.{name}" for name in (*COMPUTE, "storage")),
    *(f"limits.{name}" for name in COMPUTE),
}
STANDARD = STANDARD_QUOTA | {"storage"}
POD_LEVEL = ("cpu", "hugepages-", "memory")


def is_quota_huge_page(name: str) -> bool:
    """`hugepages-2Mi`, `requests.hugepages-2Mi`."""
    return name.startswith((HUGE_PAGES, "requests.hugepages-"))


def is_integer(name: str) -> bool:
    """Only whole numbers make sense."""
    return name in QUOTA_COUNTS or is_extended(name)


# --- names --------------------------------------------------------------------------------------


def resource_name(path: Path, name: str) -> Errors:
    """Any resource."""
    errors = each(path, name, label_key_errors(name))
    if not errors and "/" not in name and name not in STANDARD and not is_quota_huge_page(name):
        errors.append(field.invalid(path, name, "must be a standard resource type or fully qualified"))
    return errors


def container_resource_name(path: Path, name: str) -> Errors:
    """What a container may ask for."""
    if name in CONTAINER_RESOURCES:
        return []
    errors = resource_name(path, name)
    if "/" not in name:
        if not is_huge_page(name):
            errors.append(field.invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(field.invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def pod_resource_name(path: Path, name: str) -> Errors:
    """What a pod may ask for as a whole."""
    errors = resource_name(path, name)
    if not errors and name not in ("cpu", "memory") and not is_huge_page(name):
        errors.append(field.not_supported(path, name, POD_LEVEL))
    return errors


def quota_resource_name(path: Path, name: str) -> Errors:
    """What a quota may limit."""
    errors = resource_name(path, name)
    if "/" not in name and name not in STANDARD_QUOTA and not is_quota_huge_page(name):
        errors.append(field.invalid(path, name, "must be a standard resource for quota"))
    return errors


# --- quantities ---------------------------------------------------------------------------------


def quantity_value(path: Path, name: str, text: str) -> Errors:
    """The amount is not negative, and whole where only that makes sense."""
    amount = quantity(text)
    errors = [field.invalid(path, text, "must be greater than or equal to 0")] if amount.nanos < 0 else []
    if is_integer(name) and amount.milli_value() % 1000:
        errors.append(field.invalid(path, text, "must be an integer"))
    return errors


def resource_list(path: Path, amounts: Mapping[str, str] | None, name_check: Callable[[Path, str], Errors]) -> Errors:
    """Names and amounts of a ResourceList."""
    errors: Errors = []
    for name, text in (amounts or {}).items():
        at = path.key(name)
        errors += name_check(at, name)
        errors += quantity_value(at, name, text)
    return errors


def _huge_page_value(path: Path, name: str, text: str) -> Errors:
    size = quantity(name.removeprefix(HUGE_PAGES)).value() if not label_key_errors(name) else 0
    if size > 0 and quantity(text).value() % size == 0:
        return []
    return [field.invalid(path, text, f"{text} is not positive integer multiple of {name}")]


def requirements(
    path: Path,
    resources: Mapping[str, Any] | None,
    claims: Collection[str] | None = None,
    name_check: Callable[[Path, str], Errors] = container_resource_name,
) -> Errors:
    """Requests and limits of a container or pod; `claims` are the names of the pod's resource claims."""
    if not resources:
        return []
    errors: Errors = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, text in limits.items():
        at = path / "limits"
        errors += _amount(at.key(name), name, text, name_check)
    for name, text in requests.items():
        at = path / "requests"
        errors += _amount(at.key(name), name, text, name_check)
        errors += _against_limit(path, name, text, limits.get(name))
    errors += _huge_pages_alone(path, {*limits, *requests})
    if named := resources.get("claims"):
        errors += _claims(path / "claims", named, claims or ())
    return errors


def _amount(path: Path, name: str, text: str, name_check: Callable[[Path, str], Errors]) -> Errors:
    errors = name_check(path, name) + quantity_value(path, name, text)
    return errors + _huge_page_value(path, name, text) if is_huge_page(name) else errors


def _against_limit(path: Path, name: str, text: str, limit: str | None) -> Errors:
    if limit is None:
        if overcommit_allowed(name):
            return []
        return [field.required(path / "limits", "Limit must be set for non overcommitable resources")]
    if text == limit:
        return []
    asked, most = quantity(text), quantity(limit)
    if asked != most and not overcommit_allowed(name):
        return [field.invalid(path / "requests", text, f"must be equal to {name} limit of {limit}")]
    if asked > most:
        return [field.invalid(path / "requests", text, f"must be less than or equal to {name} limit of {limit}")]
    return []


def _huge_pages_alone(path: Path, names: Collection[str]) -> Errors:
    if any(is_huge_page(name) for name in names) and not {"cpu", "memory"} & set(names):
        return [field.forbidden(path, "HugePages require cpu or memory")]
    return []


def _claims(path: Path, claims: list[Mapping[str, Any]], pod_claims: Collection[str]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    requested: set[str] = set()  # names of which a part is asked for
    listed = ", ".join(sorted(pod_claims)[:MAX_NAMED])
    rest = f": {listed}" if pod_claims else " which is empty"
    for index, claim in enumerate(claims):
        at, name, request = path / index, claim.get("name") or "", claim.get("request") or ""
        if not name:
            errors.append(field.required(at))
            continue
        key = f"{name}/{request}" if request else name
        if request:
            errors += dns_label(at / "request", request)
        if name in seen or key in seen or (not request and name in requested):
            errors.append(field.duplicate(at, key))
        seen.add(key)
        if request:
            requested.add(name)
        if name not in pod_claims:
            error = field.not_found(at, name)
            body = f"{error.body}: must be one of the names in pod.spec.resourceClaims{rest}"
            errors.append(field.FieldError(error.reason, error.field, body))
    return errors
