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

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock(VirtualClock):
    """Its sleeps are over at once, and remembered."""

    def __init__(self) -> None:
        super().__init__(epoch=NOW)
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


class FakeServer:
    """Takes events; raises what it is told to, first."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.created: list[core.Event] = []
        self.patched: list[tuple[str, Any]] = []

    async def create(self, event: core.Event) -> core.Event:
        if self.troubles:
            raise self.troubles.pop(0)
        self.created.append(event)
        return event

    async def patch(self, kind: Any, name: str, namespace: str, patch: Any, **_: Any) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.patched.append((name, patch))


def about(name: str = "a") -> core.Pod:
    return core.Pod(metadata=meta.ObjectMeta(name=name, namespace="ns", uid=name))


def record(server: FakeServer, *messages: str, reason: str = "R") -> list[float]:
    """Sends an event a message; the pauses that were made."""
    clock = Clock()

    async def main() -> None:
        client: Any = server
        broadcaster = EventBroadcaster(client, clock)
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
    server = FakeServer()
    record(server, "hello")
    event = server.created[0]
    assert event.metadata.name == f"a.{int(NOW.timestamp()) * 10**9:x}" and event.metadata.namespace == "ns"
    assert (event.reason, event.message, event.type, event.count) == ("R", "hello", "Normal", 1)
    assert (event.source.component, event.reporting_component) == ("test-controller", "test-controller")
    assert (event.involved_object.kind, event.involved_object.uid) == ("Pod", "a")


def test_the_same_again_is_counted() -> None:
    server = FakeServer()
    record(server, "x", "x", "x", "y")
    assert [e.message for e in server.created] == ["x", "y"]
    assert [(name, patch["count"]) for name, patch in server.patched] == [
        (server.created[0].metadata.name, n) for n in (2, 3)
    ]


def test_similar_ones_are_combined() -> None:
    server = FakeServer()
    record(server, *(f"m{number}" for number in range(12)))
    assert len(server.created) == 10
    assert server.created[-1].message == "(combined from similar events): m9"
    assert [patch["message"] for _, patch in server.patched] == [
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
    server = FakeServer()
    record(server, "x")
    known = FakeServer()
    record(known, "x", "x")
    assert len(known.created) == 1 and len(known.patched) == 1

    class Forgetful(FakeServer):
        async def patch(self, kind: Any, name: str, namespace: str, patch: Any, **_: Any) -> None:
            raise not_found("", "events", name)

    forgetful = Forgetful()
    record(forgetful, "x", "x")
    assert [e.count for e in forgetful.created] == [1, 2]
    assert forgetful.created[0].metadata.name != forgetful.created[1].metadata.name


@pytest.mark.parametrize(
    ("troubles", "created", "pauses"),
    [
        ([ConnectionError("no")], 1, [RETRY_SECONDS]),
        ([StatusError({"code": 422, "message": "no"})], 0, []),
        ([TimeoutError()] * 99, 0, [RETRY_SECONDS] * (TRIES - 1)),
    ],
)
def test_trouble(troubles: list[Exception], created: int, pauses: list[float]) -> None:
    server = FakeServer(*troubles)
    assert record(server, "x") == pauses
    assert len(server.created) == created


def test_a_full_queue_drops_and_counts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(eventoutbox.Outbox.__init__, "__defaults__", (4, 1))
    broadcaster = EventBroadcaster(FakeServer(), Clock())  # type: ignore[arg-type]  # only create and patch are used
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
