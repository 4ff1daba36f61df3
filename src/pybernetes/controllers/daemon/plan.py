"""Which daemon pods should be where; pure (upstream: pkg/controller/daemon/daemon_controller.go, update.go, util)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from pybernetes.api.nodes import fits_affinity, untolerated
from pybernetes.api.pods import is_available, is_finished, is_ready
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import (
    CONTROLLER_REVISION_HASH_LABEL,
    TAINT_NODE_DISK_PRESSURE,
    TAINT_NODE_MEMORY_PRESSURE,
    TAINT_NODE_NETWORK_UNAVAILABLE,
    TAINT_NODE_NOT_READY,
    TAINT_NODE_PID_PRESSURE,
    TAINT_NODE_UNREACHABLE,
    TAINT_NODE_UNSCHEDULABLE,
)

from ..common import by_creation, clone, scaled

GENERATION = "deprecated.daemonset.template.generation"  # annotation
GENERATION_LABEL = "pod-template-generation"
NODE_NAME_FIELD = "metadata.name"

Pods = Mapping[str, Sequence[core.Pod]]  # by node


def _toleration(key: str, effect: str) -> core.Toleration:
    return core.Toleration(key=key, operator="Exists", effect=effect)


# A daemon is for nodes in every state, also those that drive other pods out.
TOLERATIONS = (
    _toleration(TAINT_NODE_NOT_READY, "NoExecute"),
    _toleration(TAINT_NODE_UNREACHABLE, "NoExecute"),
    _toleration(TAINT_NODE_DISK_PRESSURE, "NoSchedule"),
    _toleration(TAINT_NODE_MEMORY_PRESSURE, "NoSchedule"),
    _toleration(TAINT_NODE_PID_PRESSURE, "NoSchedule"),
    _toleration(TAINT_NODE_UNSCHEDULABLE, "NoSchedule"),
)
HOST_NETWORK_TOLERATION = _toleration(TAINT_NODE_NETWORK_UNAVAILABLE, "NoSchedule")


# --- pods of a daemon set


def tolerations_of(spec: core.PodSpec) -> list[core.Toleration]:
    """The template's own and those of every daemon pod (AddOrUpdateDaemonPodTolerations)."""
    result = list(spec.tolerations)
    for extra in (*TOLERATIONS, *((HOST_NETWORK_TOLERATION,) if spec.host_network else ())):
        alike = [t for t in result if (t.key, t.effect, t.operator, t.value) == (extra.key, extra.effect, "Exists", "")]
        if alike:
            result[result.index(alike[0])] = extra
        else:
            result.append(extra)
    return result


def generation_of(ds: apps.DaemonSet) -> str | None:
    """The deprecated generation of the template."""
    text = ds.metadata.annotations.get(GENERATION, "")
    return text if text.lstrip("-").isdigit() else None


def template_of(ds: apps.DaemonSet, hashed: str) -> core.PodTemplateSpec:
    """The template of a daemon pod, not for a node yet (CreatePodTemplate)."""
    template = clone(ds.spec.template)
    template.spec.tolerations = tolerations_of(template.spec)
    generation = generation_of(ds)
    if generation is not None:
        template.metadata.labels[GENERATION_LABEL] = generation
    template.metadata.labels[CONTROLLER_REVISION_HASH_LABEL] = hashed
    return template


def for_node(template: core.PodTemplateSpec, node: str) -> core.PodTemplateSpec:
    """With the affinity that lets the scheduler bind it to this node only (ReplaceDaemonSetPodNodeNameNodeAffinity)."""
    requirement = core.NodeSelectorRequirement(key=NODE_NAME_FIELD, operator="In", values=[node])
    pinned = core.NodeSelector(node_selector_terms=[core.NodeSelectorTerm(match_fields=[requirement])])
    affinity = template.spec.affinity or core.Affinity()
    node_affinity = msgspec.structs.replace(
        affinity.node_affinity or core.NodeAffinity(), required_during_scheduling_ignored_during_execution=pinned
    )
    spec = msgspec.structs.replace(
        template.spec, affinity=msgspec.structs.replace(affinity, node_affinity=node_affinity)
    )
    return msgspec.structs.replace(template, spec=spec)


def target_node(pod: core.Pod) -> str:
    """The node that a pod is on or is meant for; "" if that cannot be told (GetTargetNodeName)."""
    if pod.spec.node_name:
        return pod.spec.node_name
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    for term in required.node_selector_terms if required is not None else ():
        for field_ in term.match_fields:
            if field_.key == NODE_NAME_FIELD and field_.operator == "In" and len(field_.values) == 1:
                return field_.values[0]
    return ""


