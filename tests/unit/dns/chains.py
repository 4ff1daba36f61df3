"""A block of one plugin with something behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pybernetes.dns import wire
from pybernetes.dns.corefile import Directive, parse
from pybernetes.dns.metrics import Metrics
from pybernetes.dns.plugin import BlockContext, Plugin
from pybernetes.dns.wire import Answer, Query


def directive(text: str) -> Directive:
    """The only directive of a Corefile of one block."""
    (block,) = parse(f". {{\n{text}\n}}", "Corefile", 53, {})
    (found,) = block.directives
    return found


class Behind:
    """The next handler: answers by name and type, counts the questions."""

    def __init__(self, answer: Callable[[Query], Answer] | Answer) -> None:
        self._answer = answer
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, query: Query) -> Answer:
        self.asked.append((query.name, query.type))
        return self._answer(query) if callable(self._answer) else self._answer


def context(zones: list[str] | None = None) -> BlockContext:
    async def nothing(*_: object) -> Answer:
        raise AssertionError("nobody should ask")

    def no_reload() -> None:
        raise AssertionError("nobody should reload")

    def fail(text: str) -> None:
        raise AssertionError(text)

    return BlockContext(zones or ["."], 53, [""], Metrics(), nothing, no_reload, fail)


def query(name: str, type: int = wire.A) -> Query:
    return Query(1, wire.RD, name, name.lower(), type, client=("10.244.0.9", 40000), length=40)


def serve(plugin: Plugin, asked: Query) -> Answer:
    return asyncio.run(plugin.serve(asked))


def address(name: str, ip: str = "192.0.2.1", ttl: int = 100) -> Answer:
    return Answer(wire.NOERROR, [wire.address_record(name, ip, ttl)], flags=wire.RA)
