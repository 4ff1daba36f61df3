"""A pod's status from what its containers are doing (upstream: kubelet_pods.go convertStatusToAPIStatus, status/generate.go)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from pybernetes.api.pods import FINISHED, is_finished, is_sidecar, qos_class
from pybernetes.api.types import core_v1 as core

from ..runtime.types import Container
from . import unlocated
from .restarts import RESTART_ALL

CONTAINER_CREATING = "ContainerCreating"
POD_INITIALIZING = "PodInitializing"
MESSAGE_BYTES = 12 << 10  # of all termination messages of a pod (MaxPodTerminationMessageLogLength)


@dataclass(slots=True)
class ContainerView:
    """What is known of one container: its newest run, the one before, and why it does not run."""

    current: Container | None = None
    previous: Container | None = None
    waiting: tuple[str, str] | None = None
    ready: bool = False
    started: bool = False
    over: bool = False  # it has ended, and no other run follows
    applied: core.ResourceRequirements | None = None  # what the present run has


@dataclass(slots=True)
class PodView:
    """What is known of a pod on this node."""

    containers: Mapping[str, ContainerView]
    runtime_name: str  # the scheme of container ids
    sandbox_ready: bool = False
    ips: Sequence[str] = ()
    host_ips: Sequence[str] = ()
    start_time: datetime | None = None
    failed: tuple[str, str] | None = None  # reason and message where the kubelet ended the pod
    finishing: bool = False  # nothing is started again
    conditions: Sequence[core.PodCondition] = field(default_factory=tuple)  # the API's present ones
    restarting_all: bool = False  # a rule asked for it, and not all have ended yet
    disruption: str = ""  # why the node ended the pod for its own sake
    resize_pending: tuple[str, str] | None = None  # reason and message
    resize_error: str = ""


def terminated(container: Container, runtime_name: str) -> core.ContainerStateTerminated:
    reason = container.reason or ("Completed" if container.exit_code == 0 else "Error")
    return core.ContainerStateTerminated(
        exit_code=container.exit_code,
        reason=reason,
        message=container.message,
        started_at=container.started_at,
        finished_at=container.finished_at,
        container_id=f"{runtime_name}://{container.id}",
    )


def _mount_status(mount: core.VolumeMount) -> core.VolumeMountStatus:
    status = core.VolumeMountStatus(name=mount.name, mount_path=mount.mount_path, read_only=mount.read_only)
    if mount.read_only:
        status.recursive_read_only = "Disabled"  # what is mounted below it stays writable: Docker knows no other way
    return status


def container_status(
    spec: core.Container | core.EphemeralContainer, view: ContainerView, runtime_name: str, default: str
) -> core.ContainerStatus:
    """One container's status; `default` is the waiting reason where nothing is known of it."""
    current, previous = view.current, view.previous
    status = core.ContainerStatus(name=spec.name, image=spec.image, ready=view.ready, started=view.started)
    status.volume_mounts = [_mount_status(mount) for mount in spec.volume_mounts]
    if current is None:
        reason, message = view.waiting or (default, "")
        status.state = core.ContainerState(waiting=core.ContainerStateWaiting(reason=reason, message=message))
        return status
    status.container_id = f"{runtime_name}://{current.id}"
    status.image, status.image_id = current.image or spec.image, current.image_id
    status.restart_count = current.attempt
    status.allocated_resources = dict(spec.resources.requests)
    status.resources = view.applied or spec.resources
    status.stop_signal = spec.lifecycle.stop_signal if spec.lifecycle is not None else None
    if current.state == "running":
        status.state = core.ContainerState(running=core.ContainerStateRunning(started_at=current.started_at))
    elif current.state == "created":
        reason, message = view.waiting or (default, "")
        status.state = core.ContainerState(waiting=core.ContainerStateWaiting(reason=reason, message=message))
    elif view.waiting is not None:
        reason, message = view.waiting
        status.state = core.ContainerState(waiting=core.ContainerStateWaiting(reason=reason, message=message))
        previous = current
    else:
        status.state = core.ContainerState(terminated=terminated(current, runtime_name))
    if previous is not None:
        status.last_state = core.ContainerState(terminated=terminated(previous, runtime_name))
    return status


def phase(pod: core.Pod, statuses: Mapping[str, core.ContainerStatus], over: Collection[str], finishing: bool) -> str:
    """Pending, Running, Succeeded or Failed (getPhase). `over`: those that have ended and do not run again.

    A pod whose containers are done is Running as long as a sidecar does.
    """
    running = waiting = failed = 0
    for init in pod.spec.init_containers:
        status = statuses[init.name]
        ended = status.state.terminated or status.last_state.terminated
        if is_sidecar(init):
            running += status.state.running is not None
            if not status.started and not finishing and ended is None:
                return "Pending"
        elif ended is None:
            return "Pending"
        elif ended.exit_code != 0:
            return "Failed" if init.name in over or finishing else "Pending"
    for container in pod.spec.containers:
        status = statuses[container.name]
        if status.state.running is not None:
            running += 1
        elif status.state.terminated is not None:
            failed += status.state.terminated.exit_code != 0
        elif status.last_state.terminated is not None:
            failed += 1
        else:
            waiting += 1
    if waiting:
        return "Failed" if finishing else "Pending"
    if running:
        return "Running"
    if not finishing and any(container.name not in over for container in pod.spec.containers):
        return "Running"
    return "Failed" if failed else "Succeeded"


