"""Brings a pod's containers up: volumes, sandbox, then one container after the other (upstream: kuberuntime_manager.go SyncPod)."""

from __future__ import annotations

from datetime import datetime

from pybernetes.api.pods import is_sidecar

from . import events
from .config import container_hash
from .containers import Slot
from .instructions import CreateSandbox, EnsureImage, PrepareVolumes, StartContainer
from .resize import resize
from .state import PodState
from .termination import stop, stop_all


def bring_up(pod: PodState, now: datetime) -> None:
    """The next step of a pod that is to run."""
    if pod.volumes != "ready":
        if not pod.volumes:
            pod.volumes = "busy"
            pod.out.append(PrepareVolumes())
        return
    if pod.sandbox is None:
        _create_sandbox(pod, now)
        return
    if pod.restarting_all and not _all_ended(pod, now):
        return
    for slot in pod.slots.values():
        if slot.running and slot.current is not None and slot.current.hash not in ("", container_hash(slot.spec)):
            stop(pod, slot, f"Container {slot.spec.name} definition changed, will be restarted", now)
    resize(pod, now)
    if any(_debugs(pod, slot, now) for slot in pod.slots.values() if slot.ephemeral):
        return
    if _init_containers_done(pod, now):
        _start_mains(pod, now)


def _create_sandbox(pod: PodState, now: datetime) -> None:
    # What is just being started belongs to the lost one: its outcome is waited for, so that it is stopped, too.
    if pod.sandbox_step or any(slot.step == "start" for slot in pod.slots.values()):
        return
    stop_all(pod, now)  # containers of a lost sandbox have lost their network: they end with it
    pod.sandbox_step = "create"
    pod.out.append(CreateSandbox(pod.attempts))
    pod.attempts += 1


def _all_ended(pod: PodState, now: datetime) -> bool:
    """Of a pod all of whose containers are to begin again (RestartAllContainers): whether they can. Hooks are left out, as upstream."""
    stop_all(pod, now, hooks=False)
    if pod.busy:
        return False
    pod.restarting_all = False
    for slot in pod.slots.values():
        if not slot.ephemeral:
            slot.again, slot.done = slot.current is not None, False
    return True


def _debugs(pod: PodState, slot: Slot, now: datetime) -> bool:
    """Starts an ephemeral container; whether it is being started."""
    _advance(pod, slot, now)
    return slot.step in ("image", "start")


def _init_containers_done(pod: PodState, now: datetime) -> bool:
    """Advances the first that is not; those that have run before the mains need not run again."""
    for slot in pod.slots.values():
        if slot.init and not slot.done:
            if pod.mains_ran and not is_sidecar(slot.spec):
                slot.done = True
                continue
            _advance(pod, slot, now)
            if not is_sidecar(slot.spec) or not slot.started:
                return False
    return True


def _start_mains(pod: PodState, now: datetime) -> None:
    """One after the other, hooks included, as upstream: a pod may rely on the order of its containers."""
    for slot in pod.mains:
        if any(other.step in ("image", "start") for other in pod.slots.values()):
            return
        _advance(pod, slot, now)


def _advance(pod: PodState, slot: Slot, now: datetime) -> None:
    """Takes a container one step further towards running."""
    if slot.step or slot.running or slot.done or pod.sandbox is None:
        return
    if slot.exited and not pod.restarts(slot):
        return
    if slot.not_before is not None and now < slot.not_before:
        if slot.back_off_at is None or now >= slot.back_off_at:
            _back_off(pod, slot)
        return
    slot.not_before = None
    if slot.image_ready:
        slot.step, slot.interrupted = "start", False
        attempt = 0 if slot.current is None else slot.current.attempt + 1
        pod.out.append(StartContainer(slot.spec.name, attempt, pod.sandbox.id))
    else:
        slot.step = "image"
        pod.out.append(EnsureImage(slot.spec.name))


def _back_off(pod: PodState, slot: Slot) -> None:
    """Shows why it waits, once for each run or pull."""
    if slot.waiting is not None and slot.waiting[0] == events.ERR_IMAGE_PULL:
        text = f'Back-off pulling image "{slot.spec.image}"'
        slot.waiting = (events.IMAGE_PULL_BACK_OFF, f"{text}: {events.ERR_IMAGE_PULL}: {slot.waiting[1]}")
        pod.record(events.normal("BackOff", text, slot.path))
        pod.record(events.warning("Failed", f"Error: {events.IMAGE_PULL_BACK_OFF}", slot.path))
    elif slot.current is not None and (slot.waiting is None or slot.waiting[0] in events.START_ERRORS):
        text = events.back_off_text(slot.crash.delay, slot.spec.name, pod.pod)
        slot.waiting = (events.CRASH_LOOP_BACK_OFF, text)
        if slot.backed_off_for != slot.current.id:
            slot.backed_off_for = slot.current.id
            text = f"Back-off restarting failed container {slot.spec.name} in pod {events.pod_text(pod.pod)}"
            pod.record(events.warning("BackOff", text, slot.path))
