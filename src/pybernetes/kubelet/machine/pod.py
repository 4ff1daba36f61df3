"""What one pod needs next: a state machine without I/O (upstream: pod_workers.go, kuberuntime_manager.go computePodActions).

Events come in through `PodMachine.handle(event, now)`, instructions come out. At most one instruction for a container is
in flight; its outcome comes back as an event. All times are `now`, which the caller gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pybernetes.api.pods import is_finished, is_sidecar, qos_class
from pybernetes.api.types import core_v1 as core

from ..runtime.types import Container, Sandbox
from . import events
from .config import container_hash
from .events import Event
from .status import OWNED, ContainerView, PodView, pod_status

BACK_OFF_INITIAL = 10.0
BACK_OFF_MAXIMUM = 300.0
BACK_OFF_RESET = 600.0  # upstream forgets a container's crashes after it was quiet for twice the maximum
SETUP_RETRY = 2.0
SYNC_RETRY = 10.0  # upstream's backOffPeriod: what is wrong with a configuration is looked at again so often
BACK_OFF_SHOWN = 2.0  # a failed pull is shown as itself for a moment, then as being backed off
MINIMUM_GRACE = 2  # seconds that a container has at least to stop
DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")

ProbeKind = Literal["startup", "liveness", "readiness"]


# --- events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpecChanged:
    pod: core.Pod


@dataclass(frozen=True, slots=True)
class Observed:
    """What the runtime has of this pod now."""

    sandboxes: Sequence[Sandbox]
    containers: Sequence[Container]


@dataclass(frozen=True, slots=True)
class VolumesReady:
    pass


@dataclass(frozen=True, slots=True)
class VolumesFailed:
    message: str


@dataclass(frozen=True, slots=True)
class SandboxReady:
    sandbox: Sandbox
    ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SandboxFailed:
    message: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that changes nothing but is to be told of, such as lines that a resolver takes no more of."""

    event: Event


@dataclass(frozen=True, slots=True)
class Pulling:
    """The image is not there, or is to be asked for anew."""

    container: str


@dataclass(frozen=True, slots=True)
class ImageReady:
    """`message` is the event's text."""

    container: str
    message: str


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """`reason` is the waiting reason: ErrImagePull, ErrImageNeverPull, InvalidImageName, ImageInspectError; `text` the event's."""

    container: str
    reason: str
    message: str
    text: str = ""  # the message where it is the same


@dataclass(frozen=True, slots=True)
class ContainerMade:
    """It is created or, later, started, but its hook still runs."""

    container: str
    started: bool


@dataclass(frozen=True, slots=True)
class ContainerRuns:
    container: Container


@dataclass(frozen=True, slots=True)
class ContainerFailed:
    """It could not be made (CreateContainerConfigError, CreateContainerError), started (RunContainerError) or its hook failed."""

    container: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class HookFailed:
    """A container that fails its PostStart is stopped for it; one that fails its PreStop is being stopped anyway."""

    container: str
    hook: Literal["PostStart", "PreStop"]
    message: str


@dataclass(frozen=True, slots=True)
class Stopped:
    container: Container


@dataclass(frozen=True, slots=True)
class TeardownFailed:
    """Sandbox, network or volumes could not be taken down; it is tried again."""

    message: str


@dataclass(frozen=True, slots=True)
class SandboxStopped:
    pass


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`ok` None: the probe itself failed, which tells nothing of the container."""

    container_id: str
    kind: ProbeKind
    ok: bool | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Evicted:
    """The node wants the pod away; `reason` and `message` go into its status."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Stimulus = (
    SpecChanged
    | Observed
    | VolumesReady
    | VolumesFailed
    | SandboxReady
    | SandboxFailed
    | Noticed
    | Pulling
    | ImageReady
    | ImageFailed
    | ContainerMade
    | ContainerRuns
    | ContainerFailed
    | HookFailed
    | Stopped
    | TeardownFailed
    | SandboxStopped
    | ProbeResult
    | Evicted
    | Tick
)


# --- instructions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PrepareVolumes:
    pass


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    attempt: int


