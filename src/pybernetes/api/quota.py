"""What objects use of a quota, and which quotas speak of them; pure (upstream: pkg/quota/v1/evaluator/core).

Admission charges with it what is created, the resourcequota controller counts with it what there is: one rule, so that
a recount never contradicts what admission allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from . import pods
from .computeresources import COMPUTE, HUGE_PAGES, REQUESTS, STORAGE, is_extended, is_extended_in_quota, is_huge_page
from .quantity import NANO, Quantity
from .storageclasses import storage_class
from .types import core_v1 as core

Usage = dict[str, Quantity]
Scope = core.ScopedResourceSelectorRequirement
T = TypeVar("T")

ONE = Quantity.from_int(1)
COUNT = "count/"
CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
# Core resources that count by their plain name too, beside count/NAME.
COUNTED = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    }
)
POD_NAMES = frozenset(
    {"count/pods", "pods", *COMPUTE, *(f"{side}.{name}" for side in ("requests", "limits") for name in COMPUTE)}
)
# Pods must state these where a quota counts them: upstream regrets it and keeps it for the sake of old quotas.
STATED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
SERVICE_NAMES = frozenset({"count/services", "services", "services.loadbalancers", "services.nodeports"})
CLAIM_NAMES = frozenset({"count/persistentvolumeclaims", "persistentvolumeclaims", "requests.storage"})
# By class: of these two upstream has no count/ form.
CLAIM_NAMES_BY_CLASS = (CLASS_SUFFIX + "persistentvolumeclaims", CLASS_SUFFIX + "requests.storage")


def is_pod_name(name: str) -> bool:
    """Whether pods count for the name."""
    if name in POD_NAMES or name.startswith((HUGE_PAGES, REQUESTS + HUGE_PAGES)):
        return True
    return is_extended_in_quota(name) and not is_claim_name(name)


def is_claim_name(name: str) -> bool:
    """Whether claims count for the name: in all, or those of one storage class."""
    return name in CLAIM_NAMES or name.endswith(CLAIM_NAMES_BY_CLASS)


# --- pods --------------------------------------------------------------------------------------


def counts(pod: core.Pod, now: datetime) -> bool:
    """Whether a pod still uses anything: not when it has ended, nor when its grace period is over (QuotaV1Pod)."""
    return not pods.is_finished(pod) and not pods.is_past_grace(pod, now)


def compute_usage(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Usage:
    """Requests and limits under the names that quotas use (podComputeUsageHelper)."""
    usage: Usage = {}
    for name, quantity in requests.items():
        if name in COMPUTE or is_huge_page(name):
            usage[name] = usage[REQUESTS + name] = quantity
        elif is_extended(name):
            usage[REQUESTS + name] = quantity
    return usage | {f"limits.{name}": quantity for name, quantity in limits.items() if name in COMPUTE}


def pod_usage(pod: core.Pod, now: datetime) -> Usage:
    """Of one pod, by all names that count it; one that is done counts as an object alone (PodUsageFunc)."""
    usage: Usage = {"count/pods": ONE}
    if not counts(pod, now):
        return usage
    return {**usage, "pods": ONE, **compute_usage(pods.requests(pod.spec), pods.limits(pod.spec))}


def unstated(spec: pods.Spec, required: Collection[str]) -> dict[str, list[str]]:
    """Which containers leave open what a quota demands to be stated: resource -> names of containers (Constraints)."""
    demanded = STATED & set(required)
    if spec.resources is not None and (spec.resources.requests or spec.resources.limits):
        return {}
    silent: dict[str, list[str]] = {}
    for container in (*spec.containers, *spec.init_containers):
        for name in demanded - compute_usage(container.resources.requests, container.resources.limits).keys():
            silent.setdefault(name, []).append(container.name)
    return silent


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
    """Whether one scope takes in a pod (podMatchesScopeFunc)."""
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
    """Node ports and load balancers besides the service itself."""
    usage: Usage = {
        "services": ONE,
        "count/services": ONE,
        "services.loadbalancers": Quantity(),
        "services.nodeports": Quantity(),
    }
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
    """Claims and their storage, in all and by class."""
    usage: Usage = {"persistentvolumeclaims": ONE, "count/persistentvolumeclaims": ONE}
    name, storage = storage_class(claim), _claim_storage(claim)
    if name:
        usage[f"{name}{CLASS_SUFFIX}persistentvolumeclaims"] = ONE
    if storage is not None:
        usage["requests.storage"] = storage
        if name:
            usage[f"{name}{CLASS_SUFFIX}requests.storage"] = storage
    return usage


def _claim_storage(claim: core.PersistentVolumeClaim) -> Quantity | None:
    requested = claim.spec.resources.requests.get(STORAGE) if claim.spec.resources is not None else None
    if requested is None:
        return None
    allocated = claim.status.allocated_resources.get(STORAGE)
    larger = requested if allocated is None else max(requested, allocated)
    # Whole bytes: a quota's status with a fraction of one would be refused.
    return larger if larger.nanos % NANO == 0 else Quantity.from_int(larger.value(), larger.format)


def claim_attributes_classes(claim: core.PersistentVolumeClaim) -> set[str]:
    """Of volume attributes: asked for, in force, and being changed to (getReferencedVolumeAttributesClassNames)."""
    change = claim.status.modify_volume_status
    names = {
        claim.spec.volume_attributes_class_name,
        claim.status.current_volume_attributes_class_name,
        change.target_volume_attributes_class_name if change is not None else None,
    }
    return {name for name in names if name}


def claim_in_scope(claim: core.PersistentVolumeClaim, scope: Scope) -> bool:
    """VolumeAttributesClass; no other scope takes in claims."""
    if scope.scope_name != "VolumeAttributesClass":
        return False
    return any(_matches(name, scope) for name in claim_attributes_classes(claim) or {""})


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
    status = quota.status
    if status.hard == hard and status.used == used and status.hard:
        return None
    return core.ResourceQuotaStatus(hard=dict(hard), used=used)


def in_scopes(obj: T, scopes: Sequence[Scope], fits: Callable[[T, Scope], bool]) -> bool:
    """Whether all scopes of a quota take in an object."""
    return all(fits(obj, scope) for scope in scopes)


def status_changes_usage(claim: core.PersistentVolumeClaim, old: core.PersistentVolumeClaim) -> bool:
    """Whether a write of a claim's status alone changes what it uses (RequiresQuotaReplenish)."""
    granted = claim.status.allocated_resources.get(STORAGE) != old.status.allocated_resources.get(STORAGE)
    return granted or claim_attributes_classes(claim) != claim_attributes_classes(old)
