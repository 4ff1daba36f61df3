"""What one pod needs next: a state machine without I/O (upstream: pod_workers.go, kuberuntime_manager.go computePodActions).

`stimuli` come in through `PodMachine.handle(stimulus, now)`, `instructions` come out. At most one instruction for a container is
in flight; its outcome comes back as a stimulus. All times are `now`, which the caller gives.

A step is: take the stimulus (`observation`, `probing`), decide (`startup` or `termination`), tell the API, ask to be woken.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pybernetes.api.pods import is_sidecar, qos_class
from pybernetes.api.types import core_v1 as core

from . import events, instructions, observation, probing, resize, startup, stimuli, termination
from .defaults import CRASH_MAXIMUM
from .state import PodState
from .status import OWNED, ContainerView, PodView, pod_status

DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodMachine(PodState):
    """One pod on this node."""

    def __init__(
        self,
        pod: core.Pod,
        host_ips: Sequence[str],
        runtime_name: str,
        rejected: tuple[str, str] | None = None,
        crash_maximum: float = CRASH_MAXIMUM,
    ) -> None:
        super().__init__(pod, host_ips, runtime_name, rejected, crash_maximum)
        self._status: core.PodStatus | None = None

    def handle(self, stimulus: stimuli.Stimulus, now: datetime) -> list[instructions.Instruction]:
        """The instructions that a stimulus leads to, in order."""
        self.out = []
        self.start_time = self.start_time or now.replace(microsecond=0)
        self._take(stimulus, now)
        if self.observed and not self.gone:
            self._decide(now)
            self._publish(now)
            self._schedule(now)
        return self.out

    def validate(self) -> None:
        """Raises AssertionError where the state contradicts itself."""
        for slot in self.slots.values():
            assert not (slot.running and slot.step in ("image", "start")), f"{slot.spec.name} is started while it runs"
            assert not (slot.ready and not slot.running), f"{slot.spec.name} is ready but does not run"
            if slot.step == "start":
                assert self.sandbox_step != "create", f"{slot.spec.name} is started in a sandbox that is lost"
        if self.gone:
            assert not any(slot.running for slot in self.slots.values()), "the pod is gone but a container runs"

    def _take(self, stimulus: stimuli.Stimulus, now: datetime) -> None:
        match stimulus:
            case stimuli.SpecChanged(pod, pending):
                self.resize_pending = pending
                self._spec_changed(pod)
            case stimuli.Observed(sandboxes, containers):
                observation.observe(self, sandboxes, containers, now)
            case stimuli.VolumesReady():
                self.volumes = "ready"
            case stimuli.VolumesFailed(message, reason):
                self.volumes = ""
                self.retry_later(now, events.warning(reason, message))
            case stimuli.SandboxReady(sandbox, ips):
                self.sandbox, self.ips, self.sandbox_step = sandbox, ips, ""
                self.setup_failures = 0
            case stimuli.SandboxFailed(message):
                self.sandbox_step = ""
                text = f"Failed to create pod sandbox: {message}"
                self.retry_later(now, events.warning("FailedCreatePodSandBox", text))
            case stimuli.SandboxStopped():
                self.sandbox, self.sandbox_step = None, "stopped"
            case stimuli.Noticed(event):
                self.record(event)
            case stimuli.TeardownFailed(message):
                self.record(events.warning("FailedKillPod", f"error killing pod: {message}"))
            case stimuli.Resized():
                resize.resized(self, stimulus, now)
            case stimuli.ProbeResult():
                probing.probed(self, stimulus, now)
            case stimuli.Evicted(reason, message, grace):
                if not self.finished:
                    self.grace_limit = grace
                    self.failed = (reason, message)
                    self.disrupted = True
                    self.record(events.warning(reason, message))
            case stimuli.Tick():
                pass
            case _:
                self._take_of_container(stimulus, now)

    def _take_of_container(self, stimulus: stimuli.OfContainer, now: datetime) -> None:
        match stimulus:
            case stimuli.Pulling(name, image):
                self.record(events.normal("Pulling", f'Pulling image "{image}"', self.slots[name].path))
            case stimuli.ImageReady(name, message):
                observation.image_ready(self, self.slots[name], message)
            case stimuli.ImageFailed(name, reason, message, text):
                observation.image_failed(self, self.slots[name], reason, message, text or message, now)
            case stimuli.ContainerMade(name, started):
                step = "Started" if started else "Created"
                self.record(events.normal(step, f"Container {step.lower()}", self.slots[name].path))
            case stimuli.ContainerRuns(container):
                observation.runs_now(self, container, now)
            case stimuli.ContainerFailed(name, reason, message):
                observation.container_failed(self, self.slots[name], reason, message, now)
            case stimuli.HookFailed(name, hook):
                self.record(events.warning(f"Failed{hook}Hook", f"{hook}Hook failed", self.slots[name].path))
                if hook == "PostStart":
                    self.record(events.normal("Killing", "FailedPostStartHook", self.slots[name].path))
            case stimuli.Stopped(container):
                observation.exited(self, container, now)

    def _spec_changed(self, pod: core.Pod) -> None:
        self.pod = pod
        for spec in [*pod.spec.init_containers, *pod.spec.containers]:
            if spec.name in self.slots:
                self.slots[spec.name].spec = spec
        self.add_ephemeral()

    def _decide(self, now: datetime) -> None:
        if self.deadline is not None and now >= self.deadline and not self.finished:
            self.failed = DEADLINE
            self.record(events.normal(*DEADLINE))
        if self.finished:
            termination.wind_down(self, now)
        elif self.retry_at is None or now >= self.retry_at:
            self.retry_at = None
            startup.bring_up(self, now)

    def status(self, now: datetime) -> core.PodStatus:
        """The status that the API should have now."""
        if self.rejected and self.failed is not None:
            reason, message = self.failed
            since = self.start_time.replace(microsecond=0) if self.start_time is not None else None
            return core.PodStatus(
                phase="Failed",
                reason=reason,
                message=message,
                start_time=since,
                qos_class=qos_class(self.pod.spec),
                observed_generation=self.pod.metadata.generation,
            )
        views = {}
        for name, slot in self.slots.items():
            ready = slot.done if slot.init and not is_sidecar(slot.spec) else slot.ready
            over = slot.exited and not self.restarts(slot)
            views[name] = ContainerView(
                slot.current, slot.previous, slot.waiting, ready, slot.started, over, slot.applied
            )
        source = self._status if self._status is not None else self.pod.status
        own = [c for c in source.conditions if c.type in OWNED]
        others = [c for c in self.pod.status.conditions if c.type not in OWNED]
        running = any(slot.running for slot in self.slots.values())
        view = PodView(
            views,
            self.runtime_name,
            self.sandbox is not None,
            self.host_ips if self.pod.spec.host_network else self.ips,
            self.host_ips,
            self.start_time,
            None if running else self.failed,  # terminal only when nothing runs any more
            self.terminating and not running,
            [*own, *others],
            self.restarting_all,
            self.failed[1] if self.disrupted and self.failed is not None else "",
            self.resize_pending,
            self.resize_error,
        )
        return pod_status(self.pod, view, now.replace(microsecond=0))

    def _publish(self, now: datetime) -> None:
        status = self.status(now)
        if status != self._status:
            self._status = status
            self.out.append(instructions.SetStatus(status))
        down = self.sandbox is None and self.sandbox_step == "stopped" and not self.busy
        if self.pod.metadata.deletion_timestamp is not None and down:
            self.gone = True
            self.out.append(instructions.DeletePod())

    def _schedule(self, now: datetime) -> None:
        """Asks for the probes that are due, and to be woken for what comes next."""
        if self.gone:
            return
        times = probing.due_probes(self, now)
        if not self.finished:
            waits = [self.deadline, self.retry_at, self.resize_at]
            for slot in self.slots.values():
                waits += [slot.not_before, slot.back_off_at]
            times += [time for time in waits if time is not None and time > now]
        if times:
            self.out.append(instructions.WakeAt(min(times)))
