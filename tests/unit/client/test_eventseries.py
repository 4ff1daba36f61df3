"""Events of the new form."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.eventseries import NOTE_LIMIT, SERIES_SECONDS, SeriesBroadcaster, note

POD = core.Pod(metadata=meta.ObjectMeta(name="p", namespace="default", uid="p"))


class Server:
    """Keeps what it is sent; `gone` makes it forget the events that it was told to repeat."""

    def __init__(self) -> None:
        self.created: list[Any] = []
        self.patched: list[tuple[str, Any]] = []
        self.gone = False

    async def create(self, event: Any) -> Any:
        self.created.append(event)
        return event

    async def patch(self, kind: Any, name: str, namespace: str, patch: Any, **options: Any) -> None:
        if self.gone:
            raise errors.not_found("", "events", name)
        self.patched.append((name, patch))


def play(
    *moments: float, gone: bool = False, kind: Literal["Normal", "Warning"] = "Warning", messages: str = "m"
) -> Server:
    """The same event at these seconds."""

    async def main() -> Server:
        server, clock = Server(), VirtualClock()
        broadcaster = SeriesBroadcaster(server, clock, "h")  # type: ignore[arg-type]  # two verbs
        recorder = broadcaster.recorder("default-scheduler")
        work = asyncio.ensure_future(broadcaster.run())
        for index, seconds in enumerate(moments):
            await clock.advance(seconds - clock.monotonic())
            server.gone = gone and index > 0
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
    (event,) = server.created
    assert (event.action, event.reason, event.type, event.message) == ("A", "R", "Warning", "m")
    assert (event.count, event.first_timestamp, event.event_time) == (0, None, "2026-01-01T00:00:00.000000Z")
    assert [(name, patch["series"]["count"]) for name, patch in server.patched] == [
        (event.metadata.name, 2),  # at once
        (event.metadata.name, 4),  # when it is over
    ]


def test_after_a_while_it_is_a_new_event() -> None:
    assert len(play(0, SERIES_SECONDS + 1).created) == 2


def test_a_series_keeps_its_first_message() -> None:
    server = play(0, 1, messages="ab")
    assert [event.message for event in server.created] == ["a"]
    assert len(server.patched) == 1


def test_an_event_that_the_server_dropped_is_made_anew() -> None:
    assert len(play(0, 1, gone=True).created) == 2


def test_names_never_repeat() -> None:
    names = [event.metadata.name for event in play(0, 0, 0, kind="Normal").created]
    assert len(set(names)) == 3


def test_long_messages_are_cut() -> None:
    assert note("x" * NOTE_LIMIT) == "x" * NOTE_LIMIT
    cut = note("ä" * NOTE_LIMIT)
    assert len(cut.encode()) <= NOTE_LIMIT and cut.endswith(" ...")
