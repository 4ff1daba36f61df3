"""When custom resources are loaded: with the first definition, and again where that failed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.generic.cache import WatchCache
from pybernetes.apiserver.generic.loader import FIRST_PAUSE, LONGEST_PAUSE, Loader
from pybernetes.store.types import Event, KeyValue, Page

from ..test_watchcache import ScriptedStore

DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
KEY = "/registry/apiextensions.k8s.io/customresourcedefinitions/things.example.com"
VALUE = b'{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"things.example.com"}}'


class Custom:
    """Custom resources whose first starts fail."""

    def __init__(self, clock: VirtualClock, failures: int) -> None:
        self.clock, self.failures = clock, failures
        self.started: list[float] = []  # when
        self.stopped = 0

    async def start(self) -> None:
        self.started.append(self.clock.monotonic())
        if len(self.started) <= self.failures:
            raise OSError("the disk is away")

    async def stop(self) -> None:
        self.stopped += 1


async def defined(failures: int, seconds: float) -> Custom:
    """So long after the first definition."""
    clock, store = VirtualClock(), ScriptedStore(Page([], 1, more=False))
    cache = WatchCache(store, clock=clock)
    await cache.start()
    custom: Any = Custom(clock, failures)
    loader = Loader(cache, DEFINITIONS, lambda: custom, "custom resources are not served")
    await loader.start()
    await clock.settle()
    assert custom.started == []
    await store.say(Event(2, KEY, KeyValue(KEY, VALUE, 2, 2)))
    await clock.advance(seconds)
    assert custom.stopped == min(failures, len(custom.started))  # what a failed start had begun
    await loader.stop()
    await cache.stop()
    made: Custom = custom
    return made


def test_they_are_loaded_with_the_first_definition() -> None:
    custom = asyncio.run(defined(0, 0))
    assert custom.started == [0.0] and custom.stopped == 1


def test_a_failed_load_is_tried_again_ever_more_seldom(caplog: pytest.LogCaptureFixture) -> None:
    custom = asyncio.run(defined(8, 1000))
    pauses = [later - earlier for earlier, later in zip(custom.started, custom.started[1:], strict=False)]
    assert pauses == [FIRST_PAUSE, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE, LONGEST_PAUSE]
    assert custom.stopped == 9
    assert caplog.messages[0] == "custom resources are not served; the next try is in 1 s"
    assert len(caplog.messages) == 8


def test_a_server_that_stops_meanwhile_tries_no_more() -> None:
    custom = asyncio.run(defined(8, 2))
    assert custom.started == [0.0, 1.0] and custom.stopped == 2
