"""Takes a pod's containers down (upstream: kuberuntime_container.go killContainer, pod_workers.go SyncTerminatingPod)."""

from __future__ import annotations

from datetime import datetime

from pybernetes.api.pods import is_sidecar
from pybernetes.api.times import shifted

from . import events
from .containers import Slot
from .instructions import Interrupt, StopContainer, StopSandbox
from .state import PodState

MINIMUM_GRACE = 2  # seconds that a container has at least to stop
DEFAULT_GRACE = 30


def stop(
    pod: PodState,
    slot: Slot,
    message: str,
    now: datetime,
    grace: int | None = None,
    *,
    hook: bool = True,
    after: tuple[str, ...] = (),
) -> None:
    """`grace`: a probe's own; else the deletion's, or the pod's. `hook`: whether its preStop hook is run before.

    One that is being stopped already may only get less time (calculateEffectiveGracePeriod); its hook is not run again.
    """
    if not slot.running or slot.step not in ("", "stop") or slot.current is None:
        return
    seconds = _grace(pod, grace)
    until = shifted(now, seconds)
    if slot.step == "stop":
        if slot.stop_by is None or until >= slot.stop_by:
            return
        hook = False
    else:
        pod.record(events.normal("Killing", message, slot.path))
    slot.step, slot.stop_by = "stop", until
    pod.out.append(StopContainer(slot.current, seconds, hook, after))


def _grace(pod: PodState, grace: int | None) -> int:
    """Seconds; a deletion may shorten what a node in need grants, never lengthen it."""
    if grace is None:
        grace = pod.pod.spec.termination_grace_period_seconds
    if pod.pod.metadata.deletion_timestamp is not None:
        grace = pod.pod.metadata.deletion_grace_period_seconds
    if grace is None:
        grace = DEFAULT_GRACE
    if pod.grace_limit is not None:
        grace = min(grace, pod.grace_limit)
    return max(grace, MINIMUM_GRACE)


def stop_all(pod: PodState, now: datetime, *, hooks: bool = True) -> None:
    """Sidecars end after all others, the last of them first (kuberuntime_termination_order.go)."""
    sidecars = [slot for slot in pod.slots.values() if slot.init and is_sidecar(slot.spec)]
    waited = [slot.spec.name for slot in pod.mains if slot.running]
    for slot in pod.slots.values():
        if slot not in sidecars:
            stop(pod, slot, f"Stopping container {slot.spec.name}", now, hook=hooks)
    for slot in reversed(sidecars):
        stop(pod, slot, f"Stopping container {slot.spec.name}", now, hook=hooks, after=tuple(waited))
        if slot.running:
            waited.append(slot.spec.name)


def _interrupt(pod: PodState, slot: Slot) -> None:
    """A pod that is over waits for no pull and no hook of a start (upstream cancels the context of SyncPod)."""
    if slot.step in ("image", "start") and not slot.interrupted:
        slot.interrupted = slot.step == "start"
        if slot.step == "image":
            slot.step = ""
        pod.out.append(Interrupt(slot.spec.name))


def wind_down(pod: PodState, now: datetime) -> None:
    """The next step of a pod that is over: its containers, then its sandbox and volumes."""
    stop_all(pod, now)
    for slot in pod.slots.values():
        _interrupt(pod, slot)
    if pod.busy or pod.sandbox_step in ("create", "connect", "stop"):
        return
    if pod.sandbox is not None or pod.sandbox_step != "stopped":
        # Once even where nothing was begun: volumes may be left.
        pod.sandbox_step = "stop"
        pod.volumes = ""
        pod.out.append(StopSandbox(pod.sandbox.id if pod.sandbox is not None else ""))
