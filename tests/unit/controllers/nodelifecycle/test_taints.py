"""Taints are written on what the server has, and slowly where a zone says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.client.memory import MemoryClient
from pybernetes.client.retry import DEFAULT_RETRY
from pybernetes.controllers.nodelifecycle.taints import Change, SlowTainter, set_taints

TAINT, OTHER = core.Taint(key="k", effect="NoExecute"), core.Taint(key="other", effect="NoSchedule")


def node(*taints: core.Taint) -> core.Node:
    return core.Node(metadata=meta.ObjectMeta(name="n"), spec=core.NodeSpec(taints=list(taints)))


def add(known: core.Node) -> list[core.Taint] | None:
    return None if TAINT in known.spec.taints else [*known.spec.taints, TAINT]


def seen(client: MemoryClient) -> core.Node:
    """The node as an informer shows it now."""
    (known,) = client.all(core.Node)
    return known


def written(client: MemoryClient) -> list[Any]:
    """The taints of each patch."""
    return [request.body["spec"]["taints"] for request in client.asked("patch")]


async def set_on(client: MemoryClient, known: core.Node, change: Change) -> None:
    """Time goes on until it is done."""
    clock = VirtualClock()
    setting = asyncio.ensure_future(set_taints(client, known, change, clock))
    await clock.advance(1)
    assert setting.done()
    await setting


def test_what_is_right_is_not_written() -> None:
    client = MemoryClient(node(TAINT))
    asyncio.run(set_on(client, seen(client), add))
    assert client.requests == []


@pytest.mark.parametrize(("now", "taints", "writes"), [(OTHER, [OTHER, TAINT], 1), (TAINT, [TAINT], 0)])
def test_a_conflict_is_decided_anew(now: core.Taint, taints: list[core.Taint], writes: int) -> None:
    client = MemoryClient(node())
    known = seen(client)
    client.put(node(now))
    version = int(seen(client).metadata.resource_version)
    asyncio.run(set_on(client, known, add))
    assert len(written(client)) == 1 + writes  # the first was refused
    assert seen(client).spec.taints == taints
    assert int(seen(client).metadata.resource_version) == version + writes


def test_a_node_that_is_gone_needs_none() -> None:
    client = MemoryClient(node())
    known = seen(client)
    client.drop(known)
    asyncio.run(set_on(client, known, add))
    assert client.all(core.Node) == []


def test_no_taints_are_written_as_null() -> None:
    client = MemoryClient(node(TAINT))
    asyncio.run(set_on(client, seen(client), lambda n: []))
    assert written(client) == [None] and seen(client).spec.taints == []


def test_endless_conflicts_are_an_error() -> None:
    client = MemoryClient(node())
    client.fail(errors.conflict("", "nodes", "n", "changed"), "patch", core.Node, times=2 * DEFAULT_RETRY.steps)
    with pytest.raises(StatusError):
        asyncio.run(set_on(client, seen(client), add))
    assert len(written(client)) == DEFAULT_RETRY.steps


def test_zones_go_at_their_rates() -> None:
    async def main() -> None:
        clock, done = VirtualClock(), list[str]()

        async def work(name: str) -> None:
            done.append(name)

        tainter = SlowTainter(clock, work)
        tainter.add_zone("z", 0.1)
        tainter.add_zone("stopped", 0.0)
        task = asyncio.ensure_future(tainter.run())
        for name in ("a", "b", "c"):
            tainter.add("z", name)
        tainter.add("stopped", "x")
        await clock.advance(0)
        assert done == ["a"] and tainter.waits("b") and not tainter.waits("a")
        await clock.advance(9.9)
        assert done == ["a"]
        await clock.advance(0.2)
        assert done == ["a", "b"]
        tainter.remove("c")
        await clock.advance(60)
        assert done == ["a", "b"]
        tainter.set_rate("stopped", 1.0)
        await clock.advance(0)
        assert done == ["a", "b", "x"]
        task.cancel()

    asyncio.run(main())
