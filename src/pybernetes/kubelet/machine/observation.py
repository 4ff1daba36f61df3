"""What becomes known of a pod's containers: runs, ends and failures (upstream: kuberuntime_container.go, pleg)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pybernetes.api.pods import is_sidecar

from ..runtime.types import Container, Sandbox
from . import events
from .containers import BackOff, Slot
from .instructions import ConnectSandbox
from .restarts import RESTART_ALL, matching_action
from .state import PodState

SYNC_RETRY = 10.0  # upstream's backOffPeriod: what is wrong with a configuration is looked at again so often
BACK_OFF_SHOWN = 2.0  # a failed pull is shown as itself for a moment, then as being backed off


def observe(pod: PodState, sandboxes: Sequence[Sandbox], containers: Sequence[Container], now: datetime) -> None:
    """What the runtime has of the pod now."""
    pod.observed = True
    running = any(container.state == "running" for container in containers)
    _observe_sandbox(pod, max(sandboxes, key=lambda s: s.attempt, default=None), running)
    by_name: dict[str, list[Container]] = {}
    for container in containers:
        by_name.setdefault(container.name, []).append(container)
    for name, slot in pod.slots.items():
        runs = sorted(by_name.get(name, ()), key=lambda c: c.attempt)
        if slot.step == "start":
            continue  # what is being made is not yet to be judged
        if runs:
            _observe_runs(pod, slot, runs, now)
        elif slot.running and slot.step != "stop":
            # Removed behind the kubelet's back: it is made anew, and upstream does not count that as a restart.
            slot.current, slot.step, slot.image_ready = None, "", False
            slot.forget_probes()


def _observe_sandbox(pod: PodState, newest: Sandbox | None, in_use: bool) -> None:
    if pod.sandbox_step in ("create", "connect", "stop"):
        return
    if newest is not None:
        pod.attempts = max(pod.attempts, newest.attempt + 1)
    if newest is not None and newest.ready and not (pod.ips or pod.pod.spec.host_network or pod.finished):
        # Whoever made it ended before its addresses, or even its network, were there.
        pod.sandbox_step = "connect"
        pod.out.append(ConnectSandbox(newest, in_use))
        return
    before = pod.sandbox
    pod.sandbox = newest if newest is not None and newest.ready else None
    if before is not None and pod.sandbox is None and not pod.finished:
        pod.record(events.normal("SandboxChanged", "Pod sandbox changed, it will be killed and re-created."))


def _observe_runs(pod: PodState, slot: Slot, runs: Sequence[Container], now: datetime) -> None:
    newest = runs[-1]
    slot.previous = runs[-2] if len(runs) > 1 else slot.previous
    if newest.state == "running":
        if slot.current is None or slot.current.id != newest.id:
            runs_now(pod, newest, now)
        else:
            slot.current = newest
    elif newest.state == "exited" and _is_news(slot.current, newest):
        # One that is being stopped or resized has that in flight yet: nothing follows before it has ended.
        in_flight = slot.step if slot.step in ("stop", "resize") else ""
        exited(pod, newest, now)
        slot.step = in_flight or slot.step


def _is_news(current: Container | None, ended: Container) -> bool:
    """Whether an ended run tells something new."""
    if current is None:
        return True
    return ended.attempt > current.attempt or (ended.id == current.id and current.state != "exited")


def runs_now(pod: PodState, container: Container, now: datetime) -> None:
    """A run has begun."""
    slot = pod.slots[container.name]
    if slot.current is not None and slot.current.id != container.id:
        slot.previous = slot.current
    slot.current, slot.step, slot.waiting, slot.image_ready, slot.again = container, "", None, False, False
    slot.applied = slot.spec.resources
    slot.begin_probes(now)


def exited(pod: PodState, container: Container, now: datetime) -> None:
    """A run has ended; where another is to follow it waits for what remains of its delay."""
    slot = pod.slots[container.name]
    current = slot.current
    if current is not None and container.attempt < current.attempt:
        return  # the end of a run that another has followed already
    if current is not None and current.id == container.id and current.state == "exited":
        if slot.step == "stop":
            slot.step = ""
        return
    if current is not None and current.id != container.id:
        slot.previous = current
    if slot.waiting is None or slot.waiting[0] not in events.START_ERRORS:
        slot.waiting = None
    slot.current, slot.step, slot.image_ready, slot.stop_by = container, "", False, None
    slot.forget_probes()
    if slot.init and container.exit_code == 0 and not is_sidecar(slot.spec):
        slot.done = True
    if matching_action(slot.spec, container.exit_code) == RESTART_ALL and not slot.done and not pod.terminating:
        pod.restarting_all = True
    if pod.restarts(slot):
        # The first restart is immediate, and one that the kubelet itself wants is no crash.
        delay = 0.0 if slot.again or slot.crash.last is None else slot.crash.next(now)
        slot.crash.last = slot.crash.last or now
        slot.not_before = (container.finished_at or now) + timedelta(seconds=delay)
        slot.back_off_at = None
    else:
        slot.waiting = None


def container_failed(pod: PodState, slot: Slot, reason: str, message: str, now: datetime) -> None:
    """One that was created is judged as one that ran and failed, when it is next observed; else it is tried again."""
    slot.step, slot.image_ready, slot.waiting = "", False, (reason, message)
    slot.not_before = slot.back_off_at = now + timedelta(seconds=SYNC_RETRY)
    if reason != events.POST_START_HOOK_ERROR:  # a hook's failure has its own event
        pod.record(events.warning("Failed", f"Error: {message}", slot.path))


def image_ready(pod: PodState, slot: Slot, message: str) -> None:
    """It is there, or was pulled."""
    slot.step, slot.image_ready, slot.pull = "", True, BackOff()
    pod.record(events.normal("Pulled", message, slot.path))


def image_failed(pod: PodState, slot: Slot, reason: str, message: str, text: str, now: datetime) -> None:
    """`text` is the event's. A failed pull is backed off longer each time."""
    slot.step, slot.waiting = "", (reason, message)
    if reason == events.ERR_IMAGE_PULL:
        slot.not_before = now + timedelta(seconds=slot.pull.next(now))
        slot.back_off_at = now + timedelta(seconds=BACK_OFF_SHOWN)
    else:
        slot.not_before = slot.back_off_at = now + timedelta(seconds=SYNC_RETRY)
    pod.record(events.warning(events.IMAGE_EVENTS.get(reason, "Failed"), text, slot.path))
    pod.record(events.warning("Failed", f"Error: {reason}", slot.path))
