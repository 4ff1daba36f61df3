"""Endpoints without a service: leftovers of the time before the start are deleted, what somebody makes later is his own."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import LEADER_ELECTION_RECORD_ANNOTATION
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.controllers.endpoint.controller import EndpointsController
from pybernetes.controllers.framework import Context

from ..objects import meta

LOCK = {LEADER_ELECTION_RECORD_ANNOTATION: "{}"}


def endpoints(name: str, **annotations: str) -> core.Endpoints:
    return core.Endpoints(metadata=meta(name, annotations=annotations))


@pytest.mark.parametrize(
    ("before", "later", "left"),
    [
        (endpoints("gone"), None, []),
        (endpoints("lock", **LOCK), None, ["lock"]),
        (None, endpoints("own"), ["own"]),
        (None, endpoints("lock", **LOCK), ["lock"]),
        (endpoints("gone"), endpoints("own"), ["own"]),
    ],
)
def test_those_without_a_service(before: core.Endpoints | None, later: core.Endpoints | None, left: list[str]) -> None:
    async def main() -> None:
        clock = VirtualClock()
        client = MemoryClient(*([before] if before else []), clock=clock)
        informers = MemoryInformers(client)
        context = Context(client, informers, EventBroadcaster(client, clock), clock)
        running = asyncio.create_task(EndpointsController(context).run())
        await clock.advance(5)
        if later is not None:
            client.put(later)
        await clock.advance(120)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [one.metadata.name for one in client.all(core.Endpoints)] == left

    asyncio.run(main())
