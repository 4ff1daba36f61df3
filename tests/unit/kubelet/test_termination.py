"""How a pod's containers end.

The kinds: the order of sidecars (all began to end at once), a deletion that gives less time than one before (it had no effect until
the first time was over), an eviction (it waited for the pod's own grace), what is asked of a container that is being stopped (nothing
was, so that it stayed ready), and what a pod that is over waits for (pulls and hooks of a start, however long they take).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import instructions, stimuli
from pybernetes.kubelet.machine.pod import PodMachine
from pybernetes.kubelet.runtime.types import Container, Image, Sandbox

from .test_pod import T0, make
from .test_worker import HOOK, World, play
from .test_worker import make as make_worked

PROBE = core.Probe(exec=core.ExecAction(command=["x"]), period_seconds=1, failure_threshold=1)


def with_sidecars(*names: str, policy: str = "Always") -> core.Pod:
    pod = make(policy)
    pod.spec.init_containers = [core.Container(name=name, image="i", restart_policy="Always") for name in names]
    pod.spec.termination_grace_period_seconds = 60
    return pod


def running(pod: core.Pod) -> PodMachine:
    """All of its containers run."""
    machine = PodMachine(pod, ["192.0.2.1"], "docker")
    machine.handle(stimuli.VolumesReady(), T0)
    machine.ips = ("10.0.0.2",)
    everyone = [*pod.spec.init_containers, *pod.spec.containers]
    runs = [Container(f"{c.name}-0", c.name, "u", 0, "running", "i", "i@1", started_at=T0) for c in everyone]
    machine.handle(stimuli.Observed([Sandbox("s0", "p", "ns", "u", 0, True, T0)], runs), T0)
    assert machine.status(T0).phase == "Running"
    return machine


def deleted(pod: core.Pod, grace: int) -> stimuli.SpecChanged:
    metadata = msgspec.structs.replace(pod.metadata, deletion_timestamp=T0, deletion_grace_period_seconds=grace)
    return stimuli.SpecChanged(msgspec.structs.replace(pod, metadata=metadata))


def stops(out: list[instructions.Instruction]) -> dict[str, tuple[int, bool, tuple[str, ...]]]:
    return {i.container.name: (i.grace, i.hook, i.after) for i in out if isinstance(i, instructions.StopContainer)}


def end(machine: PodMachine, name: str, code: int = 0) -> list[instructions.Instruction]:
    current = machine.slots[name].current
    assert current is not None
    ended = replace(current, state="exited", exit_code=code, finished_at=T0)
    return machine.handle(stimuli.Stopped(ended), T0 + timedelta(seconds=5))


def test_sidecars_end_after_all_others_in_reverse_order() -> None:
    pod = with_sidecars("a", "b", "c1")
    pod.spec.containers.append(core.Container(name="d", image="i"))
    out = running(pod).handle(deleted(pod, 60), T0)
    assert stops(out) == {
        "c": (60, True, ()),
        "d": (60, True, ()),
        "c1": (60, True, ("c", "d")),
        "b": (60, True, ("c", "d", "c1")),
        "a": (60, True, ("c", "d", "c1", "b")),
    }


def test_what_does_not_run_is_not_waited_for() -> None:
    pod = with_sidecars("a", "b", policy="Never")
    machine = running(pod)
    out = end(machine, "c")
    assert stops(out) == {"b": (60, True, ()), "a": (60, True, ("b",))}, "a pod whose containers are done ends as well"


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (1, "Failed")])
def test_a_pod_is_running_as_long_as_a_sidecar_is(code: int, phase: str) -> None:
    machine = running(with_sidecars("a", policy="Never"))
    end(machine, "c", code)
    assert machine.status(T0).phase == "Running"
    end(machine, "a", 143)
    assert machine.status(T0).phase == phase


@pytest.mark.parametrize(
    ("first", "then", "after", "again"),
    [
        (300, 10, 5, (10, False, ())),
        (300, 0, 5, (2, False, ())),
        (300, 300, 5, None),
        (30, 60, 5, None),
        (30, 10, 25, None),
    ],
)
def test_a_second_deletion_may_give_less_time(first: int, then: int, after: int, again: object) -> None:
    """More never; and less only if it is over before the first."""
    pod = make()
    machine = running(pod)
    assert stops(machine.handle(deleted(pod, first), T0)) == {"c": (max(first, 2), True, ())}
    out = machine.handle(deleted(pod, then), T0 + timedelta(seconds=after))
    assert stops(out).get("c") == again
    assert not any(isinstance(i, instructions.Record) and i.event.reason == "Killing" for i in out)


def test_a_deletion_shortens_the_grace_of_a_probe() -> None:
    pod = make(liveness_probe=msgspec.structs.replace(PROBE, termination_grace_period_seconds=3600))
    machine = running(pod)
    out = machine.handle(stimuli.ProbeResult("c-0", "liveness", False, "no"), T0)
    assert stops(out) == {"c": (3600, True, ())}
    assert stops(machine.handle(deleted(pod, 30), T0)) == {"c": (30, False, ())}


@pytest.mark.parametrize("grace", [None, 0, 300])
def test_an_evicted_pod_has_no_time(grace: int | None) -> None:
    pod = make()
    pod.spec.termination_grace_period_seconds = grace
    machine = running(pod)
    assert stops(machine.handle(stimuli.Evicted("Evicted", "no room"), T0)) == {"c": (2, True, ())}
    assert stops(machine.handle(deleted(pod, 300), T0)) == {}, "its deletion does not lengthen it"


def test_what_is_being_stopped_may_still_become_unready() -> None:
    """And is not asked whether it lives."""
    pod = make(readiness_probe=PROBE, liveness_probe=PROBE)
    machine = running(pod)
    machine.handle(stimuli.ProbeResult("c-0", "readiness", True), T0)
    machine.handle(stimuli.ProbeResult("c-0", "liveness", True), T0)
    machine.handle(deleted(pod, 30), T0)
    assert machine.status(T0).container_statuses[0].ready
    out = machine.handle(stimuli.Tick(), T0 + timedelta(seconds=2))
    assert [i.kind for i in out if isinstance(i, instructions.Probe)] == ["readiness"]
    machine.handle(stimuli.ProbeResult("c-0", "readiness", False, "no"), T0 + timedelta(seconds=2))
    status = machine.status(T0)
    assert not status.container_statuses[0].ready
    assert {c.type: c.status for c in status.conditions}["Ready"] == "False"


def test_a_pull_that_does_not_end_keeps_no_pod() -> None:
    async def body(world: World) -> None:
        world.runtime.present = False

        async def for_ever(image: str, auth: str = "") -> Image:
            await asyncio.Event().wait()
            raise AssertionError("never")

        world.runtime.pull_image = for_ever  # type: ignore[method-assign]
        await world.run()
        assert world.reasons() == ["Pulling"]
        await world.delete()
        assert world.gone == ["u"] and world.reasons() == ["Pulling"]

    play(make_worked(), body)


def test_a_post_start_hook_that_does_not_end_keeps_no_pod() -> None:
    """Its container is stopped as any other, with its preStop hook."""

    async def body(world: World) -> None:
        begun: list[core.LifecycleHandler] = []

        async def hook(
            pod: core.Pod, container: core.Container, container_id: str, handler: core.LifecycleHandler, ip: str
        ) -> None:
            begun.append(handler)
            if len(begun) == 1:
                await asyncio.Event().wait()

        world.prober.hook = hook  # type: ignore[method-assign]
        await world.run()
        assert world.reasons() == ["Pulled", "Created", "Started"]
        await world.delete()
        assert world.reasons() == ["Pulled", "Created", "Started", "Killing"]
        assert len(begun) == 2 and world.gone == ["u"]

    play(make_worked(lifecycle=core.Lifecycle(post_start=HOOK, pre_stop=HOOK)), body)


@pytest.mark.parametrize(
    ("main_takes", "graces"), [(5.0, [("c", 20.0), ("a", 15.0)]), (60.0, [("c", 20.0), ("a", 2.0)])]
)
def test_a_sidecar_is_stopped_when_its_turn_has_come(main_takes: float, graces: list[tuple[str, float]]) -> None:
    """Or when the pod's time is over."""
    pod = make_worked()
    pod.spec.init_containers = [core.Container(name="a", image="i", restart_policy="Always")]

    async def body(world: World) -> None:
        await world.run()
        stopped: list[tuple[str, float]] = []
        stop = world.runtime.stop_container

        async def slow(container_id: str, grace: float) -> None:
            name = world.runtime.containers[container_id].name
            stopped.append((name, grace))
            await world.clock.sleep(main_takes if name == "c" else 0)
            await stop(container_id, grace)

        world.runtime.stop_container = slow  # type: ignore[method-assign]
        gone = msgspec.structs.replace(
            world.pod,
            metadata=msgspec.structs.replace(
                world.pod.metadata, deletion_timestamp=T0, deletion_grace_period_seconds=20
            ),
        )
        world.worker.handle(stimuli.SpecChanged(gone))
        await world.run(100)
        assert stopped == graces and world.gone == ["u"]

    play(pod, body)
