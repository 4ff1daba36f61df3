"""ResourceQuota of v1 (upstream: pkg/registry/core/resourcequota, core validation)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec, keep_status
from ..validation import IMMUTABLE, MAX_WHOLE
from .poddefaults import rounded
from .resources import STANDARD_QUOTA, is_quota_huge_page, quota_resource_name, resource_list

SPEC, STATUS = Path("spec"), Path("status")
SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)
_POD_COMPUTE = frozenset({"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_VOLUMES = frozenset({"persistentvolumeclaims", "requests.storage"})
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_EXISTS_ONLY = frozenset({"BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"})


def default(quota: Object) -> None:
    """Amounts are kept to a thousandth."""
    rounded((quota.get("spec") or {}).get("hard"))
    status = quota.setdefault("status", {})
    rounded(status.get("hard"))
    rounded(status.get("used"))


def prepare_create(quota: Object) -> None:
    """Nothing used yet."""
    quota["status"] = {}


def _fits(scope: str, resource: str) -> bool:
    if scope == "BestEffort":
        return resource == "pods"
    if scope == "VolumeAttributesClass":
        return resource in _VOLUMES
    return scope not in SCOPES or resource in _POD_COMPUTE


def _standard(hard: Iterable[str]) -> list[str]:
    return sorted(name for name in hard if name in STANDARD_QUOTA or is_quota_huge_page(name))


def _spec(quota: Object) -> Errors:
    spec = quota.get("spec") or {}
    hard, scopes = spec.get("hard") or {}, spec.get("scopes") or []
    errors = resource_list(SPEC / "hard", hard, quota_resource_name)
    at, standard = SPEC / "scopes", _standard(hard)
    for scope in scopes:
        if scope not in SCOPES and len(errors) < MAX_WHOLE:
            errors.append(field.invalid(at, scopes, "unsupported scope"))
        unfit = [name for name in standard if len(errors) < MAX_WHOLE and not _fits(scope, name)]
        errors += [field.invalid(at, scopes, "unsupported scope applied to resource") for _ in unfit]
    errors += _conflicts(at, scopes, scopes)
    if (selector := spec.get("scopeSelector")) is not None:
        errors += _selector(SPEC / "scopeSelector" / "matchExpressions", selector, hard, scopes)
    return errors


def _conflicts(path: Path, scopes: Iterable[str], shown: Sequence[str]) -> Errors:
    given = set(scopes)
    return [field.invalid(path, list(shown), "conflicting scopes") for pair in _CONFLICTS if pair <= given]


def _selector(path: Path, selector: Object, hard: Iterable[str], scopes: Sequence[str]) -> Errors:
    errors: Errors = []
    used: list[str] = []
    standard = _standard(hard)
    for requirement in selector.get("matchExpressions") or ():
        scope, operator = requirement.get("scopeName") or "", requirement.get("operator") or ""
        values = requirement.get("values") or []
        if scope not in SCOPES:
            errors.append(field.invalid(path / "scopeName", scope, "unsupported scope"))
        unfit = [name for name in standard if len(errors) < MAX_WHOLE and not _fits(scope, name)]
        errors += [field.invalid(path, selector, "unsupported scope applied to resource") for _ in unfit]
        if scope in _EXISTS_ONLY and operator != "Exists":
            why = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort "
                "or ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            errors.append(field.invalid(path / "operator", operator, why))
        errors += _operator(path, operator, values)
        used.append(scope)
    return errors + _conflicts(path, used, scopes)


def _operator(path: Path, operator: str, values: list[str]) -> Errors:
    if operator in ("In", "NotIn"):
        why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        return [] if values else [field.required(path / "values", why)]
    if operator in ("Exists", "DoesNotExist"):
        why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        return [field.invalid(path / "values", values, why)] if values else []
    return [field.invalid(path / "operator", operator, "not a valid selector operator")]


def _status(quota: Object) -> Errors:
    status = quota.get("status") or {}
    errors = resource_list(STATUS / "hard", status.get("hard"), quota_resource_name)
    return errors + resource_list(STATUS / "used", status.get("used"), quota_resource_name)


def validate(quota: Object) -> Errors:
    """On creation."""
    return _spec(quota) + _status(quota)


def validate_update(new: Object, old: Object) -> Errors:
    """Scopes stay."""
    errors = _spec(new)
    scopes = (new.get("spec") or {}).get("scopes") or []
    if set(scopes) != set((old.get("spec") or {}).get("scopes") or ()):
        errors.append(field.invalid(SPEC / "scopes", scopes, IMMUTABLE))
    return errors


def validate_status(new: Object, old: Object) -> Errors:
    """What is used."""
    return _status(new)


def row(quota: Object, now: datetime) -> list[Any]:
    """Name, Request, Limit, Age."""
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    texts = [(name, f"{name}: {used.get(name, '0')}/{hard[name]}") for name in sorted(hard)]
    requests = ", ".join(text for name, text in texts if not name.startswith("limits"))
    limits = ", ".join(text for name, text in texts if name.startswith("limits"))
    return [quota["metadata"]["name"], requests, limits, object_age(quota, now)]


RESOURCE = Resource(
    group="",
    version="v1",
    name="resourcequotas",
    kind="ResourceQuota",
    schema="io.k8s.api.core.v1.ResourceQuota",
    returns_deleted=True,
    short_names=("quota",),
    status=True,
    generation=False,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    columns=(
        NAME,
        Column(
            "Request", description="Request represents a minimum amount of cpu/memory that a container may consume."
        ),
        Column("Limit", description="Limits control the maximum amount of cpu/memory that a container may use."),
        AGE,
    ),
    row=row,
)