def _condition(type_: str, ok: bool, reason: str = "", message: str = "") -> core.PodCondition:
    if ok:
        return core.PodCondition(type=type_, status="True")
    return core.PodCondition(type=type_, status="False", reason=reason, message=message)


def _listed(what: str, names: Sequence[str]) -> str:
    return f"containers with {what} status: [{' '.join(names)}]"


def initialized(pod: core.Pod, statuses: Mapping[str, core.ContainerStatus], pod_phase: str) -> core.PodCondition:
    if pod_phase == "Succeeded":
        return core.PodCondition(type="Initialized", status="True", reason="PodCompleted")

    def incomplete(init: core.Container) -> bool:
        return not (statuses[init.name].started if is_sidecar(init) else statuses[init.name].ready)

    names = [init.name for init in pod.spec.init_containers if incomplete(init)]
    # A main container that ran proves that all were done, even where their containers are gone.
    if any(statuses[c.name].state.running or statuses[c.name].container_id for c in pod.spec.containers):
        names = []
    return _condition("Initialized", not names, "ContainersNotInitialized", _listed("incomplete", names))


def containers_ready(pod: core.Pod, statuses: Mapping[str, core.ContainerStatus], pod_phase: str) -> core.PodCondition:
    if pod_phase in FINISHED:
        reason = "PodCompleted" if pod_phase == "Succeeded" else "PodFailed"
        return core.PodCondition(type="ContainersReady", status="False", reason=reason)
    waited = [*(i for i in pod.spec.init_containers if is_sidecar(i)), *pod.spec.containers]
    names = [c.name for c in waited if not statuses[c.name].ready]
    return _condition("ContainersReady", not names, "ContainersNotReady", _listed("unready", names))


def ready(pod: core.Pod, containers: core.PodCondition, present: Sequence[core.PodCondition]) -> core.PodCondition:
    """Ready: the containers and every readiness gate."""
    if containers.status != "True":
        return core.PodCondition(type="Ready", status="False", reason=containers.reason, message=containers.message)
    by_type = {condition.type: condition for condition in present}
    messages = []
    for gate in pod.spec.readiness_gates:
        condition = by_type.get(gate.condition_type)
        if condition is None:
            messages.append(f'corresponding condition of pod readiness gate "{gate.condition_type}" does not exist.')
        elif condition.status != "True":
            messages.append(
                f'the status of pod readiness gate "{gate.condition_type}" is not "True", but {condition.status}'
            )
    return _condition("Ready", not messages, "ReadinessGatesNotReady", ", ".join(messages))


DISRUPTION_TARGET, TERMINATION_BY_KUBELET = "DisruptionTarget", "TerminationByKubelet"
RESIZE_PENDING, RESIZE_IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
ALL_CONTAINERS_RESTARTING = "AllContainersRestarting"
OWNED = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    ALL_CONTAINERS_RESTARTING,
    RESIZE_PENDING,
    RESIZE_IN_PROGRESS,
)


def is_own(condition: core.PodCondition) -> bool:
    """Whether the kubelet has written it; DisruptionTarget is others' as well."""
    return condition.type in OWNED or condition.reason == TERMINATION_BY_KUBELET


def merge_conditions(
    fresh: Sequence[core.PodCondition], present: Sequence[core.PodCondition], now: datetime
) -> list[core.PodCondition]:
    """The kubelet's conditions with their transition times kept while the status stays, then those of others."""
    by_type = {condition.type: condition for condition in present}
    for condition in fresh:
        old = by_type.get(condition.type)
        same = old is not None and old.status == condition.status
        condition.last_transition_time = old.last_transition_time if old is not None and same else now
    own = {*OWNED, *(condition.type for condition in fresh)}
    return [*fresh, *(condition for condition in present if condition.type not in own)]


def _kept(pod: core.Pod) -> dict[str, core.ContainerStatus]:
    """Statuses that stay though the runtime has let the container go: of init containers, and of pods that are over."""
    told = list(pod.status.init_container_statuses)
    if is_finished(pod):
        told += pod.status.container_statuses
    return {status.name: status for status in told if status.state.terminated is not None}