@dataclass(frozen=True, slots=True)
class EnsureImage:
    container: str


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Make it, start it, run its postStart hook."""

    container: str
    attempt: int
    sandbox_id: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Run its preStop hook, then stop it; both within the grace."""

    container: Container
    grace: int


@dataclass(frozen=True, slots=True)
class StopSandbox:
    """Stop it, take its network and the pod's volumes down."""

    sandbox_id: str


@dataclass(frozen=True, slots=True)
class Probe:
    container: str
    container_id: str
    kind: ProbeKind


@dataclass(frozen=True, slots=True)
class Record:
    event: Event


@dataclass(frozen=True, slots=True)
class SetStatus:
    status: core.PodStatus


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Everything is gone from the node: the object may go."""


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a Tick then; replaces an earlier wish."""

    when: datetime


Instruction = (
    PrepareVolumes
    | CreateSandbox
    | EnsureImage
    | StartContainer
    | StopContainer
    | StopSandbox
    | Probe
    | Record
    | SetStatus
    | DeletePod
    | WakeAt
)


# --- memory -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class BackOff:
    """A doubling delay."""

    delay: float = 0.0
    last: datetime | None = None

    def next(self, now: datetime) -> None:
        quiet = self.last is not None and (now - self.last).total_seconds() > BACK_OFF_RESET
        self.delay = BACK_OFF_INITIAL if quiet or not self.delay else min(self.delay * 2, BACK_OFF_MAXIMUM)
        self.last = now


@dataclass(slots=True)
class ProbeState:
    spec: core.Probe
    next_at: datetime
    in_flight: bool = False
    failures: int = 0
    successes: int = 0


@dataclass(slots=True)
class Slot:
    """One container of the spec."""

    spec: core.Container
    init: bool = False
    ephemeral: bool = False  # for debugging: runs once, counts for nothing
    target: str = ""  # the container whose processes an ephemeral one sees
    current: Container | None = None
    previous: Container | None = None
    step: Literal["", "image", "start", "stop"] = ""
    image_ready: bool = False
    waiting: tuple[str, str] | None = None
    crash: BackOff = field(default_factory=BackOff)
    pull: BackOff = field(default_factory=BackOff)
    not_before: datetime | None = None
    back_off_at: datetime | None = None  # when the wait for not_before is shown as a back-off
    probes: dict[ProbeKind, ProbeState] = field(default_factory=dict)
    started: bool = False
    ready: bool = False
    done: bool = False  # an init container that succeeded
    backed_off_for: str = ""  # the run whose BackOff event was recorded

    @property
    def path(self) -> str:
        kind = "initContainers" if self.init else ("ephemeralContainers" if self.ephemeral else "containers")
        return f"spec.{kind}{{{self.spec.name}}}"

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.state == "running"

    def forget_probes(self) -> None:
        self.probes, self.started, self.ready = {}, False, False


