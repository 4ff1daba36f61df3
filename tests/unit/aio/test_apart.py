"""What is large is worked on in a thread; what waits for the loop gets it."""

import asyncio
import gc
import threading
from typing import Any

import pytest

from pybernetes.aio import apart, collector


def thread() -> str:
    return threading.current_thread().name


def test_small_work_stays_and_large_work_leaves() -> None:
    asyncio.run(_small_work_stays_and_large_work_leaves())


async def _small_work_stays_and_large_work_leaves() -> None:
    assert await apart.run(apart.LARGE - 1, thread) == threading.current_thread().name
    assert (await apart.run(apart.LARGE, thread)).startswith("apart")


def test_errors_come_back() -> None:
    asyncio.run(_errors_come_back())


async def _errors_come_back() -> None:
    with pytest.raises(ZeroDivisionError):
        await apart.run(apart.LARGE, divmod, 1, 0)


@pytest.mark.parametrize("size", [0, apart.LARGE])
def test_a_coroutine_gets_the_loop_where_it_asks_for_it(size: int) -> None:
    asyncio.run(_a_coroutine_gets_the_loop_where_it_asks_for_it(size))


async def _a_coroutine_gets_the_loop_where_it_asks_for_it(size: int) -> None:
    places: list[str] = []

    async def ask(number: int) -> int:
        await asyncio.sleep(0)
        places.append(thread())
        if number < 0:
            raise ValueError(number)
        return number + 1

    async def work() -> int:
        places.append(thread())
        first = await apart.on_loop(lambda: ask(1))
        with pytest.raises(ValueError, match="-1"):
            await apart.on_loop(lambda: ask(-1))
        places.append(thread())
        return first

    assert await apart.stretches(size, work()) == 2
    here = threading.current_thread().name
    assert places[1:3] == [here, here]
    assert all(place.startswith("apart") == bool(size) for place in (places[0], places[3]))


def test_the_loop_goes_on_meanwhile() -> None:
    asyncio.run(_the_loop_goes_on_meanwhile())


async def _the_loop_goes_on_meanwhile() -> None:
    done = threading.Event()

    def wait() -> bool:
        return done.wait(60)

    large: asyncio.Task[Any] = asyncio.ensure_future(apart.run(apart.LARGE, wait))
    await asyncio.sleep(0)
    done.set()  # by the loop, which the function does not hold
    assert await large


def test_the_collector_rests_for_large_work_and_never_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        assert gc.isenabled()
        assert await apart.run(0, gc.isenabled)
        with collector.uncollected():
            assert not await apart.run(apart.LARGE, gc.isenabled)
            assert not gc.isenabled()
            monkeypatch.setattr(collector, "UNCOLLECTED_SECONDS", -1)
            before = gc.get_stats()[2]["collections"]
            with collector.uncollected():
                assert gc.get_stats()[2]["collections"] == before + 1
        assert gc.isenabled()

    asyncio.run(main())


def test_what_turns_out_to_be_more_than_it_looked_begins_again_in_a_thread() -> None:
    begun: list[bool] = []

    def work() -> str:
        begun.append(apart.may_leave())
        if apart.may_leave():
            raise apart.Leave
        return thread()

    assert asyncio.run(apart.run(10, work)).startswith("apart")
    assert begun == [True, False]
    assert not apart.may_leave(), "only what was begun by `run` has somewhere to go"
