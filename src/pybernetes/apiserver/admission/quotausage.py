"""What objects count for quotas: usage, scopes, and which quotas speak of them (upstream: pkg/quota/v1/evaluator). Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pybernetes.api.quantity import Quantity, parse_quantity

from ..kinds.core.resources import qos_class
from ..resource import Resource
from .podresources import Amounts, pod_total

ONE = Quantity.from_int(1)
COMPUTE = ("cpu", "memory", "ephemeral-storage")
HUGE_PAGES = "hugepages-"
STORAGE_CLASS = ".storageclass.storage.k8s.io/"
ATTRIBUTES_CLASS = ".volumeattributesclass.storage.k8s.io/"
# Pods must state these where a quota counts them: for the sake of old quotas, upstream regrets it.
STATED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
POD_RESOURCES = frozenset(
    {"count/pods", "pods", *COMPUTE, *(f"{key}.{name}" for key in ("requests", "limits") for name in COMPUTE)}
)
SERVICE_RESOURCES = frozenset({"count/services", "services", "services.nodeports", "services.loadbalancers"})
CLAIM_RESOURCES = frozenset({"count/persistentvolumeclaims", "persistentvolumeclaims", "requests.storage"})
# Core resources that count by their plain name too.
PLAIN = frozenset({"configmaps", "replicationcontrollers", "resourcequotas", "secrets"})
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"

Object = dict[str, Any]


def subtract(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> Amounts:
    """The difference, nothing below zero."""
    zero = Quantity()
    return {name: max(amount - other[name], zero) if name in other else amount for name, amount in one.items()}


def compute(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Amounts:
    """Requests and limits under the names that quotas use."""
    found: Amounts = {}
    for name, amount in requests.items():
        if name in COMPUTE or name.startswith(HUGE_PAGES):
            found[name] = found[f"requests.{name}"] = amount
        elif _extended(name):
            found[f"requests.{name}"] = amount
    return found | {f"limits.{name}": amount for name, amount in limits.items() if name in COMPUTE}


def _extended(name: str) -> bool:
    domain = name.rpartition("/")[0]
    return bool(domain) and not (domain == "kubernetes.io" or domain.endswith(".kubernetes.io"))


def pod_usage(pod: Object) -> Amounts:
    """A pod that is done counts as an object alone."""
    found: Amounts = {"count/pods": ONE}
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return found
    spec = pod["spec"]
    sums = compute(pod_total(spec, "requests", overhead=True), pod_total(spec, "limits", overhead=True))
    return {**found, "pods": ONE, **sums}


def pod_matches(name: str) -> bool:
    """Whether a pod can use a resource of that name."""
    if name in POD_RESOURCES or name.startswith((HUGE_PAGES, "requests." + HUGE_PAGES)):
        return True
    return name.startswith("requests.") and _extended(name.removeprefix("requests."))


def unstated(pod: Object, required: Collection[str]) -> dict[str, list[str]]:
    """Which containers leave open what a quota counts: resource -> their names."""
    needed = STATED & set(required)
    spec = pod["spec"]
    if (spec.get("resources") or {}).get("requests") or (spec.get("resources") or {}).get("limits"):
        return {}
    found: dict[str, list[str]] = {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        given = container.get("resources") or {}
        requests, limits = (
            {n: parse_quantity(t) for n, t in (given.get(key) or {}).items()} for key in ("requests", "limits")
        )
        for name in needed - set(compute(requests, limits)):
            found.setdefault(name, []).append(container["name"])
    return found


def service_usage(service: Object) -> Amounts:
    """Node ports and load balancers besides the service itself."""
    spec = service.get("spec") or {}
    ports = spec.get("ports") or []
    found = {
        "count/services": ONE,
        "services": ONE,
        "services.nodeports": Quantity(),
        "services.loadbalancers": Quantity(),
    }
    kind = spec.get("type")
    if kind == "LoadBalancer":
        found["services.loadbalancers"] = ONE
        if spec.get("allocateLoadBalancerNodePorts") is False:
            ports = [port for port in ports if port.get("nodePort")]
    if kind in ("NodePort", "LoadBalancer"):
        found["services.nodeports"] = Quantity.from_int(len(ports))
    return found


def claim_usage(claim: Object) -> Amounts:
    """In all, and by class."""
    spec = claim.get("spec") or {}
    storage_class = (claim["metadata"].get("annotations") or {}).get(BETA_CLASS) or spec.get("storageClassName") or ""
    names = [""] + ([storage_class + STORAGE_CLASS] if storage_class else [])
    if spec.get("volumeAttributesClassName"):
        names.append(spec["volumeAttributesClassName"] + ATTRIBUTES_CLASS)
    found = {"count/persistentvolumeclaims": ONE, **{f"{prefix}persistentvolumeclaims": ONE for prefix in names}}
    requested = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if requested:
        amount = parse_quantity(requested)
        granted = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
        if granted:
            amount = max(amount, parse_quantity(granted))
        found |= {f"{prefix}requests.storage": amount for prefix in names}
    return found


def claim_matches(name: str) -> bool:
    """Whether a claim can use a resource of that name."""
    if name in CLAIM_RESOURCES:
        return True
    return any(name.endswith(mark + part) for mark in (STORAGE_CLASS, ATTRIBUTES_CLASS) for part in CLAIM_RESOURCES)


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Of one resource."""

    usage: Callable[[Object], Amounts]
    matches: Callable[[str], bool]
    updates: bool = False  # whether an update can change what is used


_OWN = {
    "pods": Evaluator(pod_usage, pod_matches),
    "services": Evaluator(service_usage, SERVICE_RESOURCES.__contains__, updates=True),
    "persistentvolumeclaims": Evaluator(claim_usage, claim_matches, updates=True),
}


def evaluator(resource: Resource) -> Evaluator:
    """Any namespaced resource counts as objects at least."""
    if resource.group == "" and resource.name in _OWN:
        return _OWN[resource.name]
    names = {f"count/{resource.name}.{resource.group}" if resource.group else f"count/{resource.name}"}
    if resource.group == "" and resource.name in PLAIN:
        names.add(resource.name)
    used = dict.fromkeys(names, ONE)
    return Evaluator(lambda obj: used, names.__contains__)


def selectors(quota: Object) -> Iterable[Object]:
    """Scopes and the scope selector as one list."""
    spec = quota.get("spec") or {}
    for scope in spec.get("scopes") or ():
        yield {"scopeName": scope, "operator": "Exists"}
    yield from (spec.get("scopeSelector") or {}).get("matchExpressions") or ()


def in_scope(resource: Resource, obj: Object, selector: Object) -> bool:
    """Whether a quota's scope takes the object in."""
    scope = selector.get("scopeName")
    if (resource.group, resource.name) == ("", "persistentvolumeclaims"):
        wanted = (obj.get("spec") or {}).get("volumeAttributesClassName") or ""
        return scope == "VolumeAttributesClass" and _selected(selector, wanted)
    if (resource.group, resource.name) != ("", "pods"):
        return False
    spec = obj["spec"]
    match scope:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return qos_class(spec) != "BestEffort"
        case "PriorityClass":
            return _selected(selector, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return _across(spec)
    return False


def _selected(selector: Object, value: str) -> bool:
    values = selector.get("values") or ()
    match selector.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return bool(value)
        case "DoesNotExist":
            return not value
    return False


def _across(spec: Object) -> bool:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = list((affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = (affinity.get(kind) or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted.get("podAffinityTerm") or {} for weighted in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