class PodMachine:
    """One pod on this node."""

    def __init__(
        self,
        pod: core.Pod,
        host_ips: Sequence[str],
        runtime_name: str,
        rejected: tuple[str, str] | None = None,
    ) -> None:
        self.pod = pod
        self.host_ips = tuple(host_ips)
        self.runtime_name = runtime_name
        self.slots: dict[str, Slot] = {}
        for spec in pod.spec.init_containers:
            self.slots[spec.name] = Slot(spec, init=True)
        for spec in pod.spec.containers:
            self.slots[spec.name] = Slot(spec)
        self._add_ephemeral()
        self.sandbox: Sandbox | None = None
        self.ips: tuple[str, ...] = tuple(ip.ip for ip in pod.status.pod_ips)
        self.attempts = 0
        self.start_time = pod.status.start_time
        self.volumes: Literal["", "busy", "ready"] = ""
        self.sandbox_step: Literal["", "create", "stop", "stopped"] = ""
        self.retry_at: datetime | None = None
        self.failed: tuple[str, str] | None = rejected
        self.rejected = rejected is not None  # the node did not take it: nothing of it ever begins
        self.gone = False
        self._observed = False
        self._status: core.PodStatus | None = None
        self._out: list[Instruction] = []

    def _add_ephemeral(self) -> None:
        """Ephemeral containers come while the pod runs; they are never taken away."""
        for given in self.pod.spec.ephemeral_containers:
            if given.name not in self.slots:
                spec = as_container(given)
                self.slots[given.name] = Slot(spec, ephemeral=True, target=given.target_container_name)

    # What callers may ask.

    @property
    def terminating(self) -> bool:
        return self.pod.metadata.deletion_timestamp is not None or self.failed is not None

    @property
    def volumes_ready(self) -> bool:
        """Its volumes are made, and not yet being taken down."""
        return self.volumes == "ready"

    @property
    def creates_sandbox(self) -> bool:
        """A sandbox is being made, of which nobody knows the id yet."""
        return self.sandbox_step == "create"

    @property
    def finished(self) -> bool:
        """No container will run again."""
        if self.terminating or is_finished(self.pod):
            return True
        mains = [s for s in self.slots.values() if not s.init and not s.ephemeral]
        if any(
            s.init and not s.done and self._ended_for_good(s) and not is_sidecar(s.spec) for s in self.slots.values()
        ):
            return True
        return bool(mains) and all(self._ended_for_good(s) for s in mains)

    def handle(self, event: Stimulus, now: datetime) -> list[Instruction]:
        """The instructions that an event leads to, in order."""
        self._out = []
        self.start_time = self.start_time or now.replace(microsecond=0)
        self._take(event, now)
        if self._observed and not self.gone:
            self._plan(now)
            self._publish(now)
            self._schedule(now)
        return self._out

    def validate(self) -> None:
        """Raises AssertionError where the state contradicts itself."""
        for slot in self.slots.values():
            assert not (slot.running and slot.step in ("image", "start")), f"{slot.spec.name} is started while it runs"
            assert not (slot.ready and not slot.running), f"{slot.spec.name} is ready but does not run"
            if slot.step == "start":
                assert self.sandbox_step != "create", f"{slot.spec.name} is started in a sandbox that is lost"
        if self.gone:
            assert not any(slot.running for slot in self.slots.values()), "the pod is gone but a container runs"

    # Events.

    def _take(self, event: Stimulus, now: datetime) -> None:
        match event:
            case SpecChanged(pod):
                self.pod = pod
                for spec in [*pod.spec.init_containers, *pod.spec.containers]:
                    if spec.name in self.slots:
                        self.slots[spec.name].spec = spec
                self._add_ephemeral()
            case Observed(sandboxes, containers):
                self._observe(sandboxes, containers, now)
            case VolumesReady():
                self.volumes = "ready"
            case VolumesFailed(message):
                self.volumes = ""
                self._later(now, events.warning("FailedMount", message))
            case SandboxReady(sandbox, ips):
                self.sandbox, self.ips, self.sandbox_step = sandbox, ips, ""
            case SandboxFailed(message):
                self.sandbox_step = ""
                self._later(now, events.warning("FailedCreatePodSandBox", f"Failed to create pod sandbox: {message}"))
            case SandboxStopped():
                self.sandbox, self.sandbox_step = None, "stopped"
            case Noticed(told):
                self._record(told)
            case Pulling(name):
                slot = self.slots[name]
                self._record(events.normal("Pulling", f'Pulling image "{slot.spec.image}"', slot.path))
            case ImageReady(name, message):
                slot = self.slots[name]
                slot.step, slot.image_ready, slot.pull = "", True, BackOff()
                self._record(events.normal("Pulled", message, slot.path))
            case ImageFailed(name, reason, message, text):
                self._image_failed(self.slots[name], reason, message, text or message, now)
            case ContainerMade(name, started):
                what = "Started" if started else "Created"
                self._record(events.normal(what, f"{what} container {name}", self.slots[name].path))
            case ContainerRuns(container):
                self._runs(container, now)
            case ContainerFailed(name, reason, message):
                self._container_failed(self.slots[name], reason, message, now)
            case HookFailed(name, hook, message):
                self._record(events.warning(f"Failed{hook}Hook", message, self.slots[name].path))
                if hook == "PostStart":
                    self._record(events.normal("Killing", "FailedPostStartHook", self.slots[name].path))
            case TeardownFailed(message):
                self._record(events.warning("FailedKillPod", f"error killing pod: {message}"))
            case Stopped(container):
                self._exited(container, now)
            case ProbeResult(container_id, kind, ok, message):
                self._probed(container_id, kind, ok, message, now)
            case Evicted(reason, message):
                if not self.finished:
                    self.failed = (reason, message)
                    self._record(events.warning(reason, message))
            case Tick():
                pass

    def _observe(self, sandboxes: Sequence[Sandbox], containers: Sequence[Container], now: datetime) -> None:
        self._observed = True
        newest = max(sandboxes, key=lambda s: s.attempt, default=None)
        if self.sandbox_step not in ("create", "stop"):
            if newest is not None:
                self.attempts = max(self.attempts, newest.attempt + 1)
            was = self.sandbox
            self.sandbox = newest if newest is not None and newest.ready else None
            if was is not None and self.sandbox is None and not self.finished:
                self._record(events.normal("SandboxChanged", "Pod sandbox changed, it will be killed and re-created."))
        seen: dict[str, list[Container]] = {}
        for container in containers:
            seen.setdefault(container.name, []).append(container)
        for name, slot in self.slots.items():
            runs = sorted(seen.get(name, ()), key=lambda c: c.attempt)
            if slot.step == "start":
                continue  # what is being made is not yet to be judged
            if not runs:
                if slot.running and slot.step != "stop":
                    # Removed behind the kubelet's back: it is made anew, and upstream does not count that as a restart.
                    slot.current, slot.step, slot.image_ready = None, "", False
                    slot.forget_probes()
                continue
            slot.previous = runs[-2] if len(runs) > 1 else slot.previous
            if runs[-1].state == "running":
                if slot.current is None or slot.current.id != runs[-1].id:
                    self._runs(runs[-1], now)
                else:
                    slot.current = runs[-1]
            elif runs[-1].state == "exited" and _newer_end(slot.current, runs[-1]):
                # One that is being stopped has a hook or a stop in flight yet: nothing follows before that has ended.
                stopping = slot.step == "stop"
                self._exited(runs[-1], now)
                slot.step = "stop" if stopping else slot.step

    def _runs(self, container: Container, now: datetime) -> None:
        slot = self.slots[container.name]
        if slot.current is not None and slot.current.id != container.id:
            slot.previous = slot.current
        slot.current, slot.step, slot.waiting, slot.image_ready = container, "", None, False
        slot.forget_probes()
        spec = slot.spec
        since = container.started_at or now
        kinds: tuple[tuple[ProbeKind, core.Probe | None], ...] = (
            ("startup", spec.startup_probe),
            ("liveness", spec.liveness_probe),
            ("readiness", spec.readiness_probe),
        )
        for kind, probe in kinds:
            if probe is not None:
                slot.probes[kind] = ProbeState(probe, since + timedelta(seconds=probe.initial_delay_seconds))
        slot.started = "startup" not in slot.probes
        slot.ready = slot.started and "readiness" not in slot.probes

    def _exited(self, container: Container, now: datetime) -> None:
        slot = self.slots[container.name]
        if slot.current is not None and container.attempt < slot.current.attempt:
            return  # the end of a run that another has followed already
        if slot.current is not None and slot.current.id == container.id and slot.current.state == "exited":
            if slot.step == "stop":
                slot.step = ""
            return
        if slot.current is not None and slot.current.id != container.id:
            slot.previous = slot.current
        if slot.waiting is None or slot.waiting[0] not in events.START_ERRORS:
            slot.waiting = None
        slot.current, slot.step, slot.image_ready = container, "", False
        slot.forget_probes()
        if slot.init and container.exit_code == 0 and not is_sidecar(slot.spec):
            slot.done = True
        if self._restarts(slot):
            # The first restart is immediate; each further one waits for what remains of its delay.
            delay = 0.0 if slot.crash.last is None else self._crash_delay(slot, now)
            slot.crash.last = slot.crash.last or now
            slot.not_before = (container.finished_at or now) + timedelta(seconds=delay)
            slot.back_off_at = None
        else:
            slot.waiting = None

    def _container_failed(self, slot: Slot, reason: str, message: str, now: datetime) -> None:
        """One that was created is judged as one that ran and failed, when it is next observed; else it is tried again."""
        slot.step, slot.image_ready, slot.waiting = "", False, (reason, message)
        slot.not_before = now + timedelta(seconds=SYNC_RETRY)
        slot.back_off_at = slot.not_before
        if reason != events.POST_START_HOOK_ERROR:  # a hook's failure has its own event
            self._record(events.warning("Failed", f"Error: {message}", slot.path))

    def _crash_delay(self, slot: Slot, now: datetime) -> float:
        slot.crash.next(now)
        return slot.crash.delay

    def _image_failed(self, slot: Slot, reason: str, message: str, text: str, now: datetime) -> None:
        slot.step, slot.waiting = "", (reason, message)
        if reason == events.ERR_IMAGE_PULL:
            slot.pull.next(now)
            slot.not_before = now + timedelta(seconds=slot.pull.delay)
            slot.back_off_at = now + timedelta(seconds=BACK_OFF_SHOWN)
        else:
            slot.not_before = slot.back_off_at = now + timedelta(seconds=SYNC_RETRY)
        kind = events.IMAGE_EVENTS.get(reason, "Failed")
        self._record(events.warning(kind, text, slot.path))
        self._record(events.warning("Failed", f"Error: {reason}", slot.path))

    def _probed(self, container_id: str, kind: ProbeKind, ok: bool | None, message: str, now: datetime) -> None:
        slot = next((s for s in self.slots.values() if s.current is not None and s.current.id == container_id), None)
        if slot is None or kind not in slot.probes:
            return
        probe = slot.probes[kind]
        probe.in_flight = False
        probe.next_at = now + timedelta(seconds=probe.spec.period_seconds or 10)
        if ok is None:
            self._record(events.warning("Unhealthy", f"{kind.capitalize()} probe errored: {message}", slot.path))
            return
        if not ok:
            probe.failures, probe.successes = probe.failures + 1, 0
            self._record(events.warning("Unhealthy", f"{kind.capitalize()} probe failed: {message}", slot.path))
            if probe.failures < (probe.spec.failure_threshold or 3):
                return
        else:
            probe.successes, probe.failures = probe.successes + 1, 0
            if probe.successes < (probe.spec.success_threshold or 1):
                return
        if kind == "readiness":
            slot.ready = ok and slot.running and slot.started
        elif not ok:
            probe.failures = 0
            self._stop(slot, self._failed_probe(slot, kind), probe.spec.termination_grace_period_seconds)
        elif kind == "startup":
            del slot.probes["startup"]
            slot.started = True
            slot.ready = "readiness" not in slot.probes

    def _failed_probe(self, slot: Slot, kind: str) -> str:
        """Why a container is stopped (upstream: kuberuntime_manager.go, computePodActions)."""
        text = f"Container {slot.spec.name} failed {kind} probe"
        if self.pod.spec.restart_policy != "Never" or is_sidecar(slot.spec):
            return f"{text}, will be restarted"
        if any(other.running for other in self.slots.values() if other is not slot and not other.init):
            return text
        return f"Stopping container {slot.spec.name}"  # with the last one the whole pod is stopped

    # Decisions.

    def _plan(self, now: datetime) -> None:
        deadline = self._deadline()
        if deadline is not None and now >= deadline and not self.finished:
            self.failed = DEADLINE
            self._record(events.normal(*DEADLINE))
        if self.finished:
            self._wind_down()
        elif self.retry_at is None or now >= self.retry_at:
            self.retry_at = None
            self._bring_up(now)

    def _wind_down(self) -> None:
        for slot in self.slots.values():
            self._stop(slot, f"Stopping container {slot.spec.name}")
        if any(slot.running or slot.step for slot in self.slots.values()) or self.sandbox_step in ("create", "stop"):
            return
        if (
            self.sandbox is not None or self.sandbox_step != "stopped"
        ):  # once even where nothing was begun: volumes may be left
            self.sandbox_step = "stop"
            self.volumes = ""
            self._out.append(StopSandbox(self.sandbox.id if self.sandbox is not None else ""))

    def _bring_up(self, now: datetime) -> None:
        if self.volumes != "ready":
            if not self.volumes:
                self.volumes = "busy"
                self._out.append(PrepareVolumes())
            return
        if self.sandbox is None:
            # What is just being started belongs to the lost one: its outcome is waited for, so that it is stopped, too.
            if not self.sandbox_step and not any(slot.step == "start" for slot in self.slots.values()):
                # Containers of a lost sandbox have lost their network: they end with it.
                for slot in self.slots.values():
                    self._stop(slot, f"Stopping container {slot.spec.name}")
                self.sandbox_step = "create"
                self._out.append(CreateSandbox(self.attempts))
                self.attempts += 1
            return
        for slot in self.slots.values():
            if slot.running and slot.current is not None and slot.current.hash not in ("", container_hash(slot.spec)):
                self._stop(slot, f"Container {slot.spec.name} definition changed, will be restarted")
        if any(self._debugs(slot, now) for slot in self.slots.values() if slot.ephemeral):
            return
        for slot in self.slots.values():
            if slot.init and not slot.done:
                if self._mains_ran() and not is_sidecar(slot.spec):
                    slot.done = True
                    continue
                self._advance(slot, now)
                if not is_sidecar(slot.spec) or not slot.started:
                    return
            elif not slot.init and not slot.ephemeral:
                # One after the other, hooks included, as upstream: a pod may rely on the order of its containers.
                if any(other.step in ("image", "start") for other in self.slots.values()):
                    return
                self._advance(slot, now)

    def _debugs(self, slot: Slot, now: datetime) -> bool:
        """Starts an ephemeral container; whether it is being started."""
        self._advance(slot, now)
        return slot.step in ("image", "start")

    def _advance(self, slot: Slot, now: datetime) -> None:
        """Takes a container one step further towards running."""
        if slot.step or slot.running or slot.done:
            return
        if slot.current is not None and slot.current.state == "exited" and not self._restarts(slot):
            return
        if slot.not_before is not None and now < slot.not_before:
            if slot.back_off_at is None or now >= slot.back_off_at:
                self._back_off(slot)
            return
        slot.not_before = None
        if slot.image_ready and self.sandbox is not None:
            slot.step = "start"
            attempt = 0 if slot.current is None else slot.current.attempt + 1
            self._out.append(StartContainer(slot.spec.name, attempt, self.sandbox.id))
        elif self.sandbox is not None:
            slot.step = "image"
            self._out.append(EnsureImage(slot.spec.name))

    def _back_off(self, slot: Slot) -> None:
        if slot.waiting is not None and slot.waiting[0] == events.ERR_IMAGE_PULL:
            text = f'Back-off pulling image "{slot.spec.image}"'
            slot.waiting = (events.IMAGE_PULL_BACK_OFF, text)
            self._record(events.normal("BackOff", text, slot.path))
            self._record(events.warning("Failed", f"Error: {events.IMAGE_PULL_BACK_OFF}", slot.path))
        elif slot.current is not None and (slot.waiting is None or slot.waiting[0] in events.START_ERRORS):
            text = events.back_off_text(slot.crash.delay, slot.spec.name, self.pod)
            slot.waiting = (events.CRASH_LOOP_BACK_OFF, text)
            if slot.backed_off_for != slot.current.id:
                slot.backed_off_for = slot.current.id
                self._record(events.warning("BackOff", "Back-off restarting failed container", slot.path))

    def _stop(self, slot: Slot, message: str, grace: int | None = None) -> None:
        if not slot.running or slot.step or slot.current is None:
            return
        if grace is None:
            grace = self.pod.spec.termination_grace_period_seconds
        if self.pod.metadata.deletion_timestamp is not None:
            grace = self.pod.metadata.deletion_grace_period_seconds
        slot.step = "stop"
        self._record(events.normal("Killing", message, slot.path))
        self._out.append(StopContainer(slot.current, max(30 if grace is None else grace, MINIMUM_GRACE)))

    def _restarts(self, slot: Slot) -> bool:
        """Whether an exited container is to run again (ShouldContainerBeRestarted)."""
        if slot.current is None or slot.current.state != "exited":
            return True
        if self.terminating or slot.done or slot.ephemeral:
            return False
        policy = self.pod.spec.restart_policy
        if slot.init and not is_sidecar(slot.spec):
            return policy != "Never" and slot.current.exit_code != 0
        if is_sidecar(slot.spec) or policy == "Always":
            return True
        return policy == "OnFailure" and slot.current.exit_code != 0

    def _ended_for_good(self, slot: Slot) -> bool:
        return (
            slot.current is not None and slot.current.state == "exited" and not slot.step and not self._restarts(slot)
        )

    def _mains_ran(self) -> bool:
        mains = (slot for slot in self.slots.values() if not slot.init and not slot.ephemeral)
        return any(slot.current is not None for slot in mains)

    def _deadline(self) -> datetime | None:
        seconds = self.pod.spec.active_deadline_seconds
        return None if seconds is None or self.start_time is None else self.start_time + timedelta(seconds=seconds)

    # What goes out at the end of a step.

    def status(self, now: datetime) -> core.PodStatus:
        """The status that the API should have now."""
        if self.rejected and self.failed is not None:
            reason, message = self.failed
            since = self.start_time.replace(microsecond=0) if self.start_time is not None else None
            return core.PodStatus(
                phase="Failed", reason=reason, message=message, start_time=since, qos_class=qos_class(self.pod.spec)
            )
        views = {}
        for name, slot in self.slots.items():
            ready = slot.done if slot.init and not is_sidecar(slot.spec) else slot.ready
            views[name] = ContainerView(slot.current, slot.previous, slot.waiting, ready, slot.started)
        source = self._status if self._status is not None else self.pod.status
        present = [c for c in source.conditions if c.type in OWNED]
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
            [*present, *others],
        )
        return pod_status(self.pod, view, now.replace(microsecond=0))

    def _publish(self, now: datetime) -> None:
        status = self.status(now)
        if status != self._status:
            self._status = status
            self._out.append(SetStatus(status))
        busy = self.sandbox is not None or self.sandbox_step != "stopped"
        alive = any(slot.running or slot.step for slot in self.slots.values())
        if self.pod.metadata.deletion_timestamp is not None and not busy and not alive:
            self.gone = True
            self._out.append(DeletePod())

    def _schedule(self, now: datetime) -> None:
        if self.gone:
            return
        times = [t for t in (self._deadline(), self.retry_at) if t is not None and t > now and not self.finished]
        for slot in self.slots.values():
            if not self.finished:
                times += [t for t in (slot.not_before, slot.back_off_at) if t is not None and t > now]
            if not slot.running or slot.step or slot.current is None:
                continue
            for kind, probe in slot.probes.items():
                if probe.in_flight or (kind != "startup" and not slot.started):
                    continue
                if now >= probe.next_at:
                    probe.in_flight = True
                    self._out.append(Probe(slot.spec.name, slot.current.id, kind))
                else:
                    times.append(probe.next_at)
        if times:
            self._out.append(WakeAt(min(times)))

    def _later(self, now: datetime, event: Event) -> None:
        self.retry_at = now + timedelta(seconds=SETUP_RETRY)
        self._record(event)

    def _record(self, event: Event) -> None:
        self._out.append(Record(event))


def as_container(given: core.EphemeralContainer) -> core.Container:
    """An ephemeral container as the others: it has all their fields."""
    return core.Container(**{name: getattr(given, name) for name in core.Container.__struct_fields__})


def _newer_end(known: Container | None, ended: Container) -> bool:
    """Whether an ended run tells something new."""
    if known is None:
        return True
    return ended.attempt > known.attempt or (ended.id == known.id and known.state != "exited")
