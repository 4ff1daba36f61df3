"""Which of a cluster's events are told when it does not come up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pybernetes.api.types import core_v1 as core
from pybernetes.cluster.signs import TOLD, newest_warnings

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(name: str, reason: str, message: str, second: int = 0, kind: str = "Warning") -> core.Event:
    about = core.ObjectReference(kind="Pod", namespace="ns", name=name, uid=f"uid-{name}")
    moment = START + timedelta(seconds=second)
    return core.Event(type=kind, reason=reason, message=message, involved_object=about, last_timestamp=moment)


def test_the_newest_come_first_and_what_is_normal_not_at_all() -> None:
    events = [event("a", "Old", "o", 1), event("b", "New", "n", 2), event("c", "Fine", "f", 3, "Normal")]
    assert newest_warnings(events) == ["pod ns/b: New: n", "pod ns/a: Old: o"]


def test_what_many_pods_suffer_from_is_told_once() -> None:
    events = [event(f"p{i}", "Failed", f"sandbox of p{i}_ns(uid-p{i}) has no network", i) for i in range(9)]
    assert newest_warnings(events) == ["pod ns/p8: Failed: sandbox of p8_ns(uid-p8) has no network"]


def test_no_more_than_a_few() -> None:
    assert len(newest_warnings([event("p", f"R{i}", "m", i) for i in range(50)])) == TOLD
    assert newest_warnings([]) == []


def test_events_of_the_new_kind_have_another_time() -> None:
    new = core.Event(type="Warning", reason="New", message="n", event_time="2026-01-01T00:00:09.000000Z")
    new.involved_object = core.ObjectReference(kind="Node", name="x")
    assert newest_warnings([event("a", "Old", "o", 1), new])[0] == "node x: New: n"
