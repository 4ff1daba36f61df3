"""What can be said of a node and of a zone without asking anybody; pure (upstream: pkg/controller/nodelifecycle)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from pybernetes.api.conditions import condition
from pybernetes.api.pods import is_ready
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import (
    LABEL_ARCH,
    LABEL_ARCH_STABLE,
    LABEL_FAILURE_DOMAIN_BETA_REGION,
    LABEL_FAILURE_DOMAIN_BETA_ZONE,
    LABEL_OS,
    LABEL_OS_STABLE,
    LABEL_TOPOLOGY_REGION,
    LABEL_TOPOLOGY_ZONE,
    TAINT_NODE_DISK_PRESSURE,
    TAINT_NODE_MEMORY_PRESSURE,
    TAINT_NODE_NETWORK_UNAVAILABLE,
    TAINT_NODE_NOT_READY,
    TAINT_NODE_PID_PRESSURE,
    TAINT_NODE_UNREACHABLE,
    TAINT_NODE_UNSCHEDULABLE,
)

TAINTS = {  # condition -> status -> taint
    "Ready": {"False": TAINT_NODE_NOT_READY, "Unknown": TAINT_NODE_UNREACHABLE},
    "MemoryPressure": {"True": TAINT_NODE_MEMORY_PRESSURE},
    "DiskPressure": {"True": TAINT_NODE_DISK_PRESSURE},
    "NetworkUnavailable": {"True": TAINT_NODE_NETWORK_UNAVAILABLE},
    "PIDPressure": {"True": TAINT_NODE_PID_PRESSURE},
}
OWN_TAINTS = frozenset(key for taints in TAINTS.values() for key in taints.values()) | {TAINT_NODE_UNSCHEDULABLE}
KUBELET_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
LABELS = ((LABEL_OS_STABLE, LABEL_OS), (LABEL_ARCH_STABLE, LABEL_ARCH))
EXCLUDED = "node.kubernetes.io/exclude-disruption"  # such nodes do not count for the state of their zone

ZONE = (LABEL_TOPOLOGY_ZONE, LABEL_FAILURE_DOMAIN_BETA_ZONE)
REGION = (LABEL_TOPOLOGY_REGION, LABEL_FAILURE_DOMAIN_BETA_REGION)


# --- one node ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Health:
    """When a node was last heard of, by our monotonic clock, and by what."""

    heard: float
    heartbeat: datetime | None  # of the Ready condition; None: there was none
    renewed: str = ""  # of the lease


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look at a node says. Statuses are of Ready; `conditions` are to be written if not None."""

    health: Health
    observed: str
    current: str | None
    conditions: Sequence[core.NodeCondition] | None = None

    @property
    def is_old(self) -> bool:
        """The node's Ready condition says it already."""
        return self.conditions is None and self.current == self.observed


def examine(
    node: core.Node, renewed: str, before: Health | None, now: datetime, uptime: float, grace: float, startup: float
) -> Verdict:
    """One look; `renewed` is the lease's renewTime, `before` what the last look left, `uptime` the monotonic time of `now`.

    A node that was not heard of for its grace period (the startup one while it has no Ready condition) gets Unknown. Silence is measured
    on the monotonic clock: put the wall clock forward, and no node has been silent for it.
    """
    ready = condition(node.status.conditions, "Ready")
    created = node.metadata.creation_timestamp
    heartbeat = ready.last_heartbeat_time if ready is not None else None
    if before is None:
        age = (now - created).total_seconds() if ready is None and created is not None else 0.0
        health = Health(uptime - max(0.0, age), heartbeat)
    elif before.heartbeat != heartbeat:
        health = Health(uptime, heartbeat, before.renewed)
    else:
        health = before
    # Any other time is news, not only a later one: a node whose clock was put back renews with earlier ones.
    if renewed and renewed != health.renewed:
        health = Health(uptime, health.heartbeat, renewed)
    observed = ready.status if ready is not None else "Unknown"
    if uptime <= health.heard + (grace if ready is not None else startup):
        return Verdict(health, observed, ready.status if ready is not None else None)
    if ready is not None and observed == "Unknown":
        return Verdict(health, observed, "Unknown")  # was told already
    return Verdict(health, observed, "Unknown", unknown_conditions(node, now))


def unknown_conditions(node: core.Node, now: datetime) -> list[core.NodeCondition]:
    """The node's conditions with all that the kubelet reports Unknown."""
    now = now.replace(microsecond=0)
    result: list[core.NodeCondition] = []
    for current in node.status.conditions:
        if current.type not in KUBELET_CONDITIONS or current.status == "Unknown":
            result.append(current)
            continue
        result.append(
            core.NodeCondition(
                type=current.type,
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                last_heartbeat_time=current.last_heartbeat_time,
                last_transition_time=now,
            )
        )
    there = {current.type for current in node.status.conditions}
    result.extend(
        core.NodeCondition(
            type=type_,
            status="Unknown",
            reason="NodeStatusNeverUpdated",
            message="Kubelet never posted node status.",
            last_heartbeat_time=node.metadata.creation_timestamp,
            last_transition_time=now,
        )
        for type_ in KUBELET_CONDITIONS
        if type_ not in there
    )
    return result


