"""What large requests leave is freed by pieces, and what stays is not looked at again and again."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from pybernetes.aio import apart, collector


class Leaf:
    """Tells where it was freed."""

    def __init__(self, freed: list[str]) -> None:
        weakref.finalize(self, lambda: freed.append(threading.current_thread().name.partition("_")[0]))


def graph(freed: list[str], leaves: int) -> Any:
    return {"list": [{"leaf": (Leaf(freed),)} for _ in range(leaves)], "map": {str(n): [n] for n in range(leaves)}}


def test_what_a_large_request_made_is_freed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it was refused, and the error still knew what it was about."""
    monkeypatch.setattr(collector, "FREED_SECONDS", 0.0)
    freed: list[str] = []

    async def request(refused: bool) -> None:
        with collector.freed_by_pieces(collector.DIVIDED_BYTES):
            made = await apart.run(apart.LARGE, graph, freed, 50)
            if refused:
                raise ValueError(len(made))

    async def main() -> None:
        await request(False)
        with pytest.raises(ValueError, match="2"):
            await request(True)
        while len(freed) < 100:
            await asyncio.sleep(0.001)
        assert gc.isenabled() or collector._tasks

    asyncio.run(main())
    assert freed == ["apart"] * 100
    assert gc.isenabled(), "also where the loop ends before all is freed"


@pytest.mark.parametrize("walked", [1, 7, 1_000_000])
def test_what_others_hold_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, walked: int) -> None:
    """However much of the graph is walked through."""
    monkeypatch.setattr(collector, "WALKED", walked)
    freed: list[str] = []
    whole = graph(freed, 10)
    held = whole["list"][3]
    values = [whole, held, "text", None]
    del whole
    collector.free(values)
    assert values == []
    assert len(freed) == 9
    assert list(held) == ["leaf"]


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("_owned", "_counted", "_collected_at"):
        monkeypatch.setattr(collector, name, getattr(collector, name))
    monkeypatch.setattr(collector, "COUNT_SECONDS", 0.0)
    collector.own_process()
    yield
    gc.unfreeze()


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("owned")
def test_cycles_are_found_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process that only serves: what is left stays unseen as long as it is little."""
    freed: list[int] = []

    def large() -> None:
        weakref.finalize(Cycle(), freed.append, 1)

    async def main() -> None:
        await apart.run(apart.LARGE, large)
        gc.collect()
        assert not freed
        monkeypatch.setattr(collector, "KEPT_OBJECTS", 0)
        monkeypatch.setattr(collector, "_collected_at", 0)
        await apart.run(apart.LARGE, large)
        assert freed == [1, 1]

    asyncio.run(main())


@pytest.mark.usefixtures("owned")
def test_what_is_about_to_be_freed_is_not_looked_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: the objects of one large body were as many as all others, so that a full collection came before they were let go."""
    monkeypatch.setattr(collector, "KEPT_OBJECTS", 0)
    monkeypatch.setattr(collector, "FREED_SECONDS", 0.0)
    monkeypatch.setattr(collector, "_collected_at", gc.get_freeze_count() + 10_000)
    collections: list[int] = []
    monkeypatch.setattr(gc, "collect", lambda: collections.append(collector._unfreed))

    async def main() -> None:
        with collector.freed_by_pieces(collector.DIVIDED_BYTES):
            await apart.run(apart.LARGE, lambda: [[n] for n in range(100_000)])
        assert not collections
        while collector._unfreed:
            await asyncio.sleep(0.001)

    asyncio.run(main())
    assert set(collections) <= {0}