def by_node(pods: Iterable[core.Pod]) -> dict[str, list[core.Pod]]:
    """Pods by their node; ended ones that are being deleted do not count any more."""
    result: dict[str, list[core.Pod]] = {}
    for pod in pods:
        if is_finished(pod) and pod.metadata.deletion_timestamp is not None:
            continue
        node = target_node(pod)
        if node:
            result.setdefault(node, []).append(pod)
    return result


def is_updated(pod: core.Pod, ds: apps.DaemonSet, hashed: str) -> bool:
    """Whether a pod is of the present template."""
    labels, generation = pod.metadata.labels, generation_of(ds)
    return labels.get(CONTROLLER_REVISION_HASH_LABEL) == hashed or (
        generation is not None and labels.get(GENERATION_LABEL) == generation
    )


# --- nodes


def runs_on(ds: apps.DaemonSet) -> Callable[[core.Node], tuple[bool, bool]]:
    """Says of a node whether it should get a pod, and whether one that runs there may stay (NodeShouldRunDaemonPod)."""
    spec = ds.spec.template.spec
    tolerations = tolerations_of(spec)

    def check(node: core.Node) -> tuple[bool, bool]:
        own = node.metadata
        if spec.node_name not in ("", own.name) or not fits_affinity(spec, own.name, own.labels):
            return False, False
        taints = node.spec.taints
        if untolerated(tolerations, taints) is not None:
            return False, untolerated(tolerations, taints, ("NoExecute",)) is None
        return True, True

    return check


@dataclass
class Step:
    """What to do: nodes that get a pod, pods to delete, events, failed pods by node (their deletion is held back)."""

    create: list[str] = field(default_factory=list)
    delete: list[core.Pod] = field(default_factory=list)
    failed: list[tuple[str, core.Pod]] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)


Verdicts = Mapping[str, tuple[bool, bool]]  # by node, what runs_on says


def manage(ds: apps.DaemonSet, verdicts: Verdicts, pods: Pods, hashed: str, now: datetime) -> Step:
    """One pod on each node that should have one, none elsewhere; pods bound to nodes that are gone are podgc's."""
    step = Step()
    for node, (should, may_stay) in verdicts.items():
        _manage_node(ds, node, should, may_stay, pods.get(node), hashed, now, step)
    for node, members in pods.items():
        if node not in verdicts:
            step.delete += [p for p in members if not p.spec.node_name and p.metadata.deletion_timestamp is None]
    return step


def _manage_node(
    ds: apps.DaemonSet,
    node: str,
    should: bool,
    may_stay: bool,
    pods: Sequence[core.Pod] | None,
    hashed: str,
    now: datetime,
    step: Step,
) -> None:
    if should and pods is None:
        step.create.append(node)
    elif may_stay:
        running = _running(node, pods or (), step)
        if not allows_surge(ds):
            step.delete += _oldest_first(running)[1:]
        elif len(running) > 1:
            step.delete += _beyond_surge(ds, running, hashed, now)
        elif not running and should:
            step.create.append(node)
    elif pods is not None:
        step.delete += [pod for pod in pods if pod.metadata.deletion_timestamp is None]


def _running(node: str, pods: Sequence[core.Pod], step: Step) -> list[core.Pod]:
    running = []
    for pod in pods:
        where = f"{pod.metadata.namespace}/{pod.metadata.name} on node {node}"
        if pod.metadata.deletion_timestamp is not None:
            continue
        if pod.status.phase == "Failed":
            step.failed.append((node, pod))
        elif pod.status.phase == "Succeeded":
            text = f"Found succeeded daemon pod {where}, will try to delete it"
            step.events.append(("Normal", "SucceededDaemonPod", text))
            step.delete.append(pod)
        else:
            running.append(pod)
    return running


def failed_event(node: str, pod: core.Pod) -> tuple[str, str, str]:
    """What is told when a failed pod is deleted."""
    where = f"{pod.metadata.namespace}/{pod.metadata.name} on node {node}"
    return "Warning", "FailedDaemonPod", f"Found failed daemon pod {where}, will try to kill it"


def _oldest_first(pods: Sequence[core.Pod]) -> list[core.Pod]:
    return sorted(by_creation(pods), key=lambda pod: not pod.spec.node_name)


