"""What a plugin is (upstream: coredns plugin/plugin.go).

A plugin's module has `NAME` and `setup(directive, block) -> Plugin | None`. The chain is built from the end: `next` is the handler
behind. A plugin answers, or asks `next`, or both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pybernetes.aio.clock import Clock, RealClock

from .corefile import Directive, normalized
from .wire import Answer, Query, within

if TYPE_CHECKING:
    from .metrics import Metrics

Handler = Callable[[Query], Awaitable[Answer]]
Place = tuple[str, int]  # (address, "" for all; port)

MAX_REGEXP = 10_000  # characters of a pattern (upstream's)


class ServeError(Exception):
    """No answer could be had: the client gets SERVFAIL, the log the text."""


@dataclass(slots=True)
class Limits:
    """Of connections over TCP, in seconds (upstream's; plugin timeouts). -1 queries: as many as they send."""

    read: float = 3.0  # of the first query
    write: float = 5.0
    idle: float = 10.0  # between queries
    queries: int = -1


class Others(Protocol):
    """Further processes on the same ports (plugin multisocket)."""

    @property
    def ready(self) -> bool: ...

    async def metrics(self) -> list[str]:
        """Texts in Prometheus's format."""
        ...


@dataclass(slots=True)
class BlockContext:
    """What a plugin knows of its server block."""

    zones: list[str]
    port: int
    hosts: list[str]  # the addresses that it listens on; "" is all of them
    metrics: Metrics
    lookup: Handler  # the whole server, for names that lead elsewhere
    reload: Callable[[], None]  # asks for the file to be looked at, and returns at once
    fail: Callable[[str], None]  # ends the server with a message
    corefile: str = ""
    clock: Clock = field(default_factory=RealClock)
    plugins: list[Plugin] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    sockets: int = 1  # on each port
    others: Others | None = None

    @property
    def server(self) -> str:
        """The label of metrics."""
        return f"dns://{self.hosts[0]}:{self.port}"

    @property
    def places(self) -> list[Place]:
        """Where it listens."""
        return [(host, self.port) for host in self.hosts]


class Plugin:
    """Base of all: passes on. `prepare` gets what answers need, `start` begins to listen, `stop` ends both."""

    name = ""
    repeats = False  # an answer that says so (`Answer.same_until`) may be given again without asking this plugin
    once = False  # of several processes on one port only the first starts it

    def __init__(self) -> None:
        self.next: Handler = nothing_left
        self.clock: Clock = RealClock()  # the chain gives both

    @property
    def handles(self) -> bool:
        """Whether queries pass through it; others only have a port or a task."""
        return type(self).serve is not Plugin.serve

    async def serve(self, query: Query) -> Answer:
        """The answer. ServeError, or WireError for names that cannot be."""
        return await self.next(query)

    async def prepare(self) -> None:
        """Before the server answers; may take a few seconds."""

    async def start(self) -> None:
        """Opens ports and starts tasks. OSError."""

    async def stop(self) -> None:
        """Closes everything."""

    def ready(self) -> bool:
        """Whether answers are what they should be (plugin ready)."""
        return True


class _Turn:
    """Gives others their turn."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def in_task() -> None:
    """Before what needs a task of its own, a time-out or a task group: queries that nothing waits for are answered without one."""
    if asyncio.current_task() is None:
        await _Turn()


async def nothing_left(query: Query) -> Answer:
    """Behind the last plugin."""
    raise ServeError("no next plugin found")


@dataclass(slots=True)
class Fall:
    """`fallthrough [ZONES...]`: which names without an answer go on to the next plugin."""

    zones: Sequence[str] = ()

    def through(self, key: str) -> bool:
        """Whether a lower-cased name goes on."""
        return any(within(key, zone) for zone in self.zones)


def fall_of(directive: Directive) -> Fall:
    """Without zones: all."""
    return Fall([zone for argument in directive.arguments for zone in normalized(argument)] or ["."])


def matching(key: str, zones: Sequence[str]) -> str:
    """The longest of the zones that a lower-cased name is in, "" for none."""
    longest = ""
    for zone in zones:
        if len(zone) > len(longest) and within(key, zone):
            longest = zone
    return longest


def zones_of(arguments: Sequence[str], block: BlockContext) -> list[str]:
    """The zones that a directive names, else its block's."""
    return [zone for argument in arguments for zone in normalized(argument)] or list(block.zones)
