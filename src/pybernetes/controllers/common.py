"""What deciding modules of controllers share; pure (upstream: pkg/controller/controller_utils.go)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from pybernetes.api import types
from pybernetes.api.errors import StatusError
from pybernetes.api.owners import controller_ref
from pybernetes.api.pods import is_ready, ready_since
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


def clone(obj: T) -> T:
    """A deep copy; objects of informers are shared and must not be changed."""
    return types.decode(types.encode(obj), type(obj))


def key_of(obj: Object) -> Key:
    return obj.metadata.namespace, obj.metadata.name


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


def namespace_terminating(error: StatusError) -> bool:
    """Whether something could not be made because its namespace is being deleted."""
    causes = (error.status.get("details") or {}).get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


# --- pods --------------------------------------------------------------------------------------


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


def aggregate(texts: Sequence[str]) -> str:
    """Several messages as one (utilerrors.Aggregate): each once, in brackets where there are several."""
    unique = list(dict.fromkeys(texts))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


def shown_selector(selector: meta.LabelSelector | None) -> str:
    """A selector as Go prints the structure, which is what upstream's messages have where they do not make a query of it."""
    if selector is None:
        return "nil"
    match = "".join(f"{key}: {selector.match_labels[key]}," for key in sorted(selector.match_labels))
    rules = "".join(
        f"LabelSelectorRequirement{{Key:{rule.key},Operator:{rule.operator},Values:[{' '.join(rule.values)}],}},"
        for rule in selector.match_expressions
    )
    maps = f"MatchLabels:map[string]string{{{match}}},MatchExpressions:[]LabelSelectorRequirement{{{rules}}},"
    return f"&LabelSelector{{{maps}}}"


def by_creation(objects: Iterable[Obj]) -> list[Obj]:
    """Oldest first, ties by name."""
    return sorted(objects, key=creation_order)


def creation_order(obj: Object) -> tuple[float, str]:
    created = obj.metadata.creation_timestamp
    return (created.timestamp() if created is not None else 0.0, obj.metadata.name)


def observed_generation(pod: core.Pod) -> dict[str, int]:
    """What a condition of a pod says of the generation that it is about (CalculatePodConditionObservedGeneration); {} where it has none."""
    return {"observedGeneration": pod.metadata.generation} if pod.metadata.generation else {}
