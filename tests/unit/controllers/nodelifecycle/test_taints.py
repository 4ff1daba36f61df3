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
from pybernetes.client.retry import DEFAULT_RETRY
from pybernetes.controllers.nodelifecycle.taints import SlowTainter, set_taints

TAINT = core.Taint(key="k", effect="NoExecute")


def node(version: str, *taints: core.Taint) -> core.Node:
    return core.Node(
        metadata=meta.ObjectMeta(name="n", resource_version=version), spec=core.NodeSpec(taints=list(taints))
    )


class Server:
    """One node; patches against another version conflict."""

    def __init__(self, stored: core.Node | None) -> None:
        self.stored = stored
        self.patches: list[Any] = []

    async def get(self, kind: type[Any], name: str, namespace: str = "") -> core.Node:
        if self.stored is None:
            raise errors.not_found("", "nodes", name)
        return self.stored

    async def patch(self, kind: type[Any], name: str, namespace: str, patch: Any, **_: Any) -> None:
        if self.stored is None:
            raise errors.not_found("", "nodes", name)
        if patch["metadata"]["resourceVersion"] != self.stored.metadata.resource_version:
            raise errors.conflict("", "nodes", name, "changed")
        self.patches.append(patch["spec"]["taints"])


def add(known: core.Node) -> list[core.Taint] | None:
    return None if TAINT in known.spec.taints else [*known.spec.taints, TAINT]


def written(server: Server, known: core.Node) -> list[Any]:
    asyncio.run(set_taints(server, known, add))  # type: ignore[arg-type]  # what it needs of a client is there
    return server.patches


def test_what_is_right_is_not_written() -> None:
    assert written(Server(node("1")), node("1", TAINT)) == []


def test_a_conflict_is_decided_anew() -> None:
    other = core.Taint(key="other", effect="NoSchedule")
    assert written(Server(node("2", other)), node("1")) == [[other, TAINT]]
    assert written(Server(node("2", TAINT)), node("1")) == []


def test_a_node_that_is_gone_needs_none() -> None:
    assert written(Server(None), node("1")) == []


def test_no_taints_are_written_as_null() -> None:
    server = Server(node("1", TAINT))
    asyncio.run(set_taints(server, node("1", TAINT), lambda n: []))  # type: ignore[arg-type]  # as above
    assert server.patches == [None]


def test_endless_conflicts_are_an_error() -> None:
    class Busy(Server):
        tries = 0

        async def patch(self, *_: Any, **__: Any) -> None:
            self.tries += 1
            raise errors.conflict("", "nodes", "n", "changed")

    server = Busy(node("1"))
    with pytest.raises(StatusError):
        written(server, node("1"))
    assert server.tries == DEFAULT_RETRY.steps


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
