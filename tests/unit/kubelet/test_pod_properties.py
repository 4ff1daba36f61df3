"""Whatever a runtime does and in whatever order: the pod machine's state never contradicts itself, and a deleted pod goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import instructions, stimuli
from pybernetes.kubelet.machine.pod import PodMachine
from pybernetes.kubelet.runtime.types import Container, Sandbox

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ALWAYS = core.Probe(period_seconds=1, failure_threshold=1, exec=core.ExecAction(command=["x"]))


def make(policy: str, inits: int, mains: int, probes: bool, deadline: int | None, action: str) -> core.Pod:
    """`action`: what the first container's rule does about exit code 1, "" for no rule."""
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "p", "ns", "u"
    pod.spec.restart_policy, pod.spec.active_deadline_seconds = policy, deadline
    pod.spec.init_containers = [core.Container(name=f"i{n}", image="i") for n in range(inits)]
    if inits > 1:
        pod.spec.init_containers[0].restart_policy = "Always"  # a sidecar
    pod.spec.containers = [core.Container(name=f"c{n}", image="i") for n in range(mains)]
    if action:
        codes = core.ContainerRestartRuleOnExitCodes(operator="In", values=[1])
        pod.spec.containers[0].restart_policy = "Never"
        pod.spec.containers[0].restart_policy_rules = [core.ContainerRestartRule(action=action, exit_codes=codes)]
    if probes:
        first = pod.spec.containers[0]
        first.startup_probe = first.liveness_probe = first.readiness_probe = ALWAYS
    return pod


def _stops(instruction: instructions.Instruction, container: Container) -> bool:
    return isinstance(instruction, instructions.StopContainer) and instruction.container.id == container.id


