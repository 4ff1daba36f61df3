"""Names and quantities of compute resources (upstream: pkg/apis/core/helper, core validation)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import label_key_errors
from pybernetes.api.quantity import Quantity

from ..validation import Errors, dns_label, each, quantity

HUGE_PAGES = "hugepages-"
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
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
CONTAINER_RESOURCES = frozenset(_COMPUTE)
STANDARD_QUOTA = QUOTA_COUNTS | {
    *_COMPUTE,
    *(f"requests.{name}" for name in (*_COMPUTE, "storage")),
    *(f"limits.{name}" for name in _COMPUTE),
}
STANDARD = STANDARD_QUOTA | {"storage"}
POD_LEVEL = ("cpu", "hugepages-", "memory")


def is_huge_page(name: str) -> bool:
    """`hugepages-2Mi`."""
    return name.startswith(HUGE_PAGES)


def is_quota_huge_page(name: str) -> bool:
    """`hugepages-2Mi`, `requests.hugepages-2Mi`."""
    return name.startswith((HUGE_PAGES, "requests.hugepages-"))


def is_native(name: str) -> bool:
    """A resource of Kubernetes itself: without a domain, or of kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name


@lru_cache(maxsize=1024)
def is_extended(name: str) -> bool:
    """A resource that someone else defines, whole numbers of which are given to containers."""
    return not is_native(name) and not name.startswith("requests.") and not label_key_errors(f"requests.{name}")


def overcommit_allowed(name: str) -> bool:
    """Requests may stay below limits."""
    return is_native(name) and not is_huge_page(name)


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


def _claims(path: Path, claims: list[Mapping[str, Any]], known: Collection[str]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        at, name, request = path / index, claim.get("name") or "", claim.get("request") or ""
        if not name:
            errors.append(field.required(at))
            continue
        key = f"{name}/{request}" if request else name
        if request:
            errors += dns_label(at / "request", request)
        if name in seen or key in seen or (not request and any(k.startswith(f"{name}/") for k in seen)):
            errors.append(field.duplicate(at, key))
        seen.add(key)
        if name not in known:
            rest = f": {', '.join(sorted(known))}" if known else " which is empty"
            error = field.not_found(at, name)
            body = f"{error.body}: must be one of the names in pod.spec.resourceClaims{rest}"
            errors.append(field.FieldError(error.reason, error.field, body))
    return errors


# --- sums and classes ---------------------------------------------------------------------------


def total(lists: list[Mapping[str, str]]) -> dict[str, Quantity]:
    """The sum of several ResourceLists."""
    sums: dict[str, Quantity] = {}
    for amounts in lists:
        for name, text in amounts.items():
            sums[name] = sums[name] + quantity(text) if name in sums else quantity(text)
    return sums


def container_total(spec: Mapping[str, Any], kind: str = "requests") -> dict[str, Quantity]:
    """Requests or limits of all containers together: init containers run one by one, but sidecars stay (upstream:
    component-helpers/resource, AggregateContainerRequests and AggregateContainerLimits)."""
    sidecars: list[Mapping[str, str]] = []
    highest: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        requests = (container.get("resources") or {}).get(kind) or {}
        if container.get("restartPolicy") == "Always":
            sidecars.append(requests)
            current = total(sidecars)
        else:
            current = total([*sidecars, requests])
        for name, amount in current.items():
            highest[name] = max(highest.get(name, amount), amount)
    regular = [(c.get("resources") or {}).get(kind) or {} for c in spec.get("containers") or ()]
    sums = total([*regular, *sidecars])
    for name, amount in highest.items():
        sums[name] = max(sums.get(name, amount), amount)
    return sums


def _positive(amounts: Mapping[str, str] | None) -> dict[str, str]:
    return {n: t for n, t in (amounts or {}).items() if n in ("cpu", "memory") and quantity(t).nanos > 0}


def qos_class(spec: Mapping[str, Any]) -> str:
    """BestEffort, Burstable or Guaranteed (pkg/apis/core/helper/qos)."""
    whole = spec.get("resources") or {}
    parts: list[Mapping[str, Any]] = (
        [whole]
        if whole.get("requests") or whole.get("limits")
        else [c.get("resources") or {} for c in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))]
    )
    if not any(parts):
        return "BestEffort"
    requests = [_positive(part.get("requests")) for part in parts]
    limits = [_positive(part.get("limits")) for part in parts]
    if not any(requests) and not any(limits):
        return "BestEffort"
    if all(len(limit) == 2 for limit in limits) and total([*requests]) == total([*limits]):
        return "Guaranteed"
    return "Burstable"