def no_schedule_taints(node: core.Node, now: datetime) -> list[core.Taint] | None:
    """The node's taints with those NoSchedule ones that its conditions ask for; None if they are right."""
    keys = [
        TAINTS[condition.type][condition.status]
        for condition in node.status.conditions
        if condition.status in TAINTS.get(condition.type, ())
    ]
    if node.spec.unschedulable:
        keys.append(TAINT_NODE_UNSCHEDULABLE)
    there = {t.key for t in node.spec.taints if t.effect == "NoSchedule" and t.key in OWN_TAINTS}
    if there == set(keys):
        return None
    taints = [t for t in node.spec.taints if t.effect != "NoSchedule" or t.key not in OWN_TAINTS or t.key in keys]
    return [*taints, *(taint(key, "NoSchedule", now) for key in keys if key not in there)]


def no_execute_taints(node: core.Node, key: str, now: datetime) -> list[core.Taint] | None:
    """The node's taints with the NoExecute one of its state (not-ready, unreachable, "": neither); None if right."""
    others = {TAINT_NODE_NOT_READY, TAINT_NODE_UNREACHABLE} - {key}
    taints = [t for t in node.spec.taints if t.effect != "NoExecute" or t.key not in others]
    if key and not has_taint(node, key):
        taints.append(taint(key, "NoExecute", now))
    return taints if taints != node.spec.taints else None


def taint(key: str, effect: str, now: datetime) -> core.Taint:
    return core.Taint(key=key, effect=effect, time_added=now.replace(microsecond=0))


def has_taint(node: core.Node, key: str) -> bool:
    """Whether it has the NoExecute taint."""
    return any(t.key == key and t.effect == "NoExecute" for t in node.spec.taints)


def desired_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The old labels of system and architecture that do not follow the stable ones."""
    return {old: labels[new] for new, old in LABELS if new in labels and labels.get(old) != labels[new]}


def not_ready_conditions(pod: core.Pod, now: datetime) -> list[core.PodCondition] | None:
    """The pod's conditions with Ready False; None where it is not True."""
    if not is_ready(pod):
        return None
    return [
        core.PodCondition(
            type=c.type,
            status="False",
            reason=c.reason,
            message=c.message,
            last_probe_time=c.last_probe_time,
            last_transition_time=now.replace(microsecond=0),
            observed_generation=c.observed_generation,
        )
        if c.type == "Ready"
        else c
        for c in pod.status.conditions
    ]


# --- zones -------------------------------------------------------------------------------------


class ZoneState(Enum):
    """How many of a zone's nodes are ready."""

    INITIAL = "Initial"
    NORMAL = "Normal"
    FULL_DISRUPTION = "FullDisruption"
    PARTIAL_DISRUPTION = "PartialDisruption"


def zone_of(node: core.Node) -> str:
    """Region and zone (GetZoneKey); "" for nodes with neither."""
    labels = node.metadata.labels
    zone, region = (next((labels[k] for k in keys if labels.get(k)), "") for keys in (ZONE, REGION))
    return f"{region}:\x00:{zone}" if zone or region else ""


def zone_state(statuses: Iterable[str | None], threshold: float) -> ZoneState:
    """By the Ready statuses of a zone's nodes."""
    all_of = list(statuses)
    ready = sum(status == "True" for status in all_of)
    lost = len(all_of) - ready
    if ready == 0 and lost > 0:
        return ZoneState.FULL_DISRUPTION
    if lost > 2 and lost / len(all_of) >= threshold:
        return ZoneState.PARTIAL_DISRUPTION
    return ZoneState.NORMAL


@dataclass(frozen=True, slots=True)
class Rates:
    """Nodes a second that may be tainted NoExecute."""

    normal: float
    secondary: float
    large_zone: int  # a zone of no more nodes has none in a partial disruption

    def of(self, state: ZoneState, size: int) -> float:
        if state is ZoneState.PARTIAL_DISRUPTION:
            return self.secondary if size > self.large_zone else 0.0
        return self.normal


class Bucket:
    """A token bucket for one token, that starts full; at rate 0 it gives none."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._tokens, self._at = rate, 1.0, now

    def set_rate(self, rate: float) -> None:
        """A changed rate fills the bucket anew, as upstream's new limiter does."""
        if rate != self._rate:
            self._rate, self._tokens = rate, 1.0

    def take(self, now: float) -> float | None:
        """0 with a token, else the seconds until there is one; None if never."""
        if self._rate <= 0:
            return None
        self._tokens = min(1.0, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1.0 - 1e-9:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate
