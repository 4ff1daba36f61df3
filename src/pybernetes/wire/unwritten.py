"""Bytes of large answers that their readers have not taken yet, over all connections of a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

STALLED_SECONDS = 1.0  # a reader that took nothing for so long goes first, where there is no room for others


class Reader(Protocol):
    """The connection that an answer is written to."""

    def abort(self) -> None:
        """Drops it, and what it was to be given."""
        ...


class Unwritten:
    """Who reads nothing must not fill the memory: beyond the bound readers that have stalled are cut off, the longest first.

    Long watches and lists hold no more than a piece each, and are not counted; this is for answers that are made as a whole.
    """

    def __init__(self, bound: int, monotonic: Callable[[], float]) -> None:
        self._bound, self._monotonic = bound, monotonic
        self._readers: dict[Reader, tuple[float, int]] = {}  # since when it has taken nothing, and what is left
        self.total = 0

    def enter(self, reader: Reader, size: int) -> bool:
        """Counts an answer; False where there is no room for it."""
        if self.total + size > self._bound:
            self._make_room(size)
        if self.total + size > self._bound and self._readers:
            return False
        self._readers[reader] = (self._monotonic(), size)
        self.total += size
        return True

    def left(self, reader: Reader, size: int) -> None:
        """The reader has taken some: so much is left."""
        before = self._readers.get(reader)
        if before is not None:
            self.total += size - before[1]
            self._readers[reader] = (self._monotonic(), size)

    def leave(self, reader: Reader) -> None:
        """It has all of it, or is gone."""
        before = self._readers.pop(reader, None)
        if before is not None:
            self.total -= before[1]

    def _make_room(self, size: int) -> None:
        before = self._monotonic() - STALLED_SECONDS
        stalled = sorted((since, id(reader), reader) for reader, (since, _) in self._readers.items() if since <= before)
        for _, _, reader in stalled:
            if self.total + size <= self._bound:
                return
            self.leave(reader)
            reader.abort()
