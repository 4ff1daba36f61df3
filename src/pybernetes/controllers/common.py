"""What deciding modules of controllers share; pure (upstream: pkg/controller/controller_utils.go, pkg/api/v1/pod)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import msgspec

from pybernetes.api import labels, types
from pybernetes.api.errors import StatusError
from pybernetes.api.times import shifted
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import POD_DELETION_COST
from pybernetes.client.types import Object

T = TypeVar("T")
Obj = TypeVar("Obj", bound=Object)
Key = tuple[str, str]  # (namespace, name)

_SAFE = (
    "bcdfghjklmnpqrstvwxz2456789"  # no vowels and no 0, 1, 3: no words by chance (apimachinery rand.SafeEncodeString)
)


class Condition(Protocol):
    """What the condition types of all kinds have in common."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime | None


C = TypeVar("C", bound=Condition)


def clone(obj: T) -> T:
    """A deep copy; objects of informers are shared and must not be changed."""
    return types.decode(types.encode(obj), type(obj))


def key_of(obj: Object) -> Key:
    return obj.metadata.namespace, obj.metadata.name


def condition(conditions: Iterable[C], type: str) -> C | None:
    """The condition of a type."""
    return next((c for c in conditions if c.type == type), None)


def is_true(conditions: Iterable[Condition], type: str) -> bool:
    return any(c.type == type and c.status == "True" for c in conditions)


def without_condition(conditions: Iterable[C], type: str) -> list[C]:
    return [c for c in conditions if c.type != type]


def scaled(value: int | str | None, total: int, round_up: bool) -> int:
    """A number or a share of `total` (intstr.GetScaledValueFromIntOrPercent); ValueError for other text."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    if not value.endswith("%") or not value[:-1].lstrip("-").isdigit():
        raise ValueError(f"invalid value for IntOrString: {value!r} is neither a number nor a percentage")
    share = int(value[:-1]) * total / 100
    return math.ceil(share) if round_up else math.floor(share)


def as_selector(selector: meta.LabelSelector | None) -> labels.Selector:
    """metav1.LabelSelectorAsSelector: None selects nothing, an empty one everything."""
    if selector is None:
        return labels.NOTHING
    expressions = tuple((e.key, e.operator, tuple(e.values)) for e in selector.match_expressions)
    return _selector(tuple(selector.match_labels.items()), expressions)


@lru_cache(maxsize=4096)
def _selector(
    match_labels: tuple[tuple[str, str], ...], expressions: tuple[tuple[str, str, tuple[str, ...]], ...]
) -> labels.Selector:
    requirements = [{"key": key, "operator": operator, "values": list(values)} for key, operator, values in expressions]
    return labels.selector_from_dict({"matchLabels": dict(match_labels), "matchExpressions": requirements})


def controller_of(obj: Object) -> meta.OwnerReference | None:
    """The owner that manages the object, if it has one (metav1.GetControllerOf)."""
    return next((ref for ref in obj.metadata.owner_references if ref.controller), None)


def controlled_by(obj: Object, owner: Object) -> bool:
    """Whether this owner, by its uid, manages the object (metav1.IsControlledBy)."""
    ref = controller_of(obj)
    return ref is not None and ref.uid == owner.metadata.uid


def controller_ref(owner: Object) -> meta.OwnerReference:
    """The reference that makes an object the owner's (metav1.NewControllerRef)."""
    return meta.OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def namespace_terminating(error: StatusError) -> bool:
    """Whether something could not be made because its namespace is being deleted."""
    causes = (error.status.get("details") or {}).get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


# --- pods --------------------------------------------------------------------------------------


def is_active(pod: core.Pod) -> bool:
    """Neither finished nor being deleted (controller.IsPodActive)."""
    return pod.status.phase not in ("Succeeded", "Failed") and pod.metadata.deletion_timestamp is None


def is_terminating(pod: core.Pod) -> bool:
    """Being deleted, and not finished yet (controller.IsPodTerminating)."""
    return pod.status.phase not in ("Succeeded", "Failed") and pod.metadata.deletion_timestamp is not None


