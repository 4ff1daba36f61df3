"""What objects use of a quota; pure (upstream: pkg/quota/v1 and its evaluators)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pybernetes.api import pods
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core

Usage = dict[str, Quantity]
Scope = core.ScopedResourceSelectorRequirement

ONE = Quantity.from_int(1)
COUNT = "count/"
CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
# resources that count by their own name, beside count/NAME
COUNTED = (
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
)
POD_NAMES = frozenset(
    {
        "count/pods",
        "cpu",
        "ephemeral-storage",
        "limits.cpu",
        "limits.ephemeral-storage",
        "limits.memory",
        "memory",
        "pods",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    }
)
SERVICE_NAMES = frozenset({"count/services", "services", "services.loadbalancers", "services.nodeports"})
CLAIM_NAMES = frozenset({"count/persistentvolumeclaims", "persistentvolumeclaims", "requests.storage"})


def is_pod_name(name: str) -> bool:
    """Whether pods count for the name."""
    if name in POD_NAMES or name.startswith((pods.HUGE_PAGES, f"requests.{pods.HUGE_PAGES}")):
        return True
    # Extended resources: requests.DOMAIN/NAME of a domain that is not Kubernetes's own.
    extended = name.startswith("requests.") and "/" in name and CLASS_SUFFIX not in name
    return extended and "kubernetes.io/" not in name


def is_claim_name(name: str) -> bool:
    return name in CLAIM_NAMES or CLASS_SUFFIX in name


# --- pods --------------------------------------------------------------------------------------


def counts(pod: core.Pod, now: datetime) -> bool:
    """Whether a pod uses anything yet, or still."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return False
    deleted, grace = pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds
    return deleted is None or grace is None or now <= deleted + timedelta(seconds=grace)


def pod_usage(pod: core.Pod, now: datetime) -> Usage:
    """Of one pod, by all names that count it."""
    usage: Usage = {"count/pods": ONE}
    if not counts(pod, now):
        return usage
    usage["pods"] = ONE
    for name, quantity in pods.requests(pod.spec).items():
        if name in ("cpu", "memory", "ephemeral-storage") or name.startswith(pods.HUGE_PAGES):
            usage[name] = quantity
            usage[f"requests.{name}"] = quantity
        elif "/" in name:
            usage[f"requests.{name}"] = quantity
    for name, quantity in pods.limits(pod.spec).items():
        if name in ("cpu", "memory", "ephemeral-storage"):
            usage[f"limits.{name}"] = quantity
    return usage


def is_best_effort(pod: core.Pod) -> bool:
    """As the server says, or else the spec."""
    return (pod.status.qos_class or pods.qos_class(pod.spec)) == "BestEffort"


def _crosses_namespaces(pod: core.Pod) -> bool:
    affinity = pod.spec.affinity
    if affinity is None:
        return False
    for kind in (affinity.pod_affinity, affinity.pod_anti_affinity):
        if kind is None:
            continue
        terms = list(kind.required_during_scheduling_ignored_during_execution)
        terms += [w.pod_affinity_term for w in kind.preferred_during_scheduling_ignored_during_execution]
        if any(term.namespaces or term.namespace_selector is not None for term in terms):
            return True
    return False


def pod_in_scope(pod: core.Pod, scope: Scope) -> bool:
    """Whether one scope takes in a pod."""
    match scope.scope_name:
        case "Terminating" | "NotTerminating":
            limited = pod.spec.active_deadline_seconds is not None and pod.spec.active_deadline_seconds >= 0
            return limited == (scope.scope_name == "Terminating")
        case "BestEffort" | "NotBestEffort":
            return is_best_effort(pod) == (scope.scope_name == "BestEffort")
        case "PriorityClass":
            return _matches(pod.spec.priority_class_name, scope)
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(pod)
    return False


def _matches(value: str, scope: Scope) -> bool:
    match scope.operator:
        case "In":
            return value in scope.values and bool(value)
        case "NotIn":
            return value not in scope.values
        case "Exists":
            return bool(value)
        case "DoesNotExist":
            return not value
    return False


def scopes_of(quota: core.ResourceQuota) -> list[Scope]:
    """Its scopes and its scope selector as one list."""
    plain = [Scope(scope_name=name, operator="Exists") for name in quota.spec.scopes]
    selector = quota.spec.scope_selector
    return [*plain, *(selector.match_expressions if selector is not None else ())]


# --- services and claims -----------------------------------------------------------------------


def service_usage(service: core.Service) -> Usage:
    usage: Usage = {"services": ONE, "count/services": ONE}
    if service.spec.type == "NodePort":
        usage["services.nodeports"] = Quantity.from_int(len(service.spec.ports))
    elif service.spec.type == "LoadBalancer":
        usage["services.loadbalancers"] = ONE
        ports = [
            p for p in service.spec.ports if service.spec.allocate_load_balancer_node_ports is not False or p.node_port
        ]
        usage["services.nodeports"] = Quantity.from_int(len(ports))
    return usage


def claim_usage(claim: core.PersistentVolumeClaim) -> Usage:
    usage: Usage = {"persistentvolumeclaims": ONE, "count/persistentvolumeclaims": ONE}
    annotated = claim.metadata.annotations.get("volume.beta.kubernetes.io/storage-class")
    storage_class = annotated if annotated is not None else claim.spec.storage_class_name or ""
    if storage_class:
        usage[f"{storage_class}{CLASS_SUFFIX}persistentvolumeclaims"] = ONE
    storage = claim.spec.resources.requests.get("storage") if claim.spec.resources is not None else None
    held = claim.status.allocated_resources.get("storage")
    storage = max(storage, held) if storage is not None and held is not None else storage
    if storage is not None:
        usage["requests.storage"] = storage
        if storage_class:
            usage[f"{storage_class}{CLASS_SUFFIX}requests.storage"] = storage
    return usage


def claim_in_scope(claim: core.PersistentVolumeClaim, scope: Scope) -> bool:
    """VolumeAttributesClass; no other scope takes in claims."""
    if scope.scope_name != "VolumeAttributesClass":
        return False
    names = {claim.spec.volume_attributes_class_name or "", claim.status.current_volume_attributes_class_name or ""}
    return any(_matches(name, scope) for name in names)


# --- quotas ------------------------------------------------------------------------------------


def counted_resource(name: str) -> str:
    """`deployments.apps` of `count/deployments.apps`, `secrets` of `secrets`; "" for what is not a count of objects."""
    if name.startswith(COUNT):
        return name.removeprefix(COUNT)
    return name if name in COUNTED else ""


def total(names: Iterable[str], usages: Iterable[Usage]) -> Usage:
    """The sums, for these names only; 0 where there is nothing."""
    sums: Usage = {name: Quantity.from_int(0) for name in names}
    for usage in usages:
        for name, quantity in usage.items():
            if name in sums:
                # The sum is written as what is summed is, not as the zero.
                sums[name] = quantity if sums[name].is_zero() else sums[name] + quantity
    return sums


def status_of(quota: core.ResourceQuota, counted: Mapping[str, Quantity]) -> core.ResourceQuotaStatus | None:
    """The status to write; None if it is right. Names that were not counted keep what they had."""
    hard = quota.spec.hard
    used = {name: q for name, q in {**quota.status.used, **counted}.items() if name in hard}
    known = quota.status
    if known.hard == hard and known.used == used and known.hard:
        return None
    return core.ResourceQuotaStatus(hard=dict(hard), used=used)


def in_scopes(obj: Any, scopes: Sequence[Scope], fits: Callable[[Any, Scope], bool]) -> bool:
    return all(fits(obj, scope) for scope in scopes)
