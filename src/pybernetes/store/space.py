"""Room on the disk that is kept for the day it is full, so that what makes room can still be written.

A file beside the database holds `size` bytes. When SQLite has none left, half of them are given back, then the other half; what may be
written becomes less with each. Once the whole reserve can be had again, everything is written as before: nobody has to say so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from pybernetes import files

from .types import NoSpace

_log = logging.getLogger(__name__)

RESERVE_BYTES = (
    16 << 20
)  # what is in the WAL must find room in the file: only then the WAL begins anew and deletions have room in it
SMALL_RESERVE_BYTES = 4 << 20  # for WALs of small file systems: two batches, and the largest object
RESERVE_SHARE, SMALL_RESERVE_SHARE = 16, 4  # of the file system, at the most
SMALL_CHANGE = 1024  # bytes that a change may add: a deletion timestamp, a condition, a lease's next holder
RETRY_SECONDS = 1.0  # between attempts to have the reserve back


class Level(IntEnum):
    """What may be written."""

    REMOVALS = 0  # deletions and compaction
    CHANGES = 1  # and what replaces a value by one that is hardly longer: leases, finalizers, deletion timestamps
    ALL = 2


def needed(before: int | None, after: int) -> Level:
    """For a write of `after` bytes in place of `before` (None: of nothing)."""
    return Level.ALL if before is None or after > before + SMALL_CHANGE else Level.CHANGES


def is_full(error: BaseException) -> bool:
    """Whether SQLite failed for want of room; its index of the WAL is extended as it writes, too."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE


class Reserve(Protocol):
    """Room in halves, `size` bytes in all (0: it is not known yet)."""

    size: int

    def hold(self, level: Level) -> None:
        """Has as many halves as the level says. OSError where there is no room for them; what was held stays."""


class NoReserve:
    """Of a store that has no file."""

    size = RESERVE_BYTES

    def hold(self, level: Level) -> None:
        """Nothing to do."""


class FileReserve:
    """In a file, which stays when the store is closed: the next one needs it on a disk that is full."""

    def __init__(self, path: Path, size: int = 0) -> None:
        """`size` 0: what suits the file system."""
        self._path, self.size = path, size

    def hold(self, level: Level) -> None:
        """See `Reserve`."""
        descriptor = files.open_private(self._path, os.O_RDWR | os.O_CREAT)
        try:
            self.size = self.size or _suitable(descriptor)
            target = self.size * level // Level.ALL
            have = os.fstat(descriptor).st_size
            if have > target:
                os.ftruncate(descriptor, target)
            elif target:
                try:
                    os.posix_fallocate(descriptor, 0, target)
                except OSError:
                    os.ftruncate(descriptor, have)
                    raise
        finally:
            os.close(descriptor)


def _suitable(descriptor: int) -> int:
    system = os.fstatvfs(descriptor)
    return suitable(system.f_blocks * system.f_frsize)


def suitable(total: int) -> int:
    """The size of a reserve on a file system of so many bytes."""
    return min(RESERVE_BYTES, max(total // RESERVE_SHARE, min(SMALL_RESERVE_BYTES, total // SMALL_RESERVE_SHARE)))


class Space:
    """What may be written now. For the writer's thread alone."""

    def __init__(self, where: str, reserve: Reserve, clock: Callable[[], float]) -> None:
        """`where`: the database, for who reads the log; `clock` in seconds."""
        self._where, self._reserve, self._clock = where, reserve, clock
        self.level = Level.ALL
        self._again = 0.0  # when the reserve is tried again

    @property
    def wal_bytes(self) -> int:
        """What may be in the WAL before it is moved into the file."""
        return self._reserve.size // 4

    def check(self, before: int | None, after: int) -> None:
        """NoSpace for a write that has to wait for better days."""
        if self.level < needed(before, after):
            raise self.refusal()

    def refusal(self) -> NoSpace:
        """In words."""
        return NoSpace(f"no space is left on the device of the database {self._where}: delete something, or free space")

    def release(self) -> bool:
        """Gives one half back. False: there is none left."""
        if self.level is Level.REMOVALS:
            return False
        self.level = Level(self.level - 1)
        with contextlib.suppress(OSError):  # it could not even be opened: then it holds nothing
            self._reserve.hold(self.level)
        may = "deletions and small changes" if self.level else "deletions"
        _log.error("no space is left for %s: only %s are written until there is", self._where, may)
        self._again = self._clock() + RETRY_SECONDS
        return True

    def restore(self) -> None:
        """Has the reserve again where there is room for it, or half of it; asked before each batch of writes, tried now and then."""
        if self.level is Level.ALL or self._clock() < self._again:
            return
        self._again = self._clock() + RETRY_SECONDS
        for level in (Level.ALL, Level.CHANGES):
            if level <= self.level:
                return
            with contextlib.suppress(OSError):
                self._reserve.hold(level)
                self.level = level
                what = "everything is written as before" if level is Level.ALL else "small changes are written as well"
                _log.warning("there is space for %s again: %s", self._where, what)
                return

    def begin(self) -> None:
        """The reserve of the run before, or a new one."""
        try:
            self._reserve.hold(Level.ALL)
        except OSError as error:
            self.level = Level.CHANGES
            with contextlib.suppress(OSError):
                self._reserve.hold(self.level)
            _log.error(
                "%s: no room for the reserve (%s): only deletions and small changes are written", self._where, error
            )
