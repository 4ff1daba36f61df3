"""The newest revision, in memory that processes share."""

from __future__ import annotations

import mmap
import os
import tempfile

SIZE = mmap.PAGESIZE


class Counter:
    """Never goes back. One process raises it, any may read it: eight aligned bytes are written and read as one."""

    def __init__(self, descriptor: int) -> None:
        """Over a file of SIZE bytes, whose descriptor may be closed afterwards."""
        self._map = mmap.mmap(descriptor, SIZE)
        self._view = memoryview(self._map).cast("Q")

    @property
    def value(self) -> int:
        return self._view[0]

    def reach(self, revision: int) -> None:
        """It is at least this."""
        if revision > self._view[0]:
            self._view[0] = revision

    def close(self) -> None:
        self._view.release()
        self._map.close()


def new_file() -> int:
    """A descriptor for a counter that begins with 0; the file has no name."""
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        return os.dup(file.fileno())
