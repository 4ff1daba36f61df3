"""Which containers run again: the container's rules, its own policy, the pod's (KEP-5307), and what the pod's phase is then.

The kind: fields of a container that decide about its restarts and were accepted without effect. Inputs beside the usual ones:
NotIn, a rule that does not match, an init container's own policy, and a probe's event for a container that may restart in a
pod that may not.
"""

from __future__ import annotations

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import instructions, stimuli
from pybernetes.kubelet.machine.restarts import restarts_by_policy

from .test_pod import Driver, make


def rule(action: str, operator: str, *values: int) -> core.ContainerRestartRule:
    codes = core.ContainerRestartRuleOnExitCodes(operator=operator, values=list(values))
    return core.ContainerRestartRule(action=action, exit_codes=codes)


@pytest.mark.parametrize(
    ("own", "rules", "pod_policy", "code", "again"),
    [
        (None, [], "Always", 0, True),
        (None, [], "OnFailure", 0, False),
        ("Never", [], "Always", 1, False),
        ("Always", [], "Never", 0, True),
        ("OnFailure", [], "Never", 1, True),
        ("OnFailure", [], "Always", 0, False),
        ("Never", [rule("Restart", "In", 42, 43)], "Never", 43, True),
        ("Never", [rule("Restart", "In", 42)], "Always", 1, False),
        ("Never", [rule("Restart", "NotIn", 0, 1)], "Never", 2, True),
        ("Never", [rule("Restart", "NotIn", 0, 1)], "Never", 1, False),
        ("Never", [rule("RestartAllContainers", "In", 9)], "Never", 9, True),
    ],
)
def test_rules_come_before_policies(
    own: str | None, rules: list[core.ContainerRestartRule], pod_policy: str, code: int, again: bool
) -> None:
    container = core.Container(name="c", restart_policy=own, restart_policy_rules=rules)
    assert restarts_by_policy(container, pod_policy, code, init=False) is again


def test_init_containers_that_succeeded_are_done_whatever_their_policy() -> None:
    for own in (None, "OnFailure", "Never"):
        container = core.Container(name="i", restart_policy=own)
        assert not restarts_by_policy(container, "Always", 0, init=True)
    assert restarts_by_policy(core.Container(name="i"), "OnFailure", 1, init=True)
    assert not restarts_by_policy(core.Container(name="i", restart_policy="Never"), "Always", 1, init=True)


def test_the_phase_follows_the_containers_own_policy() -> None:
    driver = Driver(make("Always", restart_policy="Never"))
    driver.end("c", 3)
    assert (driver.status.phase, driver.count(instructions.StartContainer)) == ("Failed", 1)
    driver = Driver(make("Never", restart_policy="Never", restart_policy_rules=[rule("Restart", "In", 3)]))
    driver.end("c", 3)
    assert (driver.status.phase, driver.count(instructions.StartContainer)) == ("Running", 2)
    driver.end("c", 0)
    assert driver.status.phase == "Succeeded"


def test_all_containers_begin_again_together() -> None:
    pod = make("Never", init=1, restart_policy="Never", restart_policy_rules=[rule("RestartAllContainers", "In", 9)])
    pod.spec.containers.append(core.Container(name="d", image="i"))
    driver = Driver(pod)
    driver.end("i0", 0)
    assert driver.machine.slots["d"].running
    before = len(driver.log)
    driver.end("c", 9)
    assert driver.wake is None or not driver.machine.finished
    for _ in range(3):  # what is backed off comes later
        if driver.wake is not None and driver.wake > driver.now:
            driver.tick((driver.wake - driver.now).total_seconds())
        if driver.machine.slots["i0"].running:
            driver.end("i0", 0)
    later = driver.log[before:]
    assert [(i.container.name, i.hook) for i in later if isinstance(i, instructions.StopContainer)] == [("d", False)]
    assert [i.container for i in later if isinstance(i, instructions.StartContainer)] == ["i0", "c", "d"]
    assert not any(isinstance(i, instructions.CreateSandbox | instructions.StopSandbox) for i in later)
    shown = [
        c.status for i in later if isinstance(i, instructions.SetStatus) for c in i.status.conditions if "All" in c.type
    ]
    assert (shown[0], shown[-1], driver.status.phase) == ("True", "False", "Running")


def test_a_container_that_may_restart_is_told_so_by_its_probe() -> None:
    probe = core.Probe(period_seconds=1, failure_threshold=1)
    driver = Driver(make("Never", restart_policy="Always", liveness_probe=probe))
    driver.send(stimuli.ProbeResult("c-0", "liveness", False, "x"))
    texts = [i.event.message for i in driver.log if isinstance(i, instructions.Record) and i.event.reason == "Killing"]
    assert texts == ["Container c failed liveness probe, will be restarted"]
    assert driver.machine.slots["c"].running


def test_words_of_events_and_states() -> None:
    driver = Driver(make())
    driver.end("c", 1)
    driver.end("c", 1)
    texts = {i.event.reason: i.event.message for i in driver.log if isinstance(i, instructions.Record)}
    assert texts["BackOff"] == "Back-off restarting failed container c in pod p_ns(u)"
    assert (texts["Created"], texts["Started"]) == ("Container created", "Container started")
    driver.send(stimuli.HookFailed("c", "PreStop"))
    driver.send(stimuli.ProbeResult("c-1", "liveness", None, "gone"))
    driver.machine.slots["c"].step = "image"
    driver.send(
        stimuli.ImageFailed("c", "ErrImagePull", "no such manifest", 'Failed to pull image "i": no such manifest')
    )
    driver.tick(3)
    waiting = driver.status.container_statuses[0].state.waiting
    assert waiting is not None
    assert (waiting.reason, waiting.message) == (
        "ImagePullBackOff",
        'Back-off pulling image "i": ErrImagePull: no such manifest',
    )
    texts = {i.event.reason: i.event.message for i in driver.log if isinstance(i, instructions.Record)}
    assert texts["FailedPreStopHook"] == "PreStopHook failed"
    assert texts["BackOff"] == 'Back-off pulling image "i"'


def test_an_evicted_pod_is_marked_as_disrupted() -> None:
    driver = Driver(make())
    driver.send(stimuli.Evicted("Evicted", "The node was low on resource: memory. "))
    [condition] = [c for c in driver.status.conditions if c.type == "DisruptionTarget"]
    assert (condition.status, condition.reason) == ("True", "TerminationByKubelet")
    assert condition.message == driver.status.message == "The node was low on resource: memory. "
