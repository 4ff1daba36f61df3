"""Files and directories that are their owner's alone, whatever the umask; and locks that end with who holds them.

Keys, kubeconfigs, the database and logs hold secrets: other users of the machine read none of them, also where an older
release left them readable.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Collection, Iterable
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO
PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
RETRY_SECONDS = 0.01  # between attempts at a lock that is waited for


class Held(Exception):
    """Somebody else holds the lock; `pid` is the process, 0 where it has not said so."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(f"{path} is held by {f'process {pid}' if pid else 'another process'}")
        self.pid = pid


def open_private(path: str | Path, flags: int) -> int:
    """A descriptor as os.open gives it; the file is mode 0600 from its first moment on, and if it was there, from now on."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != PRIVATE_FILE:
            os.fchmod(descriptor, PRIVATE_FILE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write_private(path: Path, data: bytes) -> None:
    """Writes the whole file in place, mode 0600."""
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
        file.write(data)


def make_private_directory(path: Path, mode: int = PRIVATE_DIRECTORY) -> None:
    """Makes it where it is missing, with its parents (these as the umask says). One that is there is left as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(mode)


def close_to_others(paths: Iterable[Path], forbidden: int = OTHERS) -> list[Path]:
    """Takes the forbidden rights (permission bits) from each path that is there; those that had any. OSError."""
    changed = []
    for path in paths:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        if mode & forbidden:
            path.chmod(mode & ~forbidden)
            changed.append(path)
    return changed


def is_our_own(directory: Path, ours: Collection[str]) -> bool:
    """Whether nobody misses the directory when it is closed: it is the caller's, and holds no directories but `ours`.

    A data directory may be named carelessly, and /tmp, /var/lib or a home must stay open to who lives there.
    """
    status = directory.stat()
    if status.st_uid != os.geteuid() or status.st_mode & stat.S_ISVTX:
        return False
    with os.scandir(directory) as entries:
        return not any(entry.is_dir() and entry.name not in ours for entry in entries)


def hold(path: Path, wait_seconds: float = 0.0) -> int:
    """Takes the lock (flock) and writes the pid into the file; the descriptor that holds it. Held, OSError.

    The lock ends when the descriptor is closed or the process ends in whatever way, and lives on in forks that keep the descriptor.
    The file stays: it means nothing by itself.
    """
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        _flock(path, descriptor, time.monotonic() + wait_seconds)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _flock(path: Path, descriptor: int, end: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise Held(path, _written_pid(descriptor)) from None
        time.sleep(RETRY_SECONDS)


def _written_pid(descriptor: int) -> int:
    with contextlib.suppress(ValueError):  # the holder has not written it yet
        return int(os.pread(descriptor, 32, 0))
    return 0
