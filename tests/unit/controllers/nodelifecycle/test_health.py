"""What is said of nodes and zones: grace periods, taints, labels, disruption, rates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import TAINT_NODE_NOT_READY, TAINT_NODE_UNREACHABLE, TAINT_NODE_UNSCHEDULABLE
from pybernetes.controllers.nodelifecycle.health import (
    Bucket,
    Health,
    Rates,
    ZoneState,
    desired_labels,
    examine,
    no_execute_taints,
    no_schedule_taints,
    not_ready_conditions,
    zone_of,
    zone_state,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UPTIME, GRACE, STARTUP = 7000.0, 50.0, 60.0
BEAT = NOW - timedelta(hours=1)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def node(ready: str | None = "True", heartbeat: datetime = BEAT, taints: list[core.Taint] | None = None) -> core.Node:
    conditions = []
    if ready is not None:
        conditions.append(core.NodeCondition(type="Ready", status=ready, last_heartbeat_time=heartbeat))
    return core.Node(
        metadata=meta.ObjectMeta(name="n", creation_timestamp=NOW),
        spec=core.NodeSpec(taints=taints or []),
        status=core.NodeStatus(conditions=conditions),
    )


def test_a_node_is_given_its_grace_period_from_when_it_was_first_seen() -> None:
    first = examine(node(), "", None, NOW, UPTIME, GRACE, STARTUP)
    assert (first.observed, first.current, first.conditions) == ("True", "True", None)
    still = examine(node(), "", first.health, after(50), UPTIME + 50, GRACE, STARTUP)
    assert still.conditions is None
    lost = examine(node(), "", still.health, after(51), UPTIME + 51, GRACE, STARTUP)
    assert (lost.observed, lost.current) == ("True", "Unknown")
    assert lost.conditions is not None
    assert [(c.type, c.status, c.reason) for c in lost.conditions] == [
        ("Ready", "Unknown", "NodeStatusUnknown"),
        ("MemoryPressure", "Unknown", "NodeStatusNeverUpdated"),
        ("DiskPressure", "Unknown", "NodeStatusNeverUpdated"),
        ("PIDPressure", "Unknown", "NodeStatusNeverUpdated"),
    ]
    assert lost.conditions[0].last_heartbeat_time == BEAT
    assert lost.conditions[0].message == "Kubelet stopped posting node status."


def test_a_heartbeat_or_a_renewed_lease_is_news() -> None:
    known = Health(UPTIME, BEAT, "2026-01-01T00:00:00.000000Z")
    beat = examine(node(heartbeat=NOW), "", known, after(40), UPTIME + 40, GRACE, STARTUP)
    assert beat.health.heard == UPTIME + 40
    renewed = examine(node(), "2026-01-01T00:00:10.000000Z", known, after(45), UPTIME + 45, GRACE, STARTUP)
    assert renewed.health.heard == UPTIME + 45
    stale = examine(node(), "2026-01-01T00:00:00.000000Z", known, after(45), UPTIME + 45, GRACE, STARTUP)
    assert stale.health.heard == UPTIME


def test_what_was_told_is_not_told_again() -> None:
    known = Health(UPTIME, BEAT)
    again = examine(node("Unknown"), "", known, after(100), UPTIME + 100, GRACE, STARTUP)
    assert (again.observed, again.current, again.conditions) == ("Unknown", "Unknown", None)


def test_a_node_that_never_posted_gets_the_startup_period_from_its_creation() -> None:
    young = examine(node(None), "", None, after(60), UPTIME + 60, GRACE, STARTUP)
    assert young.current is None and young.conditions is None and young.health.heard == UPTIME
    old = examine(node(None), "", young.health, after(61), UPTIME + 61, GRACE, STARTUP)
    assert old.current == "Unknown" and old.conditions is not None and len(old.conditions) == 4


HOUR = 3600


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_wall_clock_that_jumps_makes_no_node_silent_and_no_silent_node_heard(step: int) -> None:
    """The kind: silence measured on a clock that may be put right; ours forward, ours back, before and after the silence began."""
    first = examine(node(), "", None, NOW, UPTIME, GRACE, STARTUP)
    still = examine(node(), "", first.health, after(50 + step), UPTIME + 50, GRACE, STARTUP)
    assert still.current == "True" and still.conditions is None
    lost = examine(node(), "", still.health, after(51 + step), UPTIME + 51, GRACE, STARTUP)
    assert lost.current == "Unknown"


def test_a_node_that_renews_with_earlier_times_is_alive() -> None:
    """Its clock was put back by an hour: the lease's renewTime is before the one that was seen."""
    before = Health(UPTIME, BEAT, "2026-01-01T01:00:00.000000Z")
    renewed = examine(node(), "2026-01-01T00:00:10.000000Z", before, after(45), UPTIME + 45, GRACE, STARTUP)
    assert renewed.health.heard == UPTIME + 45


def test_a_node_made_in_the_future_is_given_no_more_than_its_startup_period() -> None:
    """The clock was put back between its creation and the first look."""
    young = examine(node(None), "", None, after(-HOUR), UPTIME, GRACE, STARTUP)
    assert young.health.heard == UPTIME
    assert examine(node(None), "", young.health, after(-HOUR), UPTIME + 61, GRACE, STARTUP).current == "Unknown"


def keys(taints: list[core.Taint] | None) -> list[str] | None:
    return None if taints is None else [f"{t.key.rpartition('/')[2]}:{t.effect}" for t in taints]


