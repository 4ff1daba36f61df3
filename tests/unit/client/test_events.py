"""Events: counted, combined, held back, sent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.errors import StatusError, not_found
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client import eventoutbox
from pybernetes.client.eventcorrelator import BURST, Correlator
from pybernetes.client.eventoutbox import RETRY_SECONDS, TRIES
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock(VirtualClock):
    """Its sleeps are over at once, and remembered."""

    def __init__(self) -> None:
        super().__init__(epoch=NOW)
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def created(server: MemoryClient) -> list[core.Event]:
    return [request.body for request in server.asked("create")]


def patched(server: MemoryClient) -> list[tuple[str, Any]]:
    return [(request.name, request.body) for request in server.asked("patch")]


def about(name: str = "a") -> core.Pod:
    return core.Pod(metadata=meta.ObjectMeta(name=name, namespace="ns", uid=name))


def record(server: MemoryClient, *messages: str, reason: str = "R") -> list[float]:
    """Sends an event a message; the pauses that were made."""
    clock = Clock()

    async def main() -> None:
        broadcaster = EventBroadcaster(server, clock)
        task = asyncio.ensure_future(broadcaster.run())
        recorder = broadcaster.recorder("test-controller")
        for message in messages:
            recorder.normal(about(), reason, message)
        await broadcaster.flush()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    return clock.pauses


def test_an_event() -> None:
    server = MemoryClient()
    record(server, "hello")
    (event,) = created(server)
    name, _, stamp = event.metadata.name.partition(".")
    assert (name, int(stamp, 16) // 1000) == ("a", int(NOW.timestamp()) * 10**6)
    assert event.metadata.namespace == "ns"
    assert (event.reason, event.message, event.type, event.count) == ("R", "hello", "Normal", 1)
    assert (event.source.component, event.reporting_component) == ("test-controller", "test-controller")
    assert (event.involved_object.kind, event.involved_object.uid) == ("Pod", "a")


def test_several_that_tell_at_the_same_moment_have_events_of_their_own() -> None:
    """As scheduler and kubelet do of a pod where a clock stands: the second one was refused, and lost."""
    server = MemoryClient()
    record(server, "a", "b", "c")
    record(server, "d", "e", "f", reason="other")
    assert len({event.metadata.name for event in created(server)}) == 6


def test_the_same_again_is_counted() -> None:
    server = MemoryClient()
    record(server, "x", "x", "x", "y")
    assert [e.message for e in created(server)] == ["x", "y"]
    assert [(name, patch["count"]) for name, patch in patched(server)] == [
        (created(server)[0].metadata.name, n) for n in (2, 3)
    ]


def test_similar_ones_are_combined() -> None:
    server = MemoryClient()
    record(server, *(f"m{number}" for number in range(12)))
    assert len(created(server)) == 10
    assert created(server)[-1].message == "(combined from similar events): m9"
    assert [patch["message"] for _, patch in patched(server)] == [
        f"(combined from similar events): m{n}" for n in (10, 11)
    ]


def test_a_flood_is_held_back() -> None:
    correlator = Correlator()

    def send(number: int, moment: datetime) -> bool:
        reference = core.ObjectReference(kind="Pod", name="a", namespace="ns")
        event = core.Event(involved_object=reference, reason=f"R{number}", message="m", count=1)
        return correlator.correlate(event, moment) is not None

    assert [send(number, NOW) for number in range(30)] == [True] * BURST + [False] * 5
    assert not send(100, NOW + timedelta(seconds=200))
    assert send(101, NOW + timedelta(seconds=301))


def test_an_event_that_was_deleted_is_made_again() -> None:
    server = MemoryClient()
    server.fail(not_found("", "events", "a"), "patch", core.Event)
    record(server, "x", "x")
    assert [e.count for e in created(server)] == [1, 2]
    assert created(server)[0].metadata.name != created(server)[1].metadata.name


@pytest.mark.parametrize(
    ("troubles", "stored", "pauses"),
    [
        ([ConnectionError("no")], 1, [RETRY_SECONDS]),
        ([StatusError({"code": 422, "message": "no"})], 0, []),
        ([TimeoutError()] * 99, 0, [RETRY_SECONDS] * (TRIES - 1)),
    ],
)
def test_trouble(troubles: list[Exception], stored: int, pauses: list[float]) -> None:
    server = MemoryClient()
    for trouble in troubles:
        server.fail(trouble, "create", core.Event)
    assert record(server, "x") == pauses
    assert len(server.all(core.Event)) == stored


def test_a_full_queue_drops_and_counts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(eventoutbox.Outbox.__init__, "__defaults__", (4, 1))
    broadcaster = EventBroadcaster(MemoryClient(), Clock())
    recorder = broadcaster.recorder("test")

    async def main() -> None:
        for number in range(7):
            recorder.normal(about(str(number)), "R", f"m{number}")
        sender = asyncio.ensure_future(broadcaster.run())
        await broadcaster.flush()
        recorder.normal(about("last"), "R", "last")
        await broadcaster.flush()
        sender.cancel()

    asyncio.run(main())
    assert [r.getMessage() for r in caplog.records] == [
        "events are dropped, the queue is full: R m4",
        "3 events were dropped",
    ]
