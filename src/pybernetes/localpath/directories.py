"""The volumes' directories: made and removed over descriptors, since pods may have put links, or anything else, in them.

All of this blocks: call it on a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MODE = 0o777  # as upstream's: pods of any user write there; the root is closed to the users of the machine
BATCH = 1000  # entries of a directory that are looked at together


class Directories:
    """Below one root, an absolute path of the administrator's. OSError where the disk says no."""

    def __init__(self, root: str) -> None:
        self.root = root

    def make(self, name: str) -> None:
        """With its root; one that is there stays, with what is in it."""
        os.makedirs(self.root, 0o700, exist_ok=True)
        with self._opened() as root:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=root)
            volume = os.open(name, DIRECTORY, dir_fd=root)
            try:
                os.fchmod(volume, MODE)
            finally:
                os.close(volume)

    def remove(self, name: str) -> None:
        """With all that is in it; one that is gone is no error."""
        with suppress(FileNotFoundError), self._opened() as root:
            _remove(root, name)

    def names(self) -> list[str]:
        """What is there; nothing without the root."""
        try:
            return os.listdir(self.root)
        except FileNotFoundError:
            return []

    def remove_empty(self, name: str) -> bool:
        """Whether it was one: what holds data stays."""
        with suppress(OSError), self._opened() as root:
            os.rmdir(name, dir_fd=root)
            return True
        return False

    @contextmanager
    def _opened(self) -> Iterator[int]:
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield root
        finally:
            os.close(root)


def _remove(root: int, name: str) -> None:
    """No recursion, and three descriptors however deep it is: directories in directories are moved to the top first."""
    top = os.open(name, DIRECTORY, dir_fd=root)
    number = 0
    try:
        while entries := _entries(top):
            for entry in entries:
                number = _take_away(top, entry, number)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=root)


def _take_away(top: int, entry: str, number: int) -> int:
    """Removes what is no directory, and empties one; `number` counts what was moved to the top, for a name of its own."""
    if not _is_directory(entry, top):
        os.unlink(entry, dir_fd=top)
        return number
    inner = os.open(entry, DIRECTORY, dir_fd=top)
    try:
        while entries := _entries(inner):
            for one in entries:
                if not _is_directory(one, inner):
                    os.unlink(one, dir_fd=inner)
                    continue
                number = _free(top, number)
                os.rename(one, _moved(number), src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(entry, dir_fd=top)
    return number


def _moved(number: int) -> str:
    return f".removed-{number}"


def _free(top: int, number: int) -> int:
    while True:
        number += 1
        try:
            os.stat(_moved(number), dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            return number


def _is_directory(name: str, folder: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _entries(folder: int) -> list[str]:
    """The first of them: a directory may have more than there is memory for."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) == BATCH:
                break
    return names