def _beyond_surge(ds: apps.DaemonSet, pods: Sequence[core.Pod], hashed: str, now: datetime) -> list[core.Pod]:
    """All but the oldest new one, and the oldest old one while the new is not available and the old one is ready."""
    new: core.Pod | None = None
    old: core.Pod | None = None
    rest: list[core.Pod] = []
    for pod in _oldest_first(pods):
        if pod.metadata.labels.get(CONTROLLER_REVISION_HASH_LABEL) == hashed and new is None:
            new = pod
        elif pod.metadata.labels.get(CONTROLLER_REVISION_HASH_LABEL) != hashed and old is None:
            old = pod
        else:
            rest.append(pod)
    if new and old and (not is_ready(old) or is_available(new, ds.spec.min_ready_seconds, now)):
        rest.append(old)
    return rest


# --- rolling update


def _share(ds: apps.DaemonSet, name: str, desired: int) -> int:
    rolling = ds.spec.update_strategy.rolling_update
    if ds.spec.update_strategy.type != "RollingUpdate" or rolling is None:
        return 0
    return scaled(getattr(rolling, name), desired, True)


def allows_surge(ds: apps.DaemonSet) -> bool:
    return _share(ds, "max_surge", 100) > 0


def limits(ds: apps.DaemonSet, desired: int) -> tuple[int, int]:
    """Surge and unavailable in numbers; none of either would never move."""
    surge, unavailable = _share(ds, "max_surge", desired), _share(ds, "max_unavailable", desired)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _pair(pods: Sequence[core.Pod], ds: apps.DaemonSet, hashed: str) -> tuple[core.Pod | None, core.Pod | None] | None:
    """The new and the old pod of a node; None where there are more of a sort than one."""
    live = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
    new = [pod for pod in live if is_updated(pod, ds, hashed)]
    old = [pod for pod in live if not is_updated(pod, ds, hashed)]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None), (old[0] if old else None)


def roll(ds: apps.DaemonSet, verdicts: Verdicts, pods: Pods, hashed: str, now: datetime) -> Step:
    """Replaces old pods, as many at once as the strategy allows."""
    targets = {node: pods.get(node, ()) for node, (should, _) in verdicts.items() if should}
    surge, unavailable = limits(ds, len(targets))
    everywhere = {**pods, **targets}
    pairs = {node: _pair(members, ds, hashed) for node, members in everywhere.items()}
    if surge:
        return _roll_surging(ds, pairs, surge, now)
    return _roll_replacing(ds, pairs, unavailable, now)


Pairs = Mapping[str, tuple[core.Pod | None, core.Pod | None] | None]


def _roll_replacing(ds: apps.DaemonSet, pairs: Pairs, limit: int, now: datetime) -> Step:
    down, free, candidates = 0, [], []
    ready_for = ds.spec.min_ready_seconds
    for pair in pairs.values():
        new, old = pair or (None, None)
        if pair is None or (new is None) == (old is None):
            down += 1  # manage will put this node in order
        elif new is not None:
            down += not is_available(new, ready_for, now)
        elif old is not None and not is_available(old, ready_for, now):
            free.append(old)  # serves nobody: costs nothing
            down += 1
        elif old is not None:
            candidates.append(old)
    return Step(delete=free + candidates[: max(0, limit - down)])


def _roll_surging(ds: apps.DaemonSet, pairs: Pairs, limit: int, now: datetime) -> Step:
    surging = 0
    free: list[str] = []
    candidates: list[str] = []
    step = Step()
    for node, pair in pairs.items():
        new, old = pair or (None, None)
        if pair is None:
            surging += 1
        elif old is None:
            continue
        elif new is None:
            (candidates if is_available(old, ds.spec.min_ready_seconds, now) else free).append(node)
        elif is_available(new, ds.spec.min_ready_seconds, now):
            step.delete.append(old)
        else:
            surging += 1
    step.create = free + candidates[: max(0, limit - surging)]
    return step


# --- status


def status_of(
    ds: apps.DaemonSet, verdicts: Verdicts, pods: Pods, hashed: str, now: datetime, observed: bool
) -> apps.DaemonSetStatus:
    """The status that nodes and pods amount to; `observed`: this generation was acted upon."""
    status = apps.DaemonSetStatus(
        collision_count=ds.status.collision_count,
        conditions=ds.status.conditions,
        observed_generation=ds.metadata.generation if observed else ds.status.observed_generation,
    )
    for node, (should, _) in verdicts.items():
        members = pods.get(node, ())
        if not should:
            status.number_misscheduled += bool(members)
            continue
        status.desired_number_scheduled += 1
        if not members:
            continue
        status.current_number_scheduled += 1
        oldest = by_creation(members)[0]
        status.number_ready += is_ready(oldest)
        status.number_available += is_available(oldest, ds.spec.min_ready_seconds, now)
        status.updated_number_scheduled += is_updated(oldest, ds, hashed)
    status.number_unavailable = status.desired_number_scheduled - status.number_available
    return status
