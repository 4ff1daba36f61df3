"""Takes a pod's containers down (upstream: kuberuntime_container.go killContainer, pod_workers.go SyncTerminatingPod)."""

from __future__ import annotations

from . import events
from .containers import Slot
from .instructions import StopContainer, StopSandbox
from .state import PodState

MINIMUM_GRACE = 2  # seconds that a container has at least to stop
DEFAULT_GRACE = 30


def stop(pod: PodState, slot: Slot, message: str, grace: int | None = None, *, hook: bool = True) -> None:
    """`grace`: a probe's own; else the deletion's, or the pod's. `hook`: whether its preStop hook is run before."""
    if not slot.running or slot.step or slot.current is None:
        return
    if grace is None:
        grace = pod.pod.spec.termination_grace_period_seconds
    if pod.pod.metadata.deletion_timestamp is not None:
        grace = pod.pod.metadata.deletion_grace_period_seconds
    slot.step = "stop"
    pod.record(events.normal("Killing", message, slot.path))
    pod.out.append(StopContainer(slot.current, max(DEFAULT_GRACE if grace is None else grace, MINIMUM_GRACE), hook))


def stop_all(pod: PodState, *, hooks: bool = True) -> None:
    for slot in pod.slots.values():
        stop(pod, slot, f"Stopping container {slot.spec.name}", hook=hooks)


def wind_down(pod: PodState) -> None:
    """The next step of a pod that is over: its containers, then its sandbox and volumes."""
    stop_all(pod)
    if pod.busy or pod.sandbox_step in ("create", "connect", "stop"):
        return
    if pod.sandbox is not None or pod.sandbox_step != "stopped":
        # Once even where nothing was begun: volumes may be left.
        pod.sandbox_step = "stop"
        pod.volumes = ""
        pod.out.append(StopSandbox(pod.sandbox.id if pod.sandbox is not None else ""))
