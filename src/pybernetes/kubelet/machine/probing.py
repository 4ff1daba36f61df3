"""When containers are probed, and what follows from it (upstream: pkg/kubelet/prober/worker.go)."""

from __future__ import annotations

from datetime import datetime, timedelta

from pybernetes.api.pods import is_sidecar

from . import events
from .containers import Slot
from .instructions import Probe
from .restarts import may_restart
from .state import PodState
from .stimuli import ProbeKind, ProbeResult
from .termination import stop


def probed(pod: PodState, result: ProbeResult, now: datetime) -> None:
    """Counts towards the thresholds; a run that has ended meanwhile is not judged."""
    slot = next((s for s in pod.slots.values() if s.current is not None and s.current.id == result.container_id), None)
    if slot is None or result.kind not in slot.probes:
        return
    kind, probe = result.kind, slot.probes[result.kind]
    probe.in_flight = False
    probe.next_at = now + timedelta(seconds=probe.spec.period_seconds or 10)
    if result.ok is None:
        text = f"{kind.capitalize()} probe errored and resulted in unknown state: {result.message}"
        pod.record(events.warning("Unhealthy", text, slot.path))
    elif result.ok:
        if result.message:
            text = f"{kind.capitalize()} probe warning: {result.message}"
            pod.record(events.warning("ProbeWarning", text, slot.path))
        probe.successes, probe.failures = probe.successes + 1, 0
        if probe.successes >= (probe.spec.success_threshold or 1):
            _succeeded(slot, kind)
    else:
        pod.record(events.warning("Unhealthy", f"{kind.capitalize()} probe failed: {result.message}", slot.path))
        probe.failures, probe.successes = probe.failures + 1, 0
        if probe.failures >= (probe.spec.failure_threshold or 3):
            _failed(pod, slot, kind, now)


def _succeeded(slot: Slot, kind: ProbeKind) -> None:
    if kind == "readiness":
        slot.ready = slot.running and slot.started
    elif kind == "startup":
        del slot.probes["startup"]
        slot.started = True
        slot.ready = "readiness" not in slot.probes


def _failed(pod: PodState, slot: Slot, kind: ProbeKind, now: datetime) -> None:
    if kind == "readiness":
        slot.ready = False
    else:
        probe = slot.probes[kind]
        probe.failures = 0
        stop(pod, slot, _why_stopped(pod, slot, kind), now, probe.spec.termination_grace_period_seconds)


def _why_stopped(pod: PodState, slot: Slot, kind: str) -> str:
    """Why a container is stopped (upstream: kuberuntime_manager.go, computePodActions)."""
    text = f"Container {slot.spec.name} failed {kind} probe"
    if may_restart(slot.spec, pod.pod.spec.restart_policy) or is_sidecar(slot.spec):
        return f"{text}, will be restarted"
    if any(other.running for other in pod.slots.values() if other is not slot and not other.init):
        return text
    return f"Stopping container {slot.spec.name}"  # with the last one the whole pod is stopped


def due_probes(pod: PodState, now: datetime) -> list[datetime]:
    """Asks for the probes whose time has come; the times of those to come.

    What is being stopped may still say that it is not ready; whether it lives is asked no more.
    """
    times = []
    for slot in pod.slots.values():
        if not slot.running or slot.current is None:
            continue
        ending = pod.terminating or slot.step == "stop"
        for kind, probe in slot.probes.items():
            if probe.in_flight or (kind != "startup" and not slot.started) or (ending and kind != "readiness"):
                continue
            if now >= probe.next_at:
                probe.in_flight = True
                pod.out.append(Probe(slot.spec.name, slot.current.id, kind))
            else:
                times.append(probe.next_at)
    return times