def is_finished(pod: core.Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def is_ready(pod: core.Pod) -> bool:
    return is_true(pod.status.conditions, "Ready")


def ready_since(pod: core.Pod) -> datetime | None:
    """When a ready pod became so."""
    ready = condition(pod.status.conditions, "Ready")
    return ready.last_transition_time if ready is not None and ready.status == "True" else None


def available_in(pod: core.Pod, min_ready_seconds: int, now: datetime) -> timedelta | None:
    """How long until a pod counts as available: zero or less if it does, None if it is not ready (IsPodAvailable)."""
    if not is_ready(pod):
        return None
    if min_ready_seconds == 0:
        return timedelta(0)
    since = ready_since(pod)
    return None if since is None else shifted(since, min_ready_seconds) - now


def is_available(pod: core.Pod, min_ready_seconds: int, now: datetime) -> bool:
    left = available_in(pod, min_ready_seconds, now)
    return left is not None and left <= timedelta(0)


def next_availability(pods: Iterable[core.Pod], min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the next ready pod becomes available, None if there is none to wait for."""
    waits = [available_in(pod, min_ready_seconds, now) for pod in pods]
    left = [wait.total_seconds() for wait in waits if wait is not None and wait > timedelta(0)]
    return min(left, default=None)


def deletion_cost(pod: core.Pod) -> int:
    """The annotation's number; 0 where it is absent or not valid."""
    text = pod.metadata.annotations.get(POD_DELETION_COST, "")
    try:
        cost = int(text)
    except ValueError:
        return 0
    valid = -(2**31) <= cost < 2**31 and not text.startswith("+") and (text == "0" or not text.startswith("0"))
    return cost if valid else 0


def _age_rank(moment: datetime, now: datetime) -> int:
    nanoseconds = (now - moment) // timedelta(microseconds=1) * 1000
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


def _age_order(a: datetime | None, b: datetime | None, uids: tuple[str, str], now: datetime) -> int:
    if a == b:
        return 0
    if a is None or b is None:
        return -1 if a is None else 1
    # Ages count by orders of magnitude, and within one by uid, so that a scale-down does not take all of the newest.
    difference = _age_rank(a, now) - _age_rank(b, now)
    if difference == 0:
        return -1 if uids[0] < uids[1] else 1
    return difference


def _restarts(pod: core.Pod) -> tuple[int, int]:
    regular = max((s.restart_count for s in pod.status.container_statuses), default=0)
    return regular, max((s.restart_count for s in pod.status.init_container_statuses), default=0)


_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_order(a: core.Pod, b: core.Pod, ranks: tuple[int, int], now: datetime) -> int:
    """Negative where `a` is deleted before `b` (controller.ActivePodsWithRanks); ranks: pods of its kin on the node."""
    if bool(a.spec.node_name) != bool(b.spec.node_name):
        return 1 if a.spec.node_name else -1
    phases = _PHASES.get(a.status.phase, 0), _PHASES.get(b.status.phase, 0)
    if phases[0] != phases[1]:
        return phases[0] - phases[1]
    ready = is_ready(a), is_ready(b)
    if ready[0] != ready[1]:
        return 1 if ready[0] else -1
    costs = deletion_cost(a), deletion_cost(b)
    if costs[0] != costs[1]:
        return -1 if costs[0] < costs[1] else 1
    if ranks[0] != ranks[1]:
        return ranks[1] - ranks[0]
    uids = a.metadata.uid, b.metadata.uid
    if ready[0]:
        order = _age_order(ready_since(a), ready_since(b), uids, now)
        if order:
            return order
    restarts = _restarts(a), _restarts(b)
    if restarts[0] != restarts[1]:
        return -1 if restarts[0] > restarts[1] else 1
    return _age_order(a.metadata.creation_timestamp, b.metadata.creation_timestamp, uids, now)


def pod_from_template(template: core.PodTemplateSpec, owner: Object, generate_name: str = "") -> core.Pod:
    """controller.GetPodFromTemplate, with the controller reference."""
    source = template.metadata
    return core.Pod(
        metadata=meta.ObjectMeta(
            generate_name=generate_name or f"{owner.metadata.name}-",
            namespace=owner.metadata.namespace,
            labels=dict(source.labels),
            annotations=dict(source.annotations),
            finalizers=list(source.finalizers),
            owner_references=[controller_ref(owner)],
        ),
        spec=clone(template.spec),
    )


# --- hashes ------------------------------------------------------------------------------------


def safe_encode(text: str) -> str:
    """Digits and letters as letters that make no words (rand.SafeEncodeString)."""
    return "".join(_SAFE[ord(char) % len(_SAFE)] for char in text)


def stable_hash(*parts: Any) -> str:
    """FNV-1a (32 bit) over canonical JSON, safely encoded.

    Upstream hashes Go's dump of its own structs, which nothing but Go can repeat: the shape of the hash is the same,
    its value is not.
    """
    value = 0x811C9DC5
    for part in parts:
        body = part if isinstance(part, bytes) else _canonical(part)
        for byte in body:
            value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return safe_encode(str(value))


def _canonical(part: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(types.encode(part)), order="deterministic")


def template_hash(template: core.PodTemplateSpec, collision_count: int | None) -> str:
    """controller.ComputeHash, but for the bytes that are hashed (see stable_hash)."""
    return stable_hash(template, b"" if collision_count is None else collision_count.to_bytes(8, "little"))


def by_creation(objects: Iterable[Obj]) -> list[Obj]:
    """Oldest first, ties by name."""
    return sorted(objects, key=creation_order)


def creation_order(obj: Object) -> tuple[float, str]:
    created = obj.metadata.creation_timestamp
    return (created.timestamp() if created is not None else 0.0, obj.metadata.name)