def _resize_conditions(
    everyone: Sequence[core.Container | core.EphemeralContainer], view: PodView
) -> list[core.PodCondition]:
    """PodResizePending while the node grants nothing, PodResizeInProgress while containers lack what they were granted."""
    conditions = []
    if view.resize_pending is not None:
        reason, message = view.resize_pending
        conditions.append(core.PodCondition(type=RESIZE_PENDING, status="True", reason=reason, message=message))
    if any(_is_resized(spec, view.containers.get(spec.name, ContainerView())) for spec in everyone):
        error = view.resize_error
        reason = "Error" if error else ""
        conditions.append(core.PodCondition(type=RESIZE_IN_PROGRESS, status="True", reason=reason, message=error))
    return conditions


def _is_resized(spec: core.Container | core.EphemeralContainer, view: ContainerView) -> bool:
    running = view.current is not None and view.current.state == "running"
    return running and view.applied is not None and view.applied != spec.resources


def pod_status(pod: core.Pod, view: PodView, now: datetime) -> core.PodStatus:
    """The whole status, as the API should have it."""
    default = POD_INITIALIZING if pod.spec.init_containers else CONTAINER_CREATING
    nothing = ContainerView()
    statuses: dict[str, core.ContainerStatus] = {}
    everyone: list[core.Container | core.EphemeralContainer] = [*pod.spec.init_containers, *pod.spec.containers]
    kept = _kept(pod)
    for spec in [*everyone, *pod.spec.ephemeral_containers]:
        seen = view.containers.get(spec.name, nothing)
        if seen.current is None and spec.name in kept:
            statuses[spec.name] = kept[spec.name]
        else:
            statuses[spec.name] = container_status(spec, seen, view.runtime_name, default)
    over = {name for name, one in view.containers.items() if one.over}
    pod_phase = phase(pod, statuses, over, view.finishing)
    status = core.PodStatus(qos_class=pod.status.qos_class or qos_class(pod.spec), start_time=view.start_time)
    if view.failed is not None:
        pod_phase, (status.reason, status.message) = "Failed", view.failed
    elif is_finished(pod):
        pod_phase = pod.status.phase  # a terminal phase never changes again
        status.reason, status.message = pod.status.reason, pod.status.message
    status.phase = pod_phase
    if pod_phase in FINISHED:
        statuses = unlocated.ended(pod, statuses)
    containers = containers_ready(pod, statuses, pod_phase)
    fresh = [
        _condition("PodReadyToStartContainers", view.sandbox_ready),
        initialized(pod, statuses, pod_phase),
        ready(pod, containers, view.conditions),
        containers,
        core.PodCondition(type="PodScheduled", status="True"),
    ]
    if any(rule.action == RESTART_ALL for spec in everyone for rule in spec.restart_policy_rules):
        restarting = "True" if view.restarting_all else "False"
        fresh.append(core.PodCondition(type=ALL_CONTAINERS_RESTARTING, status=restarting))
    fresh += _resize_conditions(everyone, view)
    if view.disruption:
        why = core.PodCondition(type=DISRUPTION_TARGET, status="True", reason=TERMINATION_BY_KUBELET)
        fresh.append(msgspec.structs.replace(why, message=view.disruption))
    for condition in fresh:
        condition.observed_generation = pod.metadata.generation
    status.conditions = merge_conditions(fresh, view.conditions, now)
    status.observed_generation = pod.metadata.generation
    status.host_ip = view.host_ips[0] if view.host_ips else ""
    status.host_ips = [core.HostIP(ip=ip) for ip in view.host_ips]
    status.pod_ip = view.ips[0] if view.ips else ""
    status.pod_ips = [core.PodIP(ip=ip) for ip in view.ips]
    status.init_container_statuses = [statuses[c.name] for c in pod.spec.init_containers]
    status.container_statuses = [statuses[name] for name in sorted(c.name for c in pod.spec.containers)]
    status.ephemeral_container_statuses = [
        msgspec.structs.replace(statuses[c.name], ready=False, started=None, resources=None, stop_signal=None)
        for c in sorted(pod.spec.ephemeral_containers, key=lambda c: c.name)
    ]
    _shorten_messages(status)
    return status


def _shorten_messages(status: core.PodStatus) -> None:
    """What containers say of their ends shares one allowance (normalizeStatus)."""
    everyone = [*status.init_container_statuses, *status.container_statuses, *status.ephemeral_container_statuses]
    allowed = MESSAGE_BYTES // max(len(everyone), 1)
    for one in everyone:
        one.state, one.last_state = _shortened(one.state, allowed), _shortened(one.last_state, allowed)


def _shortened(state: core.ContainerState, allowed: int) -> core.ContainerState:
    if state.terminated is None or len(state.terminated.message.encode()) <= allowed:
        return state
    message = state.terminated.message.encode()[:allowed].decode(errors="ignore")
    return core.ContainerState(terminated=msgspec.structs.replace(state.terminated, message=message))