class Node(RuleBasedStateMachine):
    """A runtime that does what it is asked, or fails, or ends things by itself; one instruction of those in flight at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.machine: PodMachine | None = None
        self.now = T0
        self.flight: list[instructions.Instruction] = []
        self.sandbox: Sandbox | None = None
        self.containers: dict[str, Container] = {}
        self.status: core.PodStatus | None = None
        self.wake: datetime | None = None
        self.deleted_object = False
        self.made = 0  # a runtime gives no id twice

    def send(self, event: stimuli.Stimulus) -> None:
        assert self.machine is not None
        for instruction in self.machine.handle(event, self.now):
            match instruction:
                case instructions.SetStatus(status):
                    self.status = status
                case instructions.WakeAt(when):
                    assert when > self.now, "it would be awake at once, for ever"
                    self.wake = when
                case instructions.DeletePod():
                    assert not self.deleted_object, "the object is deleted twice"
                    self.deleted_object = True
                case instructions.Record():
                    pass
                case instructions.Interrupt(name):
                    self.flight = [i for i in self.flight if i != instructions.EnsureImage(name)]
                case instructions.StopContainer(container):
                    self.flight = [i for i in self.flight if not _stops(i, container)] + [instruction]
                case _:
                    assert not self.deleted_object, f"{instruction} of a pod that is gone"
                    self.flight.append(instruction)
        self._one_at_a_time()

    def _one_at_a_time(self) -> None:
        """At most one instruction for a container is in flight, one for the sandbox, one for the volumes."""
        kinds: list[object] = []
        for instruction in self.flight:
            match instruction:
                case instructions.EnsureImage(name) | instructions.StartContainer(name):
                    kinds.append(name)
                case instructions.StopContainer(container):
                    kinds.append(container.name)
                case instructions.ResizeContainer(name):
                    kinds.append(name)
                case instructions.CreateSandbox() | instructions.StopSandbox():
                    kinds.append("sandbox")
                case instructions.PrepareVolumes():
                    kinds.append("volumes")
                case instructions.Probe(_, container_id, kind):
                    kinds.append((container_id, kind))
        assert len(kinds) == len(set(kinds)), f"in flight together: {self.flight}"

    @precondition(lambda self: self.machine is None)
    @rule(
        policy=st.sampled_from(["Always", "OnFailure", "Never"]),
        inits=st.integers(0, 2),
        mains=st.integers(1, 2),
        probes=st.booleans(),
        deadline=st.sampled_from([None, None, 60]),
        action=st.sampled_from(["", "Restart", "RestartAllContainers"]),
    )
    def begin(self, policy: str, inits: int, mains: int, probes: bool, deadline: int | None, action: str) -> None:
        self.machine = PodMachine(make(policy, inits, mains, probes, deadline, action), ["192.0.2.1"], "docker")
        self.observe()

    @precondition(lambda self: self.machine is not None)
    @rule()
    def observe(self) -> None:
        sandboxes = [self.sandbox] if self.sandbox is not None else []
        self.send(stimuli.Observed(sandboxes, list(self.containers.values())))

    @precondition(lambda self: self.machine is not None)
    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 40.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.send(stimuli.Tick())

    @precondition(lambda self: self.flight)
    @rule(which=st.integers(0, 99), works=st.integers(0, 3))
    def answer(self, which: int, works: int) -> None:
        """One instruction ends: well three times of four."""
        self._answer(self.flight.pop(which % len(self.flight)), bool(works))

    def _answer(self, instruction: instructions.Instruction, works: bool) -> None:
        match instruction:
            case instructions.PrepareVolumes():
                self.send(stimuli.VolumesReady() if works else stimuli.VolumesFailed("no"))
            case instructions.CreateSandbox(attempt):
                if works:
                    self.sandbox = Sandbox(f"s{attempt}", "p", "ns", "u", attempt, True, self.now)
                self.send(
                    stimuli.SandboxReady(self.sandbox, ("10.0.0.2",))
                    if works and self.sandbox
                    else stimuli.SandboxFailed("no")
                )
            case instructions.EnsureImage(name):
                self.send(stimuli.ImageReady(name, "") if works else stimuli.ImageFailed(name, "ErrImagePull", "no"))
            case instructions.StartContainer(name, attempt, _):
                self._start(name, attempt, works)
            case instructions.StopContainer(container, _):
                ended = self._ended(self.containers.get(container.id, container), 137)
                self.send(stimuli.Stopped(ended))
            case instructions.ResizeContainer(name, container_id, resources):
                self.send(stimuli.Resized(name, container_id, resources, "" if works else "busy"))
            case instructions.StopSandbox():
                self.sandbox = None
                self.send(stimuli.SandboxStopped() if works else stimuli.TeardownFailed("no"))
                if not works:
                    self.send(stimuli.SandboxStopped())  # as the worker: it does not give up
            case instructions.Probe(_, container_id, kind):
                self.send(stimuli.ProbeResult(container_id, kind, works))

    def _start(self, name: str, attempt: int, works: bool) -> None:
        assert self.machine is not None
        if not works:
            self.send(stimuli.ContainerFailed(name, "CreateContainerError", "no"))
            return
        self.made += 1
        made = Container(f"{name}-{self.made}", name, "u", attempt, "running", "i", "i@1", started_at=self.now)
        self.containers[made.id] = made
        self.send(stimuli.ContainerMade(name, started=False))
        self.send(stimuli.ContainerMade(name, started=True))
        self.send(stimuli.ContainerRuns(made))

    def _ended(self, container: Container, code: int) -> Container:
        from dataclasses import replace

        if container.state != "exited":
            container = replace(container, state="exited", exit_code=code, finished_at=self.now)
        self.containers[container.id] = container
        return container

    @precondition(lambda self: any(c.state == "running" for c in self.containers.values()))
    @rule(which=st.integers(0, 99), code=st.sampled_from([0, 1]))
    def a_container_ends(self, which: int, code: int) -> None:
        running = [c for c in self.containers.values() if c.state == "running"]
        self._ended(running[which % len(running)], code)
        self.observe()

    @precondition(lambda self: self.containers)
    @rule(which=st.integers(0, 99))
    def somebody_removes_a_container(self, which: int) -> None:
        del self.containers[sorted(self.containers)[which % len(self.containers)]]
        self.observe()

    @precondition(lambda self: self.sandbox is not None)
    @rule()
    def somebody_removes_the_sandbox(self) -> None:
        self.sandbox = None
        self.observe()

    @precondition(lambda self: self.machine is not None)
    @rule(grace=st.sampled_from([0, 30]))
    def somebody_deletes_the_pod(self, grace: int) -> None:
        assert self.machine is not None
        present = self.machine.pod
        meta = msgspec.structs.replace(
            present.metadata, deletion_timestamp=self.now, deletion_grace_period_seconds=grace
        )
        self.send(stimuli.SpecChanged(msgspec.structs.replace(present, metadata=meta)))

    @precondition(lambda self: self.machine is not None)
    @rule(cpus=st.integers(1, 3), restart=st.booleans(), pending=st.booleans())
    def somebody_resizes_the_pod(self, cpus: int, restart: bool, pending: bool) -> None:
        assert self.machine is not None
        if pending:
            self.send(stimuli.SpecChanged(self.machine.pod, ("Deferred", "no room")))
            return
        policy = [core.ContainerResizePolicy(resource_name="cpu", restart_policy="RestartContainer")] if restart else []
        resources = core.ResourceRequirements(requests={"cpu": Quantity.from_int(cpus)})
        spec = self.machine.pod.spec
        containers = [msgspec.structs.replace(c, resources=resources, resize_policy=policy) for c in spec.containers]
        changed = msgspec.structs.replace(spec, containers=containers)
        self.send(stimuli.SpecChanged(msgspec.structs.replace(self.machine.pod, spec=changed)))

    @precondition(lambda self: self.machine is not None)
    @rule()
    def the_node_evicts_the_pod(self) -> None:
        self.send(stimuli.Evicted("Evicted", "no room"))

    @invariant()
    def state_does_not_contradict_itself(self) -> None:
        if self.machine is not None:
            self.machine.validate()

    @invariant()
    def a_status_tells_of_every_container(self) -> None:
        if self.machine is None or self.status is None:
            return
        spec = self.machine.pod.spec
        assert [s.name for s in self.status.container_statuses] == [c.name for c in spec.containers]
        assert self.status.phase in ("Pending", "Running", "Succeeded", "Failed")

    def teardown(self) -> None:
        """However it came here: once it is deleted and everything works, it goes."""
        if self.machine is None:
            return
        self.somebody_deletes_the_pod(0)
        for _ in range(200):
            if self.deleted_object:
                break
            if self.flight:
                self._answer(self.flight.pop(0), True)
            else:
                self.observe()
                self.now += timedelta(seconds=60)
                self.send(stimuli.Tick())
        assert self.deleted_object, f"it never goes: {self.flight}, {self.machine.slots}"


TestPodMachine = Node.TestCase
TestPodMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
