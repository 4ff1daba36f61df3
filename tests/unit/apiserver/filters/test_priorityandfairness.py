"""The link: seats are given back however a request ends, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.endpoints.routes import Answer
from pybernetes.apiserver.filters.exchange import Exchange
from pybernetes.apiserver.filters.priorityandfairness import PriorityAndFairness
from pybernetes.apiserver.flowcontrol import initialization
from pybernetes.apiserver.flowcontrol.controller import FlowControl
from pybernetes.apiserver.flowcontrol.metrics import FlowControlMetrics
from pybernetes.apiserver.flowcontrol.work import Stored
from pybernetes.wire.http import BodyWriter, Response, StreamingResponse

from .links import PODS, Next, exchange, metrics, never, request


class Sink:
    """Takes all."""

    async def write(self, data: bytes) -> None:
        pass


class World:
    """A server of ten seats, all of the level catch-all, which refuses what finds none. A list takes `width` of them."""

    def __init__(self, width: int = 1) -> None:
        self.clock = VirtualClock(start=100.0)
        counted, self.told = metrics(), metrics
        measured = FlowControlMetrics(counted.registry)
        stored = Stored(width, 100_000)
        self.control = measured.control = FlowControl(10, lambda _: stored, self.clock.monotonic(), measured.tell)
        self.link = PriorityAndFairness(self.control, measured, counted, 60.0, self.clock)
        self.queues = self.control.levels["catch-all"].queues
        self.text = counted.registry.text

    def asked(self, method: str = "GET", path: str = f"{PODS}/a", query: str = "") -> Exchange:
        one = exchange(request(method, path, query), started=self.clock.monotonic())
        one.user = User("kim", ("system:authenticated",))
        return one

    async def answer(self, next: Callable[[Exchange], Awaitable[Answer]], *asked: str) -> Answer:
        return await self.link(self.asked(*asked), next)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


@pytest.mark.parametrize("failing", [False, True])
def test_seats_are_given_back(failing: bool) -> None:
    async def test() -> None:
        world = World()
        tasks = [asyncio.ensure_future(world.answer(never)) for _ in range(10)]
        await asyncio.sleep(0)
        assert world.queues.seats_in_use == 10
        assert 'apiserver_current_inflight_requests{request_kind="readOnly"} 10' in world.text()
        refused = await world.answer(Next())
        assert refused.status == 429
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert world.queues.idle
        if failing:
            with pytest.raises(ValueError, match="no"):
                await world.answer(Next(ValueError("no")))
        else:
            assert (await world.answer(Next())).status == 200
        assert (world.queues.idle, world.queues.seats_in_use) == (True, 0)
        assert 'apiserver_current_inflight_requests{request_kind="readOnly"} 0' in world.text()

    run(test)


def test_masters_take_no_seat() -> None:
    async def test() -> None:
        world = World()
        tasks = [asyncio.ensure_future(world.answer(never)) for _ in range(10)]
        await asyncio.sleep(0)
        one = world.asked()
        one.user = User("admin", ("system:masters",))
        assert (await world.link(one, Next())).status == 200
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(test)


def test_what_holds_many_seats_lets_others_see_it() -> None:
    """Lists that are answered in one go would each find the level empty."""

    async def test() -> None:
        world = World(width=4)
        answers = await asyncio.gather(*(world.answer(Next(), "GET", PODS) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200, 200, 429, 429, 429]
        assert world.queues.idle
        assert (
            'work_estimated_seats_bucket{priority_level="catch-all",flow_schema="catch-all",le="2"} 0' in world.text()
        )

    run(test)


@pytest.mark.parametrize("written", [False, True])
def test_a_large_answer_keeps_its_seats_until_it_is_written_or_late(written: bool) -> None:
    async def test() -> None:
        async def produce(writer: BodyWriter) -> None:
            await writer.write(b"a")

        world = World()
        asked = world.asked()
        asked.deadline = asked.started + 60
        answered = await world.link(asked, Next(StreamingResponse(produce)))
        assert isinstance(answered, StreamingResponse)
        assert world.queues.seats_in_use == 1
        if written:
            await answered.producer(Sink())
        else:
            await world.clock.advance(61)
        assert world.queues.seats_in_use == 0
        if not written:
            await answered.producer(Sink())  # who reads at last
        assert world.queues.idle

    run(test)


def test_a_watch_has_its_seat_until_it_says_that_it_has_begun() -> None:
    async def test() -> None:
        world, began = World(), asyncio.Event()

        async def produce(writer: BodyWriter) -> None:
            await began.wait()
            initialization.done()
            initialization.done()
            assert world.queues.seats_in_use == 0
            assert world.control.watches.interested(world.asked("POST", PODS).info) == 1

        answered = await world.answer(Next(StreamingResponse(produce)), "GET", PODS, "watch=1&resourceVersion=5")
        assert isinstance(answered, StreamingResponse)
        task = asyncio.ensure_future(answered.producer(Sink()))
        await asyncio.sleep(0)
        assert world.queues.seats_in_use == 1
        began.set()
        await task
        assert world.control.watches.interested(world.asked("POST", PODS).info) == 0
        assert (await world.answer(Next(Response(403)), "GET", PODS, "watch=1")).status == 403
        assert world.queues.idle

    run(test)


def test_the_seats_of_a_write_that_many_hear_of_linger() -> None:
    async def test() -> None:
        world = World()
        watched = [world.control.watches.begin(world.asked("GET", PODS, "watch=1").info) for _ in range(40)]
        assert (await world.answer(Next(), "POST", PODS)).status == 200
        assert world.queues.seats_in_use == 4
        await world.clock.advance(0.006)
        assert world.queues.seats_in_use == 0
        assert len(watched) == 40

    run(test)


def test_other_long_requests_pass() -> None:
    async def test() -> None:
        world = World()
        task = asyncio.ensure_future(world.answer(never, "GET", f"{PODS}/a/log", "follow=true"))
        await asyncio.sleep(0)
        assert world.queues.idle
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(test)