@pytest.mark.parametrize(
    ("conditions", "unschedulable", "before", "expected"),
    [
        ({"Ready": "True"}, False, [], None),
        ({"Ready": "False"}, False, [], ["not-ready:NoSchedule"]),
        ({"Ready": "Unknown"}, False, [TAINT_NODE_NOT_READY], ["unreachable:NoSchedule"]),
        ({"Ready": "True"}, False, [TAINT_NODE_NOT_READY], []),
        ({"Ready": "True"}, True, [], ["unschedulable:NoSchedule"]),
        ({"Ready": "True"}, False, [TAINT_NODE_UNSCHEDULABLE], []),
        (
            {"Ready": "True", "MemoryPressure": "True", "DiskPressure": "Unknown"},
            False,
            [],
            ["memory-pressure:NoSchedule"],
        ),
        ({"Ready": "True"}, False, ["example.com/mine"], None),
    ],
)
def test_no_schedule_taints(
    conditions: dict[str, str], unschedulable: bool, before: list[str], expected: list[str] | None
) -> None:
    given = core.Node(
        spec=core.NodeSpec(
            unschedulable=unschedulable, taints=[core.Taint(key=key, effect="NoSchedule") for key in before]
        ),
        status=core.NodeStatus(conditions=[core.NodeCondition(type=t, status=s) for t, s in conditions.items()]),
    )
    assert keys(no_schedule_taints(given, NOW)) == expected


def test_no_execute_taints_exclude_each_other() -> None:
    mine = core.Taint(key="mine", effect="NoExecute")
    tainted = node(taints=[mine, core.Taint(key=TAINT_NODE_UNREACHABLE, effect="NoExecute")])
    assert keys(no_execute_taints(tainted, TAINT_NODE_NOT_READY, NOW)) == ["mine:NoExecute", "not-ready:NoExecute"]
    assert no_execute_taints(tainted, TAINT_NODE_UNREACHABLE, NOW) is None
    assert keys(no_execute_taints(tainted, "", NOW)) == ["mine:NoExecute"]
    assert no_execute_taints(node(), "", NOW) is None


def test_labels_follow_the_stable_ones() -> None:
    assert desired_labels({"kubernetes.io/os": "linux"}) == {"beta.kubernetes.io/os": "linux"}
    assert desired_labels({"kubernetes.io/arch": "a", "beta.kubernetes.io/arch": "b"}) == {
        "beta.kubernetes.io/arch": "a"
    }
    assert desired_labels({"kubernetes.io/os": "x", "beta.kubernetes.io/os": "x"}) == {}
    assert desired_labels({}) == {}


def test_only_ready_pods_become_not_ready() -> None:
    ready = core.Pod(status=core.PodStatus(conditions=[core.PodCondition(type="Ready", status="True")]))
    found = not_ready_conditions(ready, NOW)
    assert found is not None and (found[0].status, found[0].last_transition_time) == ("False", NOW)
    assert not_ready_conditions(core.Pod(status=core.PodStatus(conditions=found)), NOW) is None
    assert not_ready_conditions(core.Pod(), NOW) is None


def test_zone_of() -> None:
    def labelled(**labels: str) -> core.Node:
        return core.Node(metadata=meta.ObjectMeta(labels={k.replace("__", "/"): v for k, v in labels.items()}))

    assert zone_of(labelled()) == ""
    given = {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"}
    assert zone_of(core.Node(metadata=meta.ObjectMeta(labels=given))) == "r:\x00:z"
    old = {"failure-domain.beta.kubernetes.io/zone": "z"}
    assert zone_of(core.Node(metadata=meta.ObjectMeta(labels=old))) == ":\x00:z"


@pytest.mark.parametrize(
    ("ready", "lost", "expected"),
    [
        (5, 0, ZoneState.NORMAL),
        (1, 2, ZoneState.NORMAL),  # three lost nodes make a disruption, two do not
        (2, 3, ZoneState.PARTIAL_DISRUPTION),
        (3, 3, ZoneState.NORMAL),
        (0, 1, ZoneState.FULL_DISRUPTION),
        (0, 0, ZoneState.NORMAL),
    ],
)
def test_zone_state(ready: int, lost: int, expected: ZoneState) -> None:
    statuses: list[str | None] = ["True"] * ready + ["Unknown"] * (lost - 1) + [None] * min(lost, 1)
    assert zone_state(statuses, 0.55) is expected


def test_rates() -> None:
    rates = Rates(0.1, 0.01, 50)
    assert rates.of(ZoneState.NORMAL, 5) == 0.1
    assert rates.of(ZoneState.FULL_DISRUPTION, 5) == 0.1
    assert rates.of(ZoneState.PARTIAL_DISRUPTION, 51) == 0.01
    assert rates.of(ZoneState.PARTIAL_DISRUPTION, 50) == 0.0


def test_bucket() -> None:
    bucket = Bucket(0.1, 0.0)
    assert bucket.take(0.0) == 0.0
    assert bucket.take(0.0) == pytest.approx(10.0)
    assert bucket.take(4.0) == pytest.approx(6.0)
    assert bucket.take(10.0) == 0.0
    bucket.set_rate(0.0)
    assert bucket.take(1000.0) is None
    bucket.set_rate(0.5)
    assert bucket.take(1000.0) == 0.0
    assert bucket.take(1000.0) == pytest.approx(2.0)
