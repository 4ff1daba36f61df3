"""Events of the new form."""

from __future__ import annotations

import asyncio
from typing import Literal

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.eventseries import NOTE_LIMIT, SERIES_SECONDS, SeriesBroadcaster, note
from pybernetes.client.memory import MemoryClient

POD = core.Pod(metadata=meta.ObjectMeta(name="p", namespace="default", uid="p"))


def play(
    *moments: float, gone: bool = False, kind: Literal["Normal", "Warning"] = "Warning", messages: str = "m"
) -> MemoryClient:
    """The same event at these seconds."""

    async def main() -> MemoryClient:
        server, clock = MemoryClient(), VirtualClock()
        broadcaster = SeriesBroadcaster(server, clock, "h")
        recorder = broadcaster.recorder("default-scheduler")
        work = asyncio.ensure_future(broadcaster.run())
        for index, seconds in enumerate(moments):
            await clock.advance(seconds - clock.monotonic())
            if gone and index:
                server.fail(errors.not_found("", "events", "p"), "patch", core.Event)
            recorder.event(POD, None, kind, "R", "A", messages[index % len(messages)])
            for _ in range(20):
                await asyncio.sleep(0)
        await clock.advance(2 * SERIES_SECONDS)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return server

    return asyncio.run(main())


def test_repetitions_are_counted_on_the_first() -> None:
    server = play(0, 1, 2, 3)
    (event,) = server.all(core.Event)
    assert (event.action, event.reason, event.type, event.message) == ("A", "R", "Warning", "m")
    assert (event.count, event.first_timestamp, event.event_time) == (0, None, "2026-01-01T00:00:00.000000Z")
    assert [(patch.name, patch.body["series"]["count"]) for patch in server.asked("patch")] == [
        (event.metadata.name, 2),  # at once
        (event.metadata.name, 4),  # when it is over
    ]


def test_after_a_while_it_is_a_new_event() -> None:
    assert len(play(0, SERIES_SECONDS + 1).all(core.Event)) == 2


def test_a_series_keeps_its_first_message() -> None:
    server = play(0, 1, messages="ab")
    assert [event.message for event in server.all(core.Event)] == ["a"]
    assert len(server.asked("patch")) == 1


def test_an_event_that_the_server_dropped_is_made_anew() -> None:
    assert len(play(0, 1, gone=True).all(core.Event)) == 2


def test_names_never_repeat() -> None:
    names = [event.metadata.name for event in play(0, 0, 0, kind="Normal").all(core.Event)]
    assert len(set(names)) == 3


def test_long_messages_are_cut() -> None:
    assert note("x" * NOTE_LIMIT) == "x" * NOTE_LIMIT
    cut = note("ä" * NOTE_LIMIT)
    assert len(cut.encode()) <= NOTE_LIMIT and cut.endswith(" ...")
