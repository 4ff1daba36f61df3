"""Large answers let others have their turn: how much of them is handed over between two turns of the event loop is bounded."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest

from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse, serve
from pybernetes.wire.turns import SHARE_BYTES, TURN_BYTES, Turns

SHARES = TURN_BYTES // SHARE_BYTES


class Ticks:
    """Counts the turns of the loop while it runs."""

    def __init__(self) -> None:
        self.now = 0
        self._task = asyncio.create_task(self._count())

    async def _count(self) -> None:
        while True:
            self.now += 1
            await asyncio.sleep(0)

    def stop(self) -> None:
        self._task.cancel()


@pytest.mark.parametrize("writers", [1, 3, 40])
def test_bytes_of_one_turn(writers: int) -> None:
    async def main() -> tuple[Counter[int], list[int]]:
        turns, ticks, order = Turns(), Ticks(), list[int]()
        taken: Counter[int] = Counter()

        async def write(number: int) -> None:
            for _ in range(20):
                await turns.take(SHARE_BYTES)
                taken[ticks.now] += SHARE_BYTES
                order.append(number)

        await asyncio.gather(*(write(number) for number in range(writers)))
        ticks.stop()
        return taken, order

    taken, order = asyncio.run(main())
    assert sum(taken.values()) == writers * 20 * SHARE_BYTES
    assert max(taken.values()) <= 2 * TURN_BYTES, (
        "what a turn leaves over may be taken with the next one's, and no more"
    )
    # Nobody is passed over: between two shares of one writer every other one has its share.
    for number in range(writers):
        places = [place for place, who in enumerate(order) if who == number]
        assert all(later - earlier <= max(writers, 2 * SHARES) for earlier, later in itertools.pairwise(places))


def test_small_shares_go_together() -> None:
    async def main() -> int:
        turns, ticks = Turns(), Ticks()
        await asyncio.sleep(0)
        before = ticks.now
        for _ in range(100):
            await turns.take(TURN_BYTES // 100)
        ticks.stop()
        return ticks.now - before

    assert asyncio.run(main()) == 0


def test_who_has_gone_holds_up_nobody() -> None:
    async def main() -> None:
        turns = Turns()
        for _ in range(SHARES):
            await turns.take(SHARE_BYTES)
        gone = [asyncio.create_task(turns.take(SHARE_BYTES)) for _ in range(50)]
        last = asyncio.create_task(turns.take(SHARE_BYTES))
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        ticks = Ticks()
        await last
        ticks.stop()
        assert ticks.now <= 3

    asyncio.run(main())


def test_a_large_answer_to_a_fast_reader() -> None:
    """The kernel takes in megabytes before a reader has read one: nothing but the bound makes the writer pause."""
    pieces, written = 64, Counter[int]()

    async def main() -> None:
        ticks = Ticks()

        async def produce(writer: BodyWriter) -> None:
            for _ in range(pieces):
                await writer.write(b"x" * SHARE_BYTES)
                written[ticks.now] += SHARE_BYTES

        async def handle(request: Request) -> Response | StreamingResponse:
            return StreamingResponse(produce)

        server = await serve(handle)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 26)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.read()
        ticks.stop()
        writer.close()
        await server.stop(1)

    asyncio.run(main())
    assert sum(written.values()) == pieces * SHARE_BYTES
    assert max(written.values()) <= 2 * TURN_BYTES
