"""The work queue does what a few sets and lists do, whatever happens in whatever order."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from pybernetes.aio.clock import VirtualClock
from pybernetes.aio.workqueue import WorkQueue

ITEMS = st.sampled_from("abcd")
SECONDS = st.sampled_from([0, 1, 2, 3, 5])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), ITEMS),
        st.tuples(st.just("add_after"), ITEMS, SECONDS),
        st.tuples(st.just("get")),
        st.tuples(st.just("done"), ITEMS),
        st.tuples(st.just("advance"), SECONDS),
    ),
    min_size=10,
    max_size=60,
)


class Model:
    """The rules of client-go's queue, without timers and futures."""

    def __init__(self) -> None:
        self.now = 0
        self.queue: list[str] = []
        self.dirty: set[str] = set()
        self.processing: set[str] = set()
        self.due: dict[str, tuple[int, int]] = {}  # when, and in which order it was said
        self.said = 0

    def add(self, item: str) -> None:
        if item in self.dirty:
            return
        self.dirty.add(item)
        if item not in self.processing:
            self.queue.append(item)

    def add_after(self, item: str, seconds: int) -> None:
        if seconds == 0:
            self.add(item)
            return
        self.said += 1
        at = self.now + seconds
        if item not in self.due or at < self.due[item][0]:
            self.due[item] = (at, self.said)

    def get(self) -> str:
        item = self.queue.pop(0)
        self.processing.add(item)
        self.dirty.discard(item)
        return item

    def done(self, item: str) -> None:
        self.processing.discard(item)
        if item in self.dirty and item not in self.queue:
            self.queue.append(item)

    def advance(self, seconds: int) -> None:
        self.now += seconds
        for item in sorted(self.due, key=lambda item: self.due[item]):
            if self.due[item][0] <= self.now:
                del self.due[item]
                self.add(item)


@settings(max_examples=300)
@given(STEPS)
def test_the_queue_is_its_model(steps: list[tuple[str, ...]]) -> None:
    async def main() -> None:
        clock, model = VirtualClock(), Model()
        queue: WorkQueue[str] = WorkQueue(clock)
        for name, *arguments in steps:
            if name == "get":
                if model.queue:
                    assert await queue.get() == model.get()
            elif name == "advance":
                await clock.advance(arguments[0])
                model.advance(arguments[0])
            else:
                getattr(queue, name)(*arguments)
                getattr(model, name)(*arguments)
            assert len(queue) == len(model.queue)
        # Nothing is lost: what was to come comes, in the model's order.
        await clock.advance(10)
        model.advance(10)
        for item in sorted(model.processing):
            queue.done(item)
            model.done(item)
        while model.queue:
            assert await queue.get() == model.get()
        assert len(queue) == 0
        queue.shut_down()

    asyncio.run(main())


@given(st.lists(st.tuples(ITEMS, SECONDS), max_size=30), st.integers(1, 4), st.lists(SECONDS, min_size=1, max_size=5))
def test_no_two_workers_have_one_item_and_the_last_addition_is_worked_on(
    additions: list[tuple[str, int]], workers: int, durations: list[int]
) -> None:
    """`started` counts: each addition is followed by a start, however long the work takes that runs at the time."""

    async def main() -> None:
        clock = VirtualClock()
        queue: WorkQueue[str] = WorkQueue(clock)
        busy: set[str] = set()
        added: dict[str, float] = {}
        started: dict[str, float] = {}

        async def work() -> None:
            for turn in range(1000):
                item = await queue.get()
                assert item not in busy
                busy.add(item)
                started[item] = clock.monotonic()
                await clock.sleep(durations[turn % len(durations)])
                busy.discard(item)
                queue.done(item)

        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        for item, pause in additions:
            queue.add(item)
            added[item] = clock.monotonic()
            await clock.advance(pause)
        await clock.advance(1000)
        assert not busy and len(queue) == 0
        assert all(started[item] >= moment for item, moment in added.items())
        for task in tasks:
            assert not task.done()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
