"""The queue by virtual time."""

from __future__ import annotations

from typing import Any

from pybernetes.scheduler.framework.clusterevents import Event
from pybernetes.scheduler.framework.queue import Queue
from pybernetes.scheduler.model.pods import PodInfo, Shapes

from ..make import pod

SHAPES = Shapes()


def info(name: str, priority: int = 0) -> PodInfo:
    return SHAPES.info(pod(name, priority=priority))


def by_priority(info: PodInfo, since: float) -> tuple[int, float]:
    return -info.priority, since


def queue() -> Queue:
    def fits(waiting: PodInfo, old: Any, new: Any) -> bool:
        return bool(new == waiting.pod.metadata.name)

    return Queue(
        {"A": {Event.NODE_ADD: None, Event.NODE_LABELS: fits}, "B": {Event.ASSIGNED_POD_DELETE: None}}, by_priority
    )


def names(found: Queue, now: float) -> list[str]:
    taken = []
    while (queued := found.pop(now)) is not None:
        taken.append(queued.info.pod.metadata.name)
    return taken


def refused(found: Queue, name: str, plugins: tuple[str, ...], now: float) -> None:
    queued = found.get(f"default/{name}")
    assert queued is not None
    found.unschedulable(queued, plugins, now)


def test_the_more_important_goes_first_then_who_came_first() -> None:
    found = queue()
    for now, (name, priority) in enumerate([("a", 0), ("b", 5), ("c", 0), ("d", 5)]):
        found.add(info(name, priority), now)
    assert names(found, 9) == ["b", "d", "a", "c"]
    assert found.sizes() == {"active": 0, "backoff": 0, "unschedulable": 0, "gated": 0}


def test_only_what_may_help_brings_a_pod_back() -> None:
    found = queue()
    found.add(info("a"), 0)
    assert names(found, 0) == ["a"]
    refused(found, "a", ("A",), 0)
    found.move(Event.ASSIGNED_POD_DELETE, None, None, 5)
    assert names(found, 5) == []
    found.move(Event.NODE_LABELS, None, "other", 5)
    assert names(found, 5) == []
    found.move(Event.NODE_LABELS, None, "a", 5)
    assert names(found, 5) == ["a"]


def test_who_was_refused_for_no_plugin_comes_back_with_any_event() -> None:
    found = queue()
    found.add(info("a"), 0)
    names(found, 0)
    refused(found, "a", (), 0)
    found.move(Event.CLAIM_ADD, None, None, 0)
    assert names(found, 0) == ["a"]


def test_back_off_grows_to_ten_seconds_and_yields_to_active_pods() -> None:
    found = queue()
    found.add(info("a", 9), 0)
    for attempt, wait in enumerate([1, 2, 4, 8, 10, 10]):
        now = 100.0 * attempt
        assert names(found, now) == ["a"]
        refused(found, "a", ("A",), now)
        found.move(Event.NODE_ADD, None, None, now + 0.5)
        assert found.sizes()["backoff"] == 1
        assert found.next_due() == now + wait
    found.add(info("b"), 600)
    # b is less important, but a still backs off; with nothing else to do the wait is cut short.
    assert names(found, 501) == ["b", "a"]


def test_an_error_waits_out_its_back_off() -> None:
    found = queue()
    found.add(info("a"), 0)
    queued = found.pop(0)
    assert queued is not None
    found.failed(queued, 0)
    assert found.pop(0.9) is None
    assert found.next_due() == 1.0
    assert names(found, 1.0) == ["a"]


def test_five_minutes_without_an_event() -> None:
    found = queue()
    found.add(info("a"), 0)
    names(found, 0)
    refused(found, "a", ("B",), 10)
    found.flush(310)
    assert names(found, 310) == []
    found.flush(310.1)
    assert names(found, 310.1) == ["a"]


def test_gates() -> None:
    found = queue()
    found.add(info("a"), 0, gated=True)
    found.move(Event.NODE_ADD, None, None, 0)
    found.flush(1000)
    assert names(found, 1000) == []
    assert found.sizes()["gated"] == 1
    found.update(info("a"), 1000, gated=False, helps=True)
    assert names(found, 1000) == ["a"]


def test_a_pod_that_changed_is_tried_anew_if_that_may_help() -> None:
    found = queue()
    found.add(info("a"), 0)
    names(found, 0)
    refused(found, "a", ("A",), 0)
    found.update(info("a"), 5, gated=False, helps=False)
    assert names(found, 5) == []
    found.update(info("a"), 5, gated=False, helps=True)
    assert names(found, 5) == ["a"]


def test_a_pod_that_is_gone_comes_back_from_nowhere() -> None:
    found = queue()
    for place in range(3):
        found.add(info("a"), 0)
        queued = found.pop(0) if place else None
        if place == 1 and queued is not None:
            found.unschedulable(queued, ("A",), 0)
        found.delete("default/a")
        if place == 2 and queued is not None:
            found.failed(queued, 0)
            found.unschedulable(queued, (), 0)
        found.move(Event.NODE_ADD, None, None, 0)
        assert names(found, 100) == []


def test_who_came_how_is_counted() -> None:
    found = queue()
    found.add(info("a"), 0)
    names(found, 0)
    refused(found, "a", ("A",), 0)
    found.move(Event.NODE_ADD, None, None, 5)
    counted = {("active", "PodAdd"): 1, ("unschedulable", "ScheduleAttemptFailure"): 1, ("active", "NodeAdd"): 1}
    assert found.incoming == counted
