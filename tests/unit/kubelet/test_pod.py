"""The pod machine by tables: stimuli in, instructions out, valid after every step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import instructions, stimuli
from pybernetes.kubelet.machine.pod import PodMachine
from pybernetes.kubelet.runtime.types import Container, Sandbox

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def make(policy: str = "Always", init: int = 0, **container: object) -> core.Pod:
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "p", "ns", "u"
    pod.spec.restart_policy = policy
    pod.spec.containers = [core.Container(name="c", image="i", **container)]  # type: ignore[arg-type]
    pod.spec.init_containers = [core.Container(name=f"i{n}", image="i") for n in range(init)]
    return pod


class Driver:
    """Feeds a machine and answers its instructions as a runtime that always works."""

    def __init__(self, pod: core.Pod) -> None:
        self.machine = PodMachine(pod, ["192.0.2.1"], "docker")
        self.now = T0
        self.log: list[instructions.Instruction] = []
        self.wake: datetime | None = None
        self.send(stimuli.Observed((), ()))

    def send(self, event: stimuli.Stimulus) -> None:
        out = self.machine.handle(event, self.now)
        self.machine.validate()
        self.log += out
        for instruction in out:
            match instruction:
                case instructions.PrepareVolumes():
                    self.send(stimuli.VolumesReady())
                case instructions.CreateSandbox(attempt):
                    self.send(
                        stimuli.SandboxReady(Sandbox(f"s{attempt}", "p", "ns", "u", attempt, True, T0), ("10.0.0.2",))
                    )
                case instructions.ConnectSandbox(sandbox, _):
                    self.send(stimuli.SandboxReady(sandbox, ("10.0.0.3",)))
                case instructions.EnsureImage(name):
                    self.send(stimuli.ImageReady(name, "present"))
                case instructions.StartContainer(name, attempt, _):
                    self.send(stimuli.ContainerMade(name, started=False))
                    self.send(stimuli.ContainerMade(name, started=True))
                    run = Container(f"{name}-{attempt}", name, "u", attempt, "running", "i", "i@1", started_at=self.now)
                    self.send(stimuli.ContainerRuns(run))
                case instructions.StopContainer(container, _):
                    self.end(container.name, 137)
                case instructions.StopSandbox():
                    self.send(stimuli.SandboxStopped())
                case instructions.WakeAt(when):
                    self.wake = when

    def end(self, name: str, code: int) -> None:
        current = self.machine.slots[name].current
        assert current is not None
        self.send(stimuli.Stopped(replace(current, state="exited", exit_code=code, finished_at=self.now)))

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.send(stimuli.Tick())

    def reasons(self) -> list[str]:
        return [i.event.reason for i in self.log if isinstance(i, instructions.Record)]

    def count(self, kind: type) -> int:
        return sum(isinstance(i, kind) for i in self.log)

    @property
    def status(self) -> core.PodStatus:
        return self.machine.status(self.now)

    def ready(self) -> str:
        return next(c.status for c in self.status.conditions if c.type == "Ready")


@pytest.mark.parametrize(
    ("ips", "host_network", "connects"), [((), False, 1), (("10.0.0.9",), False, 0), ((), True, 0)]
)
def test_a_sandbox_whose_addresses_nobody_was_told(ips: tuple[str, ...], host_network: bool, connects: int) -> None:
    """Of a kubelet that was killed: the sandbox stays, and gets its network, before containers start in it."""
    pod = make()
    pod.spec.host_network = host_network
    pod.status.pod_ips = [core.PodIP(ip=ip) for ip in ips]
    driver = Driver.__new__(Driver)
    driver.machine, driver.now, driver.log, driver.wake = PodMachine(pod, ["192.0.2.1"], "docker"), T0, [], None
    driver.send(stimuli.Observed([Sandbox("s0", "p", "ns", "u", 0, True, T0)], ()))
    assert (driver.count(instructions.ConnectSandbox), driver.count(instructions.CreateSandbox)) == (connects, 0)
    assert driver.machine.sandbox is not None and driver.machine.slots["c"].running
    expected = "192.0.2.1" if host_network else next(iter(ips), "10.0.0.3")
    assert driver.status.pod_ip == expected


def test_a_sandbox_that_gets_no_network_is_made_anew_unless_something_runs_in_it() -> None:
    sandbox = Sandbox("s0", "p", "ns", "u", 0, True, T0)
    machine = PodMachine(make(), ["192.0.2.1"], "docker")
    machine.handle(stimuli.VolumesReady(), T0)
    out = machine.handle(stimuli.Observed([sandbox], ()), T0)
    assert instructions.ConnectSandbox(sandbox, False) in out and machine.creates_sandbox
    machine.handle(stimuli.SandboxFailed("no"), T0)
    later = machine.handle(stimuli.Observed((), ()), T0 + timedelta(seconds=60))
    assert instructions.CreateSandbox(1) in [*later, *machine.handle(stimuli.Tick(), T0 + timedelta(seconds=120))]
    run = Container("c-0", "c", "u", 0, "running", "i", "i@1", started_at=T0)
    machine = PodMachine(make(), ["192.0.2.1"], "docker")
    assert instructions.ConnectSandbox(sandbox, True) in machine.handle(stimuli.Observed([sandbox], [run]), T0)


def test_a_pod_that_lacks_something_is_tried_less_and_less_often() -> None:
    """The kind: an event and a request each two seconds, for ever, for each pod whose Secret is not there."""
    machine, now = PodMachine(make(), ["192.0.2.1"], "docker"), T0
    machine.handle(stimuli.Observed((), ()), now)
    waits = []
    for _ in range(6):
        machine.handle(stimuli.VolumesFailed("no"), now)
        assert machine.retry_at is not None
        waits.append((machine.retry_at - now).total_seconds())
        now = machine.retry_at
        assert instructions.PrepareVolumes() in machine.handle(stimuli.Tick(), now)
    assert waits == [2.0, 4.0, 8.0, 16.0, 16.0, 16.0]


def test_a_pod_comes_up() -> None:
    driver = Driver(make())
    assert driver.reasons() == ["Pulled", "Created", "Started"]
    assert (driver.status.phase, driver.ready(), driver.status.pod_ip) == ("Running", "True", "10.0.0.2")


@pytest.mark.parametrize(
    ("policy", "code", "phase", "starts"),
    [
        ("Never", 0, "Succeeded", 1),
        ("Never", 1, "Failed", 1),
        ("OnFailure", 0, "Succeeded", 1),
        ("OnFailure", 1, "Running", 2),
        ("Always", 0, "Running", 2),
        ("Always", 1, "Running", 2),
    ],
)
def test_restart_policy(policy: str, code: int, phase: str, starts: int) -> None:
    driver = Driver(make(policy))
    driver.end("c", code)
    assert (driver.status.phase, driver.count(instructions.StartContainer)) == (phase, starts)
    assert driver.count(instructions.StopSandbox) == (1 if starts == 1 else 0)


def test_crash_loop_backs_off_and_doubles() -> None:
    driver = Driver(make())
    driver.end("c", 1)
    for delay in ("10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"):
        driver.end("c", 1)
        state = driver.status.container_statuses[0]
        assert state.state.waiting is not None and state.state.waiting.reason == "CrashLoopBackOff"
        assert state.state.waiting.message == f"back-off {delay} restarting failed container=c pod=p_ns(u)"
        assert state.last_state.terminated is not None and state.last_state.terminated.exit_code == 1
        assert driver.wake is not None
        driver.tick((driver.wake - driver.now).total_seconds())
        assert driver.machine.slots["c"].running


def test_init_containers_run_in_order() -> None:
    driver = Driver(make(init=2))
    assert [i.container for i in driver.log if isinstance(i, instructions.StartContainer)] == ["i0"]
    assert driver.status.phase == "Pending"
    driver.end("i0", 0)
    driver.end("i1", 0)
    assert [i.container for i in driver.log if isinstance(i, instructions.StartContainer)] == ["i0", "i1", "c"]
    assert driver.ready() == "True"


def test_failing_init_container_fails_the_pod_that_never_restarts() -> None:
    driver = Driver(make("Never", init=1))
    driver.end("i0", 3)
    assert driver.status.phase == "Failed"
    assert driver.count(instructions.StartContainer) == 1


def waiting_reason(machine: PodMachine) -> str:
    waiting = machine.status(T0).container_statuses[0].state.waiting
    return waiting.reason if waiting is not None else ""


def test_image_errors_back_off() -> None:
    machine = PodMachine(make(), ["192.0.2.1"], "docker")
    for event in (
        stimuli.Observed((), ()),
        stimuli.VolumesReady(),
        stimuli.SandboxReady(Sandbox("s", "p", "ns", "u", 0, True, T0), ()),
    ):
        machine.handle(event, T0)
    out = machine.handle(stimuli.ImageFailed("c", "ErrImagePull", "no"), T0)
    assert waiting_reason(machine) == "ErrImagePull"
    assert instructions.WakeAt(T0 + timedelta(seconds=2)) in out
    out = machine.handle(stimuli.Tick(), T0 + timedelta(seconds=2))
    assert waiting_reason(machine) == "ImagePullBackOff"
    assert instructions.WakeAt(T0 + timedelta(seconds=10)) in out
    assert instructions.EnsureImage("c") in machine.handle(stimuli.Tick(), T0 + timedelta(seconds=10))


def test_deletion_stops_everything_then_lets_the_object_go() -> None:
    pod = make()
    driver = Driver(pod)
    deleted = make()
    deleted.metadata.deletion_timestamp, deleted.metadata.deletion_grace_period_seconds = T0, 7
    driver.send(stimuli.SpecChanged(deleted))
    kinds = [
        type(i)
        for i in driver.log
        if isinstance(i, instructions.StopContainer | instructions.StopSandbox | instructions.DeletePod)
    ]
    assert kinds == [instructions.StopContainer, instructions.StopSandbox, instructions.DeletePod]
    assert next(i.grace for i in driver.log if isinstance(i, instructions.StopContainer)) == 7


def test_liveness_kills_after_its_threshold_and_readiness_follows_its_probe() -> None:
    probe = core.Probe(period_seconds=5, failure_threshold=2, success_threshold=1)
    driver = Driver(make(liveness_probe=probe, readiness_probe=probe))
    assert driver.ready() == "False"
    driver.send(stimuli.ProbeResult("c-0", "readiness", True))
    assert driver.ready() == "True"
    driver.send(stimuli.ProbeResult("c-0", "liveness", False, "x"))
    assert driver.count(instructions.StopContainer) == 0
    driver.send(stimuli.ProbeResult("c-0", "liveness", False, "x"))
    assert driver.count(instructions.StopContainer) == 1
    assert driver.count(instructions.StartContainer) == 2


@pytest.mark.parametrize(
    ("policy", "others", "text"),
    [
        ("Always", 0, "Container c failed liveness probe, will be restarted"),
        ("OnFailure", 1, "Container c failed liveness probe, will be restarted"),
        ("Never", 0, "Stopping container c"),
        ("Never", 1, "Container c failed liveness probe"),
    ],
)
def test_why_a_container_with_a_failed_probe_is_stopped(policy: str, others: int, text: str) -> None:
    pod = make(policy, liveness_probe=core.Probe(period_seconds=5, failure_threshold=1))
    pod.spec.containers += [core.Container(name=f"d{n}", image="i") for n in range(others)]
    driver = Driver(pod)
    driver.send(stimuli.ProbeResult("c-0", "liveness", False, "x"))
    assert (
        next(i.event.message for i in driver.log if isinstance(i, instructions.Record) and i.event.reason == "Killing")
        == text
    )


def test_startup_probe_holds_the_others_back() -> None:
    probe = core.Probe(period_seconds=5, failure_threshold=2, success_threshold=1)
    driver = Driver(make(startup_probe=probe, liveness_probe=probe))
    assert {i.kind for i in driver.log if isinstance(i, instructions.Probe)} == {"startup"}
    assert driver.status.container_statuses[0].started is False
    driver.send(stimuli.ProbeResult("c-0", "startup", True))
    assert {i.kind for i in driver.log if isinstance(i, instructions.Probe)} == {"startup", "liveness"}


def test_deadline() -> None:
    pod = make()
    pod.spec.active_deadline_seconds = 5
    driver = Driver(pod)
    driver.tick(5)
    assert (driver.status.phase, driver.status.reason) == ("Failed", "DeadlineExceeded")
    assert driver.count(instructions.StopSandbox) == 1


def test_a_restarted_kubelet_takes_running_containers_over() -> None:
    machine = PodMachine(make(), ["192.0.2.1"], "docker")
    sandbox = Sandbox("s", "p", "ns", "u", 0, True, T0)
    run = Container("x", "c", "u", 3, "running", "i", "i@1", started_at=T0)
    out = machine.handle(stimuli.Observed([sandbox], [run]), T0) + machine.handle(stimuli.VolumesReady(), T0)
    machine.validate()
    kinds = {type(i) for i in out}
    assert not kinds & {
        instructions.CreateSandbox,
        instructions.StartContainer,
        instructions.StopContainer,
        instructions.Record,
    }
    assert machine.status(T0).container_statuses[0].restart_count == 3


def exited(name: str, attempt: int, code: int, reason: str = "", hash_: str = "") -> Container:
    run = Container(f"{name}-{attempt}", name, "u", attempt, "exited", "i", "i@1", code, reason, created_at=T0)
    return replace(run, started_at=T0, finished_at=T0, hash=hash_)


def started(pod: core.Pod) -> PodMachine:
    """A machine whose pod has its sandbox."""
    machine = PodMachine(pod, ["192.0.2.1"], "docker")
    for event in (stimuli.Observed((), ()), stimuli.VolumesReady(), stimuli.SandboxReady(SANDBOX, ("10.0.0.2",))):
        machine.handle(event, T0)
    return machine


SANDBOX = Sandbox("s", "p", "ns", "u", 0, True, T0)


def test_a_container_that_cannot_start_is_judged_as_one_that_ended() -> None:
    machine = started(make())
    machine.handle(stimuli.ImageReady("c", "present"), T0)
    machine.handle(stimuli.ContainerFailed("c", "RunContainerError", "no such command"), T0)
    assert waiting_reason(machine) == "RunContainerError"
    machine.handle(stimuli.Observed([SANDBOX], [exited("c", 0, 127, "ContainerCannotRun")]), T0)
    machine.handle(stimuli.ImageReady("c", "present"), T0)  # the first restart is immediate
    machine.handle(stimuli.ContainerFailed("c", "RunContainerError", "no such command"), T0)
    both = [exited("c", 0, 127, "ContainerCannotRun"), exited("c", 1, 127, "ContainerCannotRun")]
    machine.handle(stimuli.Observed([SANDBOX], both), T0)
    machine.validate()
    assert waiting_reason(machine) == "CrashLoopBackOff"
    status = machine.status(T0).container_statuses[0]
    assert status.restart_count == 1
    assert status.last_state.terminated is not None and status.last_state.terminated.reason == "ContainerCannotRun"


def test_a_wrong_configuration_is_looked_at_again() -> None:
    machine = started(make())
    machine.handle(stimuli.ImageReady("c", "present"), T0)
    out = machine.handle(stimuli.ContainerFailed("c", "CreateContainerConfigError", "no secret"), T0)
    assert instructions.WakeAt(T0 + timedelta(seconds=10)) in out
    assert waiting_reason(machine) == "CreateContainerConfigError"
    assert instructions.EnsureImage("c") in machine.handle(stimuli.Tick(), T0 + timedelta(seconds=10))


def test_a_removed_container_is_made_anew_and_not_counted() -> None:
    driver = Driver(make())
    driver.send(stimuli.Observed([Sandbox("s0", "p", "ns", "u", 0, True, T0)], []))
    assert driver.count(instructions.StartContainer) == 2
    assert driver.status.container_statuses[0].restart_count == 0


def test_containers_start_one_after_the_other() -> None:
    pod = make()
    pod.spec.containers = [core.Container(name="a", image="i"), core.Container(name="b", image="i")]
    machine = started(pod)
    assert [s.step for s in machine.slots.values()] == ["image", ""]
    machine.handle(stimuli.ImageReady("a", "present"), T0)
    run = Container("a-0", "a", "u", 0, "running", "i", "i@1", started_at=T0)
    assert instructions.EnsureImage("b") in machine.handle(stimuli.ContainerRuns(run), T0)


def test_a_changed_image_restarts_the_container() -> None:
    driver = Driver(make())
    current = driver.machine.slots["c"].current
    assert current is not None
    from pybernetes.kubelet.machine.config import container_hash

    driver.machine.slots["c"].current = replace(current, hash=container_hash(current_spec(driver)))
    changed = make()
    changed.spec.containers[0].image = "j"
    driver.send(stimuli.SpecChanged(changed))
    assert "Killing" in driver.reasons()
    assert driver.count(instructions.StartContainer) == 2


def current_spec(driver: Driver) -> core.Container:
    return driver.machine.slots["c"].spec


def test_the_end_that_is_told_twice_restarts_once() -> None:
    machine = started(make())
    machine.handle(stimuli.ImageReady("c", "present"), T0)
    run = Container("c-0", "c", "u", 0, "running", "i", "i@1", started_at=T0)
    machine.handle(stimuli.ContainerRuns(run), T0)
    ended = exited("c", 0, 1)
    machine.handle(stimuli.Observed([SANDBOX], [ended]), T0)
    machine.handle(stimuli.ImageReady("c", "present"), T0)
    assert machine.slots["c"].step == "start"
    assert not any(
        isinstance(i, instructions.StartContainer | instructions.EnsureImage)
        for i in machine.handle(stimuli.Stopped(ended), T0)
    )
    assert machine.slots["c"].step == "start"


def test_an_evicted_pod_is_failed_when_it_has_ended() -> None:
    driver = Driver(make())
    driver.send(stimuli.Evicted("Evicted", "The node was low on resource: memory. "))
    assert (driver.status.phase, driver.status.reason) == ("Failed", "Evicted")
    assert driver.reasons()[-2:] == ["Evicted", "Killing"]


def test_a_refused_pod_begins_nothing_and_goes_when_deleted() -> None:
    machine = PodMachine(make(), ["192.0.2.1"], "docker", rejected=("NodeAffinity", "no"))
    out = machine.handle(stimuli.Observed((), ()), T0)
    assert not any(isinstance(i, instructions.PrepareVolumes | instructions.CreateSandbox) for i in out)
    status = machine.status(T0)
    assert (status.phase, status.reason, status.container_statuses) == ("Failed", "NodeAffinity", [])
    machine.handle(stimuli.SandboxStopped(), T0)
    deleted = make()
    deleted.metadata.deletion_timestamp, deleted.metadata.deletion_grace_period_seconds = T0, 0
    assert instructions.DeletePod() in machine.handle(stimuli.SpecChanged(deleted), T0)


def test_a_probe_that_could_not_be_asked_says_nothing() -> None:
    probe = core.Probe(period_seconds=5, failure_threshold=1, success_threshold=1)
    driver = Driver(make(liveness_probe=probe, readiness_probe=probe))
    driver.send(stimuli.ProbeResult("c-0", "readiness", True))
    for kind in ("liveness", "readiness"):
        driver.send(stimuli.ProbeResult("c-0", kind, None, "Docker is away"))  # type: ignore[arg-type]  # of the two words
    assert (driver.ready(), driver.count(instructions.StopContainer)) == ("True", 0)


def test_an_ephemeral_container_joins_and_counts_for_nothing() -> None:
    driver = Driver(make())
    joined = make()
    joined.spec.ephemeral_containers = [core.EphemeralContainer(name="debug", image="i", target_container_name="c")]
    driver.send(stimuli.SpecChanged(joined))
    assert driver.machine.slots["debug"].running
    assert driver.machine.slots["debug"].path == "spec.ephemeralContainers{debug}"
    driver.end("debug", 1)
    assert driver.count(instructions.StartContainer) == 2  # c and debug, which does not run again
    (status,) = driver.status.ephemeral_container_statuses
    assert status.state.terminated is not None and status.state.terminated.exit_code == 1
    assert (driver.status.phase, driver.ready()) == ("Running", "True")


def test_what_ended_stays_told_when_the_runtime_has_forgotten_it() -> None:
    pod = make("Never", init=1)
    ended = core.ContainerState(terminated=core.ContainerStateTerminated(exit_code=0, reason="Completed"))
    pod.status.phase = "Succeeded"
    pod.status.init_container_statuses = [core.ContainerStatus(name="i0", state=ended)]
    pod.status.container_statuses = [core.ContainerStatus(name="c", state=ended)]
    machine = PodMachine(pod, ["192.0.2.1"], "docker")
    out = machine.handle(stimuli.Observed((), ()), T0)
    assert not any(isinstance(i, instructions.PrepareVolumes | instructions.CreateSandbox) for i in out)
    status = machine.status(T0)
    assert status.phase == "Succeeded"
    assert [s.state for s in (*status.init_container_statuses, *status.container_statuses)] == [ended, ended]
