"""What is told of containers that a pod which is over has no end of.

The kind: a Failed pod whose containers wait for ever ("ContainerCreating"), which who waits for their ends takes for one that begins.
Inputs beside a deadline before the start: init containers that were done, that failed, that are sidecars, and containers that run still.
"""

from __future__ import annotations

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import unlocated

WAITS = core.ContainerState(waiting=core.ContainerStateWaiting(reason="ContainerCreating"))
RUNS = core.ContainerState(running=core.ContainerStateRunning())
UNKNOWN = "ContainerStatusUnknown"


def end(code: int) -> core.ContainerState:
    return core.ContainerState(terminated=core.ContainerStateTerminated(exit_code=code, reason="R"))


def reasons(
    mains: list[core.ContainerState], inits: list[core.ContainerState], *, sidecar: bool = False, started: bool = False
) -> list[str]:
    """Of init containers, then of the others; "" for one that runs."""
    pod, statuses = core.Pod(), dict[str, core.ContainerStatus]()
    for index, state in enumerate(inits):
        policy = "Always" if sidecar else None
        pod.spec.init_containers.append(core.Container(name=f"i{index}", restart_policy=policy))
        statuses[f"i{index}"] = core.ContainerStatus(name=f"i{index}", state=state, started=started)
    for index, state in enumerate(mains):
        pod.spec.containers.append(core.Container(name=f"c{index}"))
        statuses[f"c{index}"] = core.ContainerStatus(name=f"c{index}", state=state)
    told = unlocated.ended(pod, statuses).values()
    return [reason(status.state) for status in told]


def reason(state: core.ContainerState) -> str:
    if state.terminated is not None:
        return state.terminated.reason
    return state.waiting.reason if state.waiting is not None else ""


@pytest.mark.parametrize(
    ("mains", "inits", "told"),
    [
        ([WAITS], [], [UNKNOWN]),
        ([end(0), WAITS], [], ["R", UNKNOWN]),
        ([RUNS, WAITS], [], ["", "ContainerCreating"]),
        ([WAITS], [WAITS], [UNKNOWN, "ContainerCreating"]),
        ([WAITS], [end(1)], ["R", "ContainerCreating"]),
        ([WAITS], [end(0)], ["R", UNKNOWN]),
        ([WAITS], [end(0), WAITS, WAITS], ["R", "ContainerCreating", "ContainerCreating", "ContainerCreating"]),
        ([end(1)], [WAITS], [UNKNOWN, "R"]),
    ],
)
def test_what_is_told(mains: list[core.ContainerState], inits: list[core.ContainerState], told: list[str]) -> None:
    assert reasons(mains, inits) == told


@pytest.mark.parametrize(("started", "told"), [(True, UNKNOWN), (False, "ContainerCreating")])
def test_a_sidecar_that_had_started(started: bool, told: str) -> None:
    assert reasons([WAITS], [end(137)], sidecar=True, started=started) == ["R", told]


def test_the_end_that_is_told_is_a_kill() -> None:
    pod = core.Pod(spec=core.PodSpec(containers=[core.Container(name="c")]))
    (status,) = unlocated.ended(pod, {"c": core.ContainerStatus(name="c", state=WAITS)}).values()
    assert status.state.terminated is not None
    assert (status.state.terminated.exit_code, status.state.terminated.message) == (137, unlocated.MESSAGE)
