"""Loops of other threads on a clock that is sent ahead."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from pybernetes.aio import flowing, following
from pybernetes.aio.flowing import FlowingClock
from pybernetes.aio.outside import outside, waiting

HOUR = 3600.0


class Follower:
    """A coroutine on a thread, on a loop that follows; until the end of the block."""

    def __init__(self, clock: FlowingClock, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._clock, self._main = clock, main
        self._thread = threading.Thread(target=self._run)
        self.loop: asyncio.AbstractEventLoop

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._clock.follower) as runner:
            self.loop = runner.get_loop()
            self._task = self.loop.create_task(self._main())
            self._began.set()
            runner.run(asyncio.wait([self._task]))

    async def __aenter__(self) -> Follower:
        self._began = threading.Event()
        self._thread.start()
        await asyncio.to_thread(self._began.wait)
        while not self.loop.is_running():
            await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.loop.call_soon_threadsafe(self._task.cancel)
        await asyncio.to_thread(self._thread.join)


def test_timers_of_both_loops_ring_in_their_order() -> None:
    async def main() -> None:
        clock, told = FlowingClock(), list[tuple[str, int]]()
        began = clock.monotonic()

        async def every(name: str, seconds: float, sleep: Callable[[float], Any]) -> None:
            while True:
                await sleep(seconds)
                told.append((name, round((clock.monotonic() - began) / 60)))

        own = asyncio.ensure_future(every("cluster", 30 * 60.0, clock.sleep))
        async with Follower(clock, lambda: every("operator", 20 * 60.0, asyncio.sleep)):
            await clock.advance(HOUR + 5 * 60)
        own.cancel()
        await asyncio.gather(own, return_exceptions=True)
        in_order = [("operator", 20), ("cluster", 30), ("operator", 40)]
        assert told[:3] == in_order and sorted(told[3:]) == [("cluster", 60), ("operator", 60)]

    asyncio.run(main())


@pytest.mark.parametrize("seconds", [0.1, 1 / 3, 0.7, 600.1, HOUR + 0.3])
def test_the_last_moment_belongs_to_an_advance(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Sums of floats are not products: the last of many equal sleeps may end a bit after the advance, and belongs to it."""
    monkeypatch.setattr(flowing, "time", SimpleNamespace(monotonic=lambda: 1000.0))  # it goes on by advances alone
    times = 30

    async def main() -> int:
        clock, done = FlowingClock(), list[float]()

        async def sleeps() -> None:
            for _ in range(times):
                await asyncio.sleep(seconds)
                done.append(clock.monotonic())
            await asyncio.Event().wait()  # until the block ends

        async with Follower(clock, sleeps):
            await clock.advance(times * seconds)
        return len(done)

    assert asyncio.run(main()) == times


def test_what_they_ask_of_each_other_is_awaited() -> None:
    """Each hour the operator asks the cluster over a socket, and its answer takes an alarm of the cluster's: none is late."""

    async def main() -> None:
        clock = FlowingClock()
        began = clock.monotonic()
        moments: list[int] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                for _ in range(3):
                    await asyncio.sleep(0)
                writer.write(line)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def operator() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while True:
                    await asyncio.sleep(HOUR)
                    for _ in range(5):
                        writer.write(b"what?\n")
                        await reader.readline()
                    await asyncio.to_thread(threading.Event().wait, 0.01)  # work on a thread
                    moments.append(round((clock.monotonic() - began) / HOUR))
            finally:
                writer.close()

        async def ticking() -> None:
            while True:
                await clock.sleep(60)

        tick = asyncio.ensure_future(ticking())
        async with Follower(clock, operator):
            while not server.sockets or not server.is_serving():
                await asyncio.sleep(0)
            await clock.advance(5 * HOUR + 60)
        assert moments == [1, 2, 3, 4, 5]
        tick.cancel()
        server.close()
        await asyncio.gather(tick, return_exceptions=True)

    asyncio.run(main())


def test_a_loop_that_has_ended_is_not_waited_for() -> None:
    async def main() -> None:
        clock = FlowingClock()

        async def nothing() -> None:
            await asyncio.sleep(HOUR)

        async with Follower(clock, nothing):
            pass
        never_run = clock.follower()
        await clock.advance(2 * HOUR)
        never_run.close()

    asyncio.run(main())


def test_time_stands_while_somebody_outside_is_awaited() -> None:
    async def main() -> None:
        clock = FlowingClock()
        answered = threading.Event()
        ended: list[float] = []

        async def asks() -> None:
            await clock.sleep(60)
            with outside():
                asyncio.get_running_loop().run_in_executor(None, answered.wait, 0.05).add_done_callback(
                    lambda _: answered.set()
                )
                await asyncio.to_thread(answered.wait)
            ended.append(clock.monotonic() - began)

        began = clock.monotonic()
        asking = asyncio.ensure_future(asks())
        await asyncio.sleep(0)
        await clock.advance(HOUR)
        await asking
        assert 60 <= ended[0] < 61 and waiting() == 0

    asyncio.run(main())


def test_an_advance_says_who_has_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowing, "BUSY_SECONDS", 0.05)

    async def main() -> None:
        clock = FlowingClock()

        async def spins() -> None:
            while True:
                await asyncio.sleep(0)

        async with Follower(clock, spins):
            with pytest.raises(RuntimeError, match=r"a loop that follows this clock has been busy for 0\.05 s"):
                await clock.advance(HOUR)
        with outside(), pytest.raises(RuntimeError, match="a webhook or a function of the test's has been busy"):
            await clock.advance(HOUR)
        await clock.advance(HOUR)

    asyncio.run(main())


def test_a_thread_that_waits_itself_keeps_no_time_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "THREAD_SECONDS", 0.05)

    async def main() -> None:
        clock, end = FlowingClock(), threading.Event()

        async def waits() -> None:
            await asyncio.to_thread(end.wait)

        async with Follower(clock, waits):
            await clock.advance(HOUR)
            end.set()

    asyncio.run(main())


def test_it_wakes_by_itself_in_real_time() -> None:
    clock = FlowingClock()
    with asyncio.Runner(loop_factory=clock.follower) as runner:
        before = clock.monotonic()
        runner.run(asyncio.sleep(0.02))
        assert clock.monotonic() - before >= 0.02


def test_a_socket_that_has_news_is_no_rest() -> None:
    """Also before the loop's thread has seen it."""
    clock = FlowingClock()
    loop, (one, other) = clock.follower(), socket.socketpair()
    with one, other:
        loop.add_reader(one, lambda: None)
        loop._idle = True  # as its thread says when it begins to wait
        assert loop.rests()
        other.send(b"x")
        assert not loop.rests()
        loop.remove_reader(one)
    loop.close()
    loop._idle = True
    assert not loop.rests(), "closed between two looks of the other thread"
    loop.wake()
