"""Local ports and the room for open files (upstream: pkg/proxy/userspace/port_allocator.go, rlimit.go)."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Callable
from typing import TypeVar

from .. import PortRange

TRIES = 16  # ports of the range that other programs have, before a service is left for the next round
MOST_FILES = 64_000  # upstream's
RESERVED_FILES = 512  # for all that is no connection: programs, the API server, health
MOST_CONNECTIONS = 16_384  # whatever the limit of files is: each may hold some hundred kB that one side does not take

T = TypeVar("T")


class NoPort(Exception):
    """All ports of the range are taken."""


class Ports:
    """Hands out ports of a range by chance, or 0, by which the kernel chooses, where there is no range."""

    def __init__(self, given: PortRange | None, choose: Callable[[int], int]) -> None:
        self._range, self._choose = given, choose  # choose(n): one of range(n)
        self._taken: set[int] = set()

    def opened(self, opening: Callable[[int], T]) -> T:
        """What `opening` makes of a free port. NoPort; OSError for other reasons than that a port is in use."""
        if self._range is None:
            return opening(0)
        refused: set[int] = set()
        try:
            while len(refused) < TRIES:
                port = self._next()
                self._taken.add(port)
                try:
                    return opening(port)
                except OSError as error:
                    refused.add(port)
                    if error.errno != errno.EADDRINUSE:
                        raise
        finally:
            self._taken -= refused
        raise NoPort(f"{TRIES} ports of {self._range} in turn are in use by other programs")

    def _next(self) -> int:
        assert self._range is not None, "asked for within a range only"
        start = self._choose(self._range.size)
        for step in range(self._range.size):
            port = self._range.first + (start + step) % self._range.size
            if port not in self._taken:
                return port
        raise NoPort(f"port allocation failed; there are no remaining ports left to allocate in {self._range}")

    def release(self, port: int) -> None:
        """It may be handed out again."""
        self._taken.discard(port)


class Budget:
    """How many connections may be open at once, over all ports."""

    def __init__(self, most: int) -> None:
        self.most, self._used = most, 0

    def take(self) -> bool:
        """Whether there is room for one more; then it is taken."""
        if self._used >= self.most:
            return False
        self._used += 1
        return True

    def give(self) -> None:
        """One has ended."""
        self._used -= 1


def room_for_connections() -> int:
    """Raises this process's limit of open files as far as it may go; how many connections of two sockets fit into it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    files = MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(1, min(MOST_CONNECTIONS, (files - RESERVED_FILES) // 2))


def claim(protocol: str, family: str, address: str, port: int) -> socket.socket | None:
    """Keeps a port of this node for the service that is reached by it; None where the address is not this node's.

    OSError where another program has it: its clients would be led away from it.
    """
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    held = socket.socket(socket.AF_INET6 if family == "IPv6" else socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        if family == "IPv6":
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        held.bind((address, port))
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return held
